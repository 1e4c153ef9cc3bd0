"""Real crawls of every kind of source: galleries that load late, JSON, Wikimedia, lists of URLs."""

from __future__ import annotations

import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from crawlers.run import CrawlJob, crawl, list_crawl
from demo.wiki import Wiki, WikiFile, WikiItem
from demo.wiki_server import serve_wiki
from facedata.errors import RequestError
from facedata.records import ImageRecord

CC_BY = "https://creativecommons.org/licenses/by/4.0/"


def records(job: CrawlJob) -> list[ImageRecord]:
    return list(list_crawl(job.out, "w"))


def paths(job: CrawlJob) -> list[str]:
    return [urlsplit(record.source_uri).path for record in records(job)]


def test_a_gallery_that_loads_late_gives_its_largest_pictures(
    odd_site, respond, image_bytes, crawl_files, job_of
) -> None:
    data = {
        "@context": "https://schema.org",
        "@type": "ImageObject",
        "contentUrl": "/data.jpg",
        "license": CC_BY,
        "creator": {"@type": "Person", "name": "Jo"},
    }
    page = f"""<html><script type="application/ld+json">{json.dumps(data)}</script>
        <figure><img src="data:image/gif;base64,R0" data-src="/lazy.jpg"></figure>
        <figure><img src="/s.jpg" srcset="/m.jpg 640w, /l.jpg 1280w"></figure></html>"""
    names = ("data", "lazy", "s", "m", "l")
    odd_site.routes |= {f"/{name}.jpg": respond(image_bytes(ord(name[0]))) for name in names}
    odd_site.routes["/people/ada"] = respond(page.encode(), Content_Type="text/html")
    files = crawl_files([odd_site], images={"css": "figure img"}, json_ld=True, next_page=None)

    job = job_of(files)
    assert crawl(job).counts.stored == 3
    assert paths(job) == ["/data.jpg", "/l.jpg", "/lazy.jpg"]
    first = records(job)[0]
    assert (first.licence, first.licence_url, first.author) == ("cc-by-4.0", CC_BY, "Jo")

    # Only what says that it may be used is fetched when the recipe asks for that.
    odd_site.requests.clear()
    strict = job_of(files, out="strict", licences=("cc-by",))
    assert crawl(strict).counts.failed == {"licence_refused": 2}
    assert paths(strict) == ["/data.jpg"]
    assert [path for path in odd_site.requests if path.endswith(".jpg")] == ["/data.jpg"]


def test_pages_of_json_are_read_one_after_the_other(
    odd_site, respond, image_bytes, crawl_files, job_of
) -> None:
    def answer(names: str, following: str | None) -> bytes:
        items = [{"full": f"/{name}.jpg", "by": {"name": "Jo"}} for name in names]
        return json.dumps({"items": items, "next": following}).encode()

    odd_site.routes |= {f"/{name}.jpg": respond(image_bytes(ord(name))) for name in "abc"}
    odd_site.routes |= {
        "/people/ada": respond(answer("ab", "/people/ada?p=2"), Content_Type="application/json"),
        "/people/ada?p=2": respond(answer("c", None), Content_Type="application/json"),
    }
    files = crawl_files(
        [odd_site],
        images=None,
        spider="jsonapi",
        items="items[*]",
        image="full",
        rights={"author": "by.name"},
        next_page={"path": "next"},
    )
    job = job_of(files)
    result = crawl(job)
    assert (result.counts.stored, result.counts.pages) == (3, 2)
    assert paths(job) == ["/a.jpg", "/b.jpg", "/c.jpg"]
    assert {(record.author, record.spider) for record in records(job)} == {("Jo", "jsonapi")}


def test_the_key_of_an_interface_goes_to_it_alone_and_is_written_nowhere(
    odd_site,
    second_odd_site,
    respond,
    image_bytes,
    crawl_files,
    job_of,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "Client-ID v3ry-5ecret"

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") != secret:
            handler.send_error(401)
            return
        images = [f"{odd_site.url}/a.jpg", f"{second_odd_site.url}/b.jpg"]
        following = f"{second_odd_site.url}/people/ada"
        respond(json.dumps({"images": images, "next": following}).encode())(handler)

    odd_site.routes |= {"/people/ada": answer, "/a.jpg": respond(image_bytes(1))}
    second_odd_site.routes |= {
        "/people/ada": respond(json.dumps({"images": []}).encode()),
        "/b.jpg": respond(image_bytes(2)),
    }
    files = crawl_files(
        [odd_site],
        images=None,
        spider="jsonapi",
        items="[@]",
        image="images[]",
        next_page={"path": "next"},
        allowed_hosts=[odd_site.host, second_odd_site.host],
        api_key={"header": "Authorization", "variable": "WINNOW_TEST_KEY"},
    )
    job = job_of(files)
    with pytest.raises(RequestError, match="variable WINNOW_TEST_KEY is not set; it holds what"):
        crawl(job)
    assert odd_site.requests == []

    monkeypatch.setenv("WINNOW_TEST_KEY", secret)
    counts = crawl(job).counts
    assert (counts.stored, counts.pages, counts.pages_failed) == (2, 2, {})
    told = [
        path
        for site in (odd_site, second_odd_site)
        for path, headers in zip(site.requests, site.headers, strict=True)
        if "Authorization" in headers
    ]
    assert told == ["/people/ada"]
    written = [path.read_bytes() for path in job.out.rglob("*") if path.is_file()]
    assert len(written) >= 5
    assert not [data for data in written if b"5ecret" in data]

    monkeypatch.setenv("WINNOW_TEST_KEY", "two\nlines")
    with pytest.raises(RequestError, match="WINNOW_TEST_KEY holds what no header can") as caught:
        crawl(job)
    assert "two" not in str(caught.value)


def test_wikimedia_is_crawled_with_licences_through_continuation_and_busy_answers(
    image_bytes, tmp_path: Path, job_of
) -> None:
    free = {"License": "cc-by-sa-4.0", "LicenseShortName": "CC BY-SA 4.0", "Artist": "<b>Jo</b>"}
    unfree = {"LicenseShortName": "Fair use", "NonFree": "true"}
    files = [
        WikiFile(
            page_id=number,
            title=f"File:Photo {number}.jpg",
            body=image_bytes(number),
            facts=unfree if number % 4 == 0 else free,
            categories=("Ada Example",),
            is_deleted=number == 7,
        )
        for number in range(1, 13)
    ]
    items = [WikiItem(item_id="Q7", images=("Photo 1.jpg",), category="Ada Example")]
    wiki = Wiki(files=files, items=items, page_size=5, info_size=3)
    people, sites = tmp_path / "people.csv", tmp_path / "sites.yaml"
    people.write_text("identity,wikidata\nAda Example,Q7\nNobody,Q999\n")
    with serve_wiki(wiki, lag_every=9) as server:
        site = {
            "name": "commons",
            "spider": "wikimedia",
            "allow_private": True,
            "wikidata_url": server.wikidata_url,
            "commons_url": server.commons_url,
            "allowed_hosts": [urlsplit(server.commons_url).netloc],
            "delay_s": 0,
        }
        described = {"contact": "mailto:team@example.org", "sites": [site]}
        sites.write_text(yaml.safe_dump(described))
        job = job_of((people, sites), licences=("cc-by-sa", "cc0"))
        result = crawl(job)
        asked = list(server.files)
    assert result.counts.stored == 8
    assert result.counts.failed == {"licence_refused": 3}
    assert result.without_images == ("Nobody",)
    assert len(asked) == len(set(asked)) == 8
    for record in records(job):
        assert (record.licence, record.author, record.spider) == ("cc-by-sa-4.0", "Jo", "wikimedia")
        assert record.attribution is not None
        assert "Photo" in (record.page_url or "")


def test_a_list_of_urls_is_fetched_for_listed_people_only(
    odd_site, respond, image_bytes, tmp_path: Path, job_of
) -> None:
    odd_site.routes |= {f"/{n}.jpg": respond(image_bytes(n)) for n in range(4)}
    names = ["Ada", "Bo", "Ada", "Cy", "Ada"]
    urls = [*(f"{odd_site.url}/{n}.jpg" for n in range(4)), "mailto:x"]
    licences = ["CC BY 4.0", None, "All rights reserved", None, None]
    path = tmp_path / "urls.parquet"
    pq.write_table(pa.table({"identity": names, "url": urls, "licence": licences}), path)
    people = tmp_path / "people.csv"
    people.write_text("identity\nAda\nBo\nDo\n")
    keys = {"identities": str(people), "allow_private": (odd_site.host,)}

    job = job_of(path, **keys)
    result = crawl(job)
    assert result.counts.failed == {"not_listed": 1, "unsupported_scheme": 1}
    assert [(r.claimed_identity, r.licence) for r in records(job)] == [
        ("Ada", "cc-by-4.0"),
        ("Ada", "all-rights-reserved"),
        ("Bo", None),
    ]
    assert result.without_images == ("Do",)
    assert "/3.jpg" not in odd_site.requests
    assert records(job)[0].spider == "urllist"

    # Whoever is taken off the list no longer counts, and is back without being asked for again.
    whole = path.read_bytes()
    pq.write_table(pq.read_table(path).slice(1), path)
    odd_site.requests.clear()
    assert crawl(job_of(path, **keys)).counts.failed == result.counts.failed | {"not_listed": 2}
    assert [r.claimed_identity for r in records(job)] == ["Ada", "Bo"]
    path.write_bytes(whole)
    assert crawl(job_of(path, **keys)).counts == replace(result.counts, fetched=0)
    assert odd_site.requests == []

    # Without a word about private addresses the same list is refused.
    refused = crawl(job_of(path, out="refused"))
    assert refused.counts.failed == {"private_address": 4, "unsupported_scheme": 1}


def test_names_of_any_script_are_asked_for_as_they_are_listed(
    odd_site, listing, respond, image_bytes, crawl_files, job_of
) -> None:
    name = "李娜 О’Мэлли"
    odd_site.routes |= {
        f"/people/{quote(name, safe='')}": listing(["/ü 1.jpg"]),
        "/%C3%BC%201.jpg": respond(image_bytes(1)),
    }
    job = job_of(crawl_files([odd_site], f"identity,slug\n{name},{name}\n"))
    assert crawl(job).counts.stored == 1
    assert [record.claimed_identity for record in records(job)] == [name]
