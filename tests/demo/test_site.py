from __future__ import annotations

import csv
import json
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path

import pytest
import yaml

from demo.site import DemoSite, serve, write_crawl_files
from demo.site_faults import DEMO_FAULTS, NO_FAULTS, Faults, plan_faults
from facedata.errors import SourceError

NAMES = {"zoe": 'Zoë <b>"O’Malley"</b>', "dots": "..", "alone": "x" * 300}


@pytest.fixture
def web(tmp_path: Path) -> Path:
    for slug, photos in (("zoe", 17), ("dots", 8), ("alone", 0)):
        folder = tmp_path / "site" / "photos" / slug
        folder.mkdir(parents=True)
        for number in range(photos):
            (folder / f"{number:03}.jpg").write_bytes(b"\xff\xd8\xff" + f"{slug}{number}".encode())
    people = [{"name": name, "slug": slug, "person_id": None} for slug, name in NAMES.items()]
    (tmp_path / "truth.json").write_text(json.dumps({"people": people}))
    (tmp_path / "site" / "secret.txt").write_text("secret")
    return tmp_path


def get(site: DemoSite, path: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(site.url.removeprefix("http://"), timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    try:
        return response, response.read()
    finally:
        connection.close()


def test_listing_pages_have_eight_photos_and_lead_on(web: Path) -> None:
    with serve(web) as site:
        pages = [get(site, f"/people/zoe?page={n}")[1].decode() for n in (1, 2, 3)]
        assert [page.count("<figure>") for page in pages] == [8, 8, 1]
        assert 'rel="next" href="/people/zoe?page=2"' in pages[0]
        assert 'rel="next" href="/people/zoe?page=3"' in pages[1]
        assert 'rel="next"' not in pages[2]
        assert get(site, "/people/zoe")[1].decode() == pages[0]
        assert "Zoë &lt;b&gt;&#34;O’Malley&#34;&lt;/b&gt;" in pages[0]
        assert '"/photos/zoe/000.jpg"' in pages[0]
        assert get(site, "/photos/zoe/003.jpg")[1] == b"\xff\xd8\xffzoe3"
        assert get(site, "/people/alone")[1].decode().count("<figure>") == 0
        front = get(site, "/")[1].decode()
        assert front.count('href="/people/') == 3
        assert get(site, "/style.css")[0].getheader("Content-Type") == "text/css; charset=utf-8"


def test_robots_txt_closes_the_private_part(web: Path) -> None:
    with serve(web) as site:
        response, body = get(site, "/robots.txt")
        assert response.status == 200
        assert body == b"User-agent: *\nDisallow: /private/\n"


@pytest.mark.parametrize(
    "path",
    [
        "/people/nobody",
        "/people/zoe?page=0",
        "/people/zoe?page=4",
        "/people/zoe?page=x",
        "/people/zoe?page=²",
        "/photos/zoe/999.jpg",
        "/photos/zoe/../../secret.txt",
        "/photos/zoe/..%2F..%2Fsecret.txt",
        "/../truth.json",
        "/truth.json",
    ],
)
def test_nothing_else_is_there(web: Path, path: str) -> None:
    with serve(web) as site:
        response, body = get(site, path.replace("²", "%C2%B2"))
        assert response.status == 404
        assert b"secret" not in body


def test_each_fault_does_what_it_says(web: Path) -> None:
    faults = Faults(
        not_found=1, truncated=1, not_an_image=1, robots_forbidden=1, redirect_off_site=1
    )
    with serve(web, faults) as site:
        path_of = {kind.value: path for path, kind in site.plan.bad.items()}
        assert site.plan.expected() == dict.fromkeys(sorted(path_of), 1)
        assert get(site, path_of["not_found"])[0].status == 404
        with pytest.raises(IncompleteRead):
            get(site, path_of["truncated"])
        response, body = get(site, path_of["not_an_image"])
        assert response.getheader("Content-Type") == "image/jpeg"
        assert body.startswith(b"<!doctype html>")
        moved = get(site, path_of["redirect_off_site"])[0]
        assert (moved.status, moved.getheader("Location")) == (
            302,
            "http://elsewhere.example.invalid/lost.jpg",
        )
        assert path_of["robots_forbidden"].startswith("/private/")
        assert path_of["not_found"] in site.requests
        linked = "".join(
            get(site, f"/people/{slug}?page={n}")[1].decode()
            for slug in ("zoe", "dots")
            for n in (1, 2, 3)
        )
        assert all(f'"{path}"' in linked for path in site.plan.bad)


def test_faults_are_planned_from_their_seed_and_hide_no_photo() -> None:
    photos = {"a": [f"/photos/a/{n:03}.jpg" for n in range(20)], "b": ["/photos/b/000.jpg"]}
    plan = plan_faults(photos, DEMO_FAULTS)
    assert plan == plan_faults(photos, DEMO_FAULTS)
    assert plan.galleries != plan_faults(photos, Faults(seed=1, not_found=9)).galleries
    for slug, paths in photos.items():
        assert [path for path in plan.galleries[slug] if path not in plan.bad] == paths
    assert len(plan.slow) == 4
    assert sum(plan.expected().values()) == len(plan.bad) == 16
    assert plan_faults({"a": []}, DEMO_FAULTS) == plan_faults({"a": []}, NO_FAULTS)


def test_crawl_files_describe_the_site(web: Path, tmp_path: Path) -> None:
    with serve(web) as site:
        files = write_crawl_files(site, tmp_path / "made" / "here")
    with files.identities.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["slug"]: row["identity"] for row in rows} == NAMES
    (described,) = yaml.safe_load(files.sites.read_text("utf-8"))["sites"]
    assert described["start_url"] == f"{site.url}/people/{{slug}}"
    assert described["allow_private"] is True


def test_the_port_is_free_again_after_use_and_can_be_chosen(web: Path) -> None:
    with serve(web) as site:
        port = int(site.url.rpartition(":")[2])
    with serve(web, port=port) as again:
        assert again.url == site.url


def test_a_folder_without_a_web_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no rendered web there"), serve(tmp_path):
        pass
