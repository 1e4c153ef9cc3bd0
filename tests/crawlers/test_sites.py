from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from crawlers.sites import Sites, load_sites, template_columns
from crawlers.spiders.url_list_site import UrlListSite
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


def wikimedia(**changes: Any) -> dict[str, Any]:
    return {"name": "commons", "spider": "wikimedia"} | changes


def stock(**changes: Any) -> dict[str, Any]:
    keys = {
        "name": "stock",
        "spider": "jsonapi",
        "start_url": "https://api.example.org/search?q={identity}",
        "allowed_hosts": ["api.example.org"],
        "items": "results",
        "image": "url",
    }
    return keys | changes


def test_each_kind_of_site_is_its_own(tmp_path: Path) -> None:
    content = {"contact": "mailto:a@example.org", "sites": [site(), stock(), wikimedia()]}
    sites = load(tmp_path, content)
    assert [type(one).__name__ for one in sites.sites] == [
        "GallerySite",
        "JsonApiSite",
        "WikimediaSite",
    ]
    assert Sites.model_validate_json(sites.model_dump_json()) == sites


def test_a_kind_that_is_not_said_is_the_recipe_s(tmp_path: Path) -> None:
    path = tmp_path / "sites.yaml"
    content = {"contact": "mailto:a@example.org", "sites": [{"name": "w"}, wikimedia()]}
    path.write_text(yaml.safe_dump(content), "utf-8")
    assert [one.spider for one in load_sites(path, "wikimedia").sites] == ["wikimedia"] * 2
    with pytest.raises(SourceError, match=r"key sites\.0\.start_url is missing"):
        load_sites(path)


def test_wikimedia_needs_no_more_than_a_name(tmp_path: Path) -> None:
    (only,) = load(tmp_path, {"contact": "mailto:a@b.org", "sites": [wikimedia()]}).sites
    assert only.allowed_hosts == (
        "www.wikidata.org",
        "commons.wikimedia.org",
        "upload.wikimedia.org",
    )
    assert template_columns(only.start_url) == ["wikidata"]
    assert only.allows(only.start_url)
    assert only.is_api(only.start_url.format(wikidata="Q42"))
    assert only.is_api("https://commons.wikimedia.org/w/api.php?action=query")
    assert not only.is_api("https://upload.wikimedia.org/wikipedia/commons/a/a9/Example.jpg")
    assert not only.is_api("https://commons.wikimedia.org/wiki/File:Example.jpg")


@pytest.mark.parametrize(
    ("described", "problem"),
    [
        (site(spider="flickr"), "sites.0.spider = 'flickr': allowed: gallery, jsonapi, wikimedia"),
        (site(spider="urllist"), "sites.0.spider = 'urllist': allowed: gallery, jsonapi"),
        (site(images={"css": "img", "xpath": "//img"}), "give either css or xpath"),
        (site(images=[]), "sites.0.images = []: Tuple should have at least 1 item"),
        (
            site(images=[{"css": "a"}, {"css": "img["}]),
            "sites.0.images.1 = {'css': 'img['}: selector cannot be read",
        ),
        (site(images={"xpath": "count(//img)"}), "selects a number or a truth value"),
        (site(rights={"licence": "//a["}), "sites.0.rights.licence = '//a['"),
        (site(next_page={"css": "a"}), "key sites.0.next_page.attribute is missing"),
        (
            site(next_page={"pattern": "?page="}),
            "sites.0.next_page.pattern = '?page=': must have {n}, the page's number, exactly once",
        ),
        (site(next_page={"pattern": "https://x/{n}"}), 'must be relative, such as "?page={n}"'),
        (site(next_page={"pattern": "?a=1&b={n}"}), "that begins with ? sets one parameter"),
        (site(next_page={"pattern": "?p={n}", "step": 0}), "sites.0.next_page.step = 0"),
        (stock(items="a["), "sites.0.items = 'a[': is no JMESPath"),
        (stock(image=[]), "sites.0.image = []"),
        (stock(next_page={"path": "]"}), "sites.0.next_page.path = ']': is no JMESPath"),
        (stock(rights={"license": "a"}), "unknown key sites.0.rights.license"),
        (stock(start_url="https://other.org/"), "(other.org) is not in allowed_hosts"),
        (stock(terms_url="terms"), "sites.0.terms_url = 'terms'"),
        (wikimedia(width=10), "sites.0.width = 10"),
        (wikimedia(depth=9), "sites.0.depth = 9"),
        (wikimedia(column="a b"), "sites.0.column = 'a b'"),
        (wikimedia(commons_url="https://x.org/api.php?a=b"), "address of an api.php, without"),
        (wikimedia(wikidata_url="x.org"), "sites.0.wikidata_url = 'x.org': must begin with http"),
        (
            wikimedia(commons_url="http://127.0.0.1/w/api.php"),
            "commons_url has the private address 127.0.0.1",
        ),
        (
            wikimedia(allowed_hosts=["www.wikidata.org"]),
            "the host of commons_url (commons.wikimedia.org) is not in allowed_hosts",
        ),
    ],
)
def test_each_kind_names_what_is_wrong(
    tmp_path: Path, described: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SourceError) as caught:
        load(tmp_path, {"contact": "mailto:a@example.org", "sites": [described]})
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wikimedia_wants_a_contact_that_can_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="contact is 'the data team'; Wikimedia asks for an e-m"):
        load(tmp_path, {"contact": "the data team", "sites": [wikimedia()]})
    load(tmp_path, {"contact": "https://example.org/crawler", "sites": [wikimedia()]})


def test_parts_of_a_crawl_together_are_as_gentle_as_the_whole(tmp_path: Path) -> None:
    described = site(delay_s=0.5, concurrency=5, retries=1, allow_private=True)
    (only,) = load(tmp_path, {"contact": "a", "sites": [described]}).sites
    alone, of_four = only.fetch_rules(), only.fetch_rules(4)
    assert (alone.delay_s, alone.concurrency, alone.retries) == (0.5, 5, 1)
    assert (of_four.delay_s, of_four.concurrency, of_four.retries) == (2.0, 1, 1)
    assert of_four.allow_private("example.org", 443)
    assert not of_four.allow_private("other.org", 443)


def test_a_url_list_may_name_any_host_but_private_ones_by_name() -> None:
    of_list = UrlListSite(name="list", private_hosts=("127.0.0.1:8080", "*.intern.example"))
    rules = of_list.fetch_rules()
    assert rules.allows("https://anything.example/x.jpg")
    assert not rules.allows("ftp://anything.example/x.jpg")
    assert not rules.allows("http://[x")
    assert rules.allow_private("127.0.0.1", 8080)
    assert not rules.allow_private("127.0.0.1", 80)
    assert rules.allow_private("a.intern.example", 443)
    with pytest.raises(ValueError, match="'a/b' is not a host or host:port"):
        UrlListSite(name="list", private_hosts=("a/b",))
