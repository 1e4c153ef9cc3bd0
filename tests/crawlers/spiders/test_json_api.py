from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.causes import Cause
from crawlers.sites import Sites
from crawlers.spiders.json_api import read_json_api
from crawlers.spiders.page_content import FetchedPage, FoundImage, PageContent, Rights

Make = Callable[..., Any]
URL = "https://example.org/search?q=ada"
KEYS: dict[str, Any] = {"items": "results[*]", "image": "urls.full"}


def page(answer: Any, url: str = URL) -> FetchedPage:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return FetchedPage(url=url, body=body)


def read(described: Make, answer: Any, url: str = URL, **keys: Any) -> PageContent:
    return read_json_api(described("jsonapi", **KEYS | keys), page(answer, url))


def test_items_give_images_with_their_page_and_terms(described: Make) -> None:
    item = {
        "urls": {"full": "/a.jpg"},
        "links": {"html": "photo/1"},
        "license": {"name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"},
        "user": {"name": " Jo\nEx "},
        "credit": "Jo Ex / Example",
    }
    rights = {
        "licence": "license.name",
        "licence_url": "license.url",
        "author": "user.name",
        "attribution": "credit",
    }
    content = read(described, {"results": [item]}, page="links.html", rights=rights)
    assert content == PageContent(
        images=(
            FoundImage(
                url="https://example.org/a.jpg",
                page_url="https://example.org/photo/1",
                rights=Rights(
                    licence="cc-by-4.0",
                    licence_url="https://creativecommons.org/licenses/by/4.0/",
                    author="Jo Ex",
                    attribution="Jo Ex / Example",
                ),
            ),
        )
    )


@pytest.mark.parametrize(
    ("keys", "answer", "urls", "without_url"),
    [
        ({}, {"results": []}, [], 0),
        ({}, {"results": [{"urls": {"full": "a"}}, {}, {"urls": {"full": None}}]}, ["a"], 2),
        ({"image": ["urls.full", "urls.raw"]}, {"results": [{"urls": {"raw": "b"}}]}, ["b"], 0),
        ({"image": "urls.full || urls.raw"}, {"results": [{"urls": {"raw": "b"}}]}, ["b"], 0),
        ({"image": "sizes[-1].src"}, {"results": [{"sizes": [{"src": "s"}, {"src": "l"}]}]},
         ["l"], 0),
        ({"image": "photos[].src"}, {"results": [{"photos": [{"src": "a"}, {"src": "b"}]}]},
         ["a", "b"], 0),
        ({"items": "[]", "image": "@"}, ["a", "b", "a"], ["a", "b"], 0),
        ({"items": "people[*].photos[]", "image": "@"},
         {"people": [{"photos": ["a"]}, {"photos": ["b"]}]},
         ["a", "b"], 0),
        ({"items": "results[?type=='photo']", "image": "u"},
         {"results": [{"type": "film", "u": "a"}, {"type": "photo", "u": "b"}]}, ["b"], 0),
    ],
)  # fmt: skip
def test_paths_are_jmespath(
    described: Make, keys: Any, answer: Any, urls: list[str], without_url: int
) -> None:
    content = read(described, answer, **keys)
    assert [image.url.removeprefix("https://example.org/") for image in content.images] == urls
    assert (content.without_url, content.cause) == (without_url, None)


@pytest.mark.parametrize(
    ("next_page", "answer", "url", "following"),
    [
        ({"path": "next"}, {"next": "/p2"}, URL, "https://example.org/p2"),
        ({"path": "next"}, {"next": None}, URL, None),
        ({"path": "next"}, {}, URL, None),
        ({"path": "next", "parameter": "cursor"}, {"next": "a=="}, URL, f"{URL}&cursor=a%3D%3D"),
        (
            {"path": "next", "parameter": "cursor"},
            {"next": 9},
            f"{URL}&cursor=8&n=3",
            f"{URL}&n=3&cursor=9",
        ),
        ({"path": "next", "parameter": "cursor"}, {"next": ""}, URL, None),
        ({"pattern": "?page={n}"}, {}, URL, f"{URL}&page=2"),
        ({"pattern": "?offset={n}", "first": 0, "step": 30}, {}, URL, f"{URL}&offset=30"),
    ],
)
def test_the_next_page_is_said_or_counted(
    described: Make, next_page: Any, answer: Any, url: str, following: str | None
) -> None:
    full = {"results": [{"urls": {"full": "a"}}]} | answer
    content = read(described, full, url, next_page=next_page)
    assert content.next_urls == (() if following is None else (following,))


def test_counted_pages_end_with_one_that_has_no_items(described: Make) -> None:
    assert read(described, {"results": []}, next_page={"pattern": "?page={n}"}).next_urls == ()


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"<html>", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"[" * 100_000, "not JSON that can be read: nested too deeply"),
        (
            {"error": "no key", "code": 3},
            "no list at results[*]; the answer has the keys error, code",
        ),
        ({"results": {"a": 1}}, "no list at results[*]; the answer has the keys results"),
        ([1], "no list at results[*]; the answer is a list"),
    ],
)
def test_what_is_no_answer_is_told(described: Make, answer: Any, detail: str) -> None:
    assert read(described, answer) == PageContent(cause=Cause.NOT_A_PAGE, detail=detail)


def test_a_path_that_does_not_fit_is_told(described: Make) -> None:
    content = read(described, {"results": [{"n": 1}]}, image="join('-', n)")
    assert content.cause is Cause.NOT_A_PAGE
    assert (content.detail or "").startswith("a path does not fit the answer: In function join()")


@pytest.mark.parametrize(
    ("start_url", "url", "is_api"),
    [
        ("https://example.org/people/{slug}", "https://example.org/people/ada?page=2", True),
        ("https://example.org/people/{slug}", "https://example.org/people/ada/1.jpg", False),
        ("https://example.org/people/{slug}", "https://example.org/photos/a.jpg", False),
        ("https://example.org/{slug}.json", "https://example.org/ada.json", True),
        ("https://example.org/{slug}.json", "https://example.org/ada.jpg", False),
        ("https://example.org/v1/search?q={slug}", "https://example.org/v1/search?c=a", True),
        ("https://example.org/v1/search?q={slug}", "https://example.org/v1/searching", False),
        ("https://example.org/v1/search?q={slug}", "https://example.org:8/v1/search", False),
    ],
)
def test_only_calls_of_an_interface_with_known_terms_pass_robots_by(
    described: Make, start_url: str, url: str, is_api: bool
) -> None:
    keys = KEYS | {"start_url": start_url}
    assert not described("jsonapi", **keys).is_api(url)
    known = described("jsonapi", **keys, terms_url="https://example.org/terms")
    assert known.is_api(url) is is_api
    assert known.fetch_rules().is_api(url) is is_api


SITE = Sites.model_validate(
    {
        "contact": "mailto:a@example.org",
        "sites": [
            {
                "name": "any",
                "spider": "jsonapi",
                "start_url": "https://example.org/",
                "allowed_hosts": ["example.org"],
                "items": "a",
                "image": ["a", "b.a", "b[].a"],
                "page": "b",
                "rights": {"licence": "a", "licence_url": "b", "author": "a"},
                "next_page": {"path": "b", "parameter": "p"},
            }
        ],
    }
).sites[0]
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(_json)
def test_no_answer_makes_the_reader_fail(answer: Any) -> None:
    content = read_json_api(SITE, page(answer))
    assert all(image.url.encode() for image in content.images)


KEY = {"header": "X-Api-Key", "variable": "STOCK_KEY"}


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"api_key": KEY | {"header": "cookie"}}, "'cookie' is set by the crawler"),
        ({"api_key": KEY | {"header": "A: b"}}, "String should match pattern"),
        ({"api_key": KEY | {"variable": "stock key"}}, "String should match pattern"),
        ({"api_key": KEY | {"value": "v3ry-5ecret"}}, "Extra inputs are not permitted"),
        ({"api_key": KEY, "start_url": "http://example.org/{identity}"}, "needs a start_url with"),
    ],
)
def test_keys_that_would_not_be_safe_are_refused(
    described: Make, keys: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        described("jsonapi", **KEYS | keys)


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        ("https://example.org/other?page=2", True),
        ("https://EXAMPLE.org:443/x", True),
        ("http://example.org/x", False),
        ("https://example.org:8443/x", False),
        ("https://images.example.org/x", False),
        ("https://example.org.evil.example/x", False),
        ("https://example.org@evil.example/x", False),
    ],
)
def test_a_key_is_of_one_origin(described: Make, url: str, is_sent: bool) -> None:
    assert described("jsonapi", **KEYS, api_key=KEY).has_key(url) is is_sent
    assert not described("jsonapi", **KEYS).has_key(url)
