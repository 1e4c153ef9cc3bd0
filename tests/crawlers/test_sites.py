from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from crawlers.sites import load_sites, template_columns
from facedata.errors import SourceError


def site(**changes: Any) -> dict[str, Any]:
    keys = {
        "name": "gallery",
        "start_url": "https://example.org/people/{slug}",
        "allowed_hosts": ["example.org"],
        "images": {"css": "img", "attribute": "src"},
    }
    return keys | changes


def load(tmp_path: Path, content: Any):
    path = tmp_path / "sites.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")
    return load_sites(path)


def test_a_short_description_has_polite_defaults(tmp_path: Path) -> None:
    sites = load(tmp_path, {"contact": "mailto:a@example.org", "sites": [site()]})
    only = sites.sites[0]
    assert sites.user_agent == "Winnow"
    assert (only.delay_s, only.concurrency, only.timeout_s, only.retries) == (0.5, 4, 30.0, 2)
    assert not only.allow_private


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.org/x", True),
        ("http://EXAMPLE.org/x", True),
        ("https://example.org:8443/x", True),
        ("https://example.org:9000/x", False),
        ("https://a.img.example.org/x", True),
        ("https://img.example.org/x", False),
        ("https://badexample.org/x", False),
        ("https://example.org.evil.net/x", False),
        ("https://example.org@evil.net/x", False),
        ("ftp://example.org/x", False),
        ("https://example.org:99999/x", False),
    ],
)
def test_hosts_are_matched_whole(tmp_path: Path, url: str, allowed: bool) -> None:
    hosts = ["example.org", "example.org:8443", "*.img.example.org"]
    sites = load(tmp_path, {"contact": "x", "sites": [site(allowed_hosts=hosts)]})
    assert sites.sites[0].allows(url) is allowed


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_page": 3}, "unknown key sites.0.max_page"),
        ({"max_pages": 0}, "sites.0.max_pages = 0: Input should be greater than or equal to 1"),
        ({"max_pages": "many"}, "sites.0.max_pages = 'many'"),
        ({"images": {"css": "img["}}, "sites.0.images.0 = {'css': 'img['}: selector cannot be"),
        ({"images": {"css": "img[", "attribute": "src"}}, "selector cannot be read"),
        ({"images": {"xpath": "//img[", "attribute": "src"}}, "selector cannot be read"),
        ({"images": {"attribute": "src"}}, "give either css or xpath"),
        ({"start_url": "file:///etc/{slug}"}, "must begin with http:// or https://"),
        ({"start_url": "https://{host}/x"}, "the host must be fixed"),
        ({"start_url": "https://example.org/{a.b}"}, "is not a plain {column}"),
        ({"start_url": "https://other.org/{slug}"}, "(other.org) is not in allowed_hosts"),
        ({"allowed_hosts": ["example.org/x"]}, "'example.org/x' is not a host or host:port"),
        ({"allowed_hosts": []}, "sites.0.allowed_hosts = []"),
        ({"name": "../x"}, "sites.0.name = '../x'"),
        (
            {"start_url": "http://127.0.0.1/{slug}", "allowed_hosts": ["127.0.0.1"]},
            "start_url has the private address 127.0.0.1; for a site of your own say "
            "allow_private: true",
        ),
        (
            {"start_url": "http://2130706433/{slug}", "allowed_hosts": ["2130706433"]},
            "start_url has the private address 2130706433",
        ),
    ],
)
def test_errors_name_key_and_value(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        load(tmp_path, {"contact": "mailto:a@example.org", "sites": [site(**changes)]})
    assert problem in str(caught.value)
    assert str(tmp_path / "sites.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("sites: [", "is not valid YAML"),
        ("", "the file = None"),
        ({"sites": [site()]}, "key contact is missing"),
        ({"contact": "a\nb", "sites": [site()]}, "contact = 'a\\nb'"),
        ({"contact": "a", "user_agent": "Mozilla/5.0", "sites": [site()]}, "user_agent = "),
        ({"contact": "a", "sites": [site(), site()]}, "several sites are named ['gallery']"),
        ({"contact": "a", "sites": []}, "sites = []"),
    ],
)
def test_unusable_files_are_one_clear_error(tmp_path: Path, content: Any, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        load(tmp_path, content)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"sites.yaml cannot be read \(No such file"):
        load_sites(tmp_path / "sites.yaml")


def test_template_columns_come_in_order() -> None:
    assert template_columns("https://x/{b}/{a}?q={{no}}") == ["b", "a"]
