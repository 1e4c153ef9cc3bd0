from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.causes import Cause
from crawlers.sites import Sites
from crawlers.spiders.page_content import FetchedPage, FoundImage, PageContent
from crawlers.spiders.wikimedia import read_wikimedia
from crawlers.spiders.wikimedia_site import WikimediaSite
from demo.wiki import Wiki, WikiFile, WikiItem
from demo.wiki_server import WikiServer, serve_wiki

AGENT = "Winnow/0.1 (+mailto:team@example.org)"
CC_BY_SA = {
    "License": "cc-by-sa-4.0",
    "LicenseShortName": "CC BY-SA 4.0",
    "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
    "Artist": '<a href="//commons.wikimedia.org/wiki/User:Jo" title="Jo">Jo &amp; Co<br>Ltd</a>',
    "Restrictions": "personality",
}
FACTS: dict[str, dict[str, str]] = {
    "cc-by-sa-4.0": CC_BY_SA,
    "public-domain": {"License": "pd", "LicenseShortName": "Public domain", "Copyrighted": "False"},
    "cc0": {
        "License": "cc0",
        "LicenseShortName": "CC0",
        "LicenseUrl": "http://creativecommons.org/publicdomain/zero/1.0/deed.en",
    },
    "cc-by-3.0-de": {
        "License": "cc-by-3.0-de",
        "LicenseShortName": "CC BY 3.0 de",
        "LicenseUrl": "//creativecommons.org/licenses/by/3.0/de/deed.en",
        "Attribution": "<b>Bundesarchiv</b>, Bild 1 / Jo / CC-BY 3.0",
    },
    "gfdl-1.2": {"License": "gfdl", "LicenseShortName": "GFDL 1.2"},
    "fair-use": {"LicenseShortName": "Fair use", "NonFree": "true"},
    "Attribution": {"License": "attribution", "LicenseShortName": "Attribution"},
}


def file(number: int, **keys: Any) -> WikiFile:
    facts = list(FACTS.values())[number % len(FACTS)]
    defaults = {"title": f"File:Photo {number}.jpg", "body": b"%d" % number, "facts": facts}
    return WikiFile(page_id=1000 + number, **{**defaults, **keys})


def wiki(**keys: Any) -> Wiki:
    """130 files in a category, some deleted or no photos, 60 that depict, and an old name."""
    files = [file(number, categories=("Ada Example",)) for number in range(120)]
    files += [
        file(200, title="File:Ada é.jpg", depicts=("Q7",)),
        file(201, title="File:New name.jpg", categories=("Ada Example",), depicts=("Q4",)),
        file(202, title="File:Gone.jpg", is_deleted=True, categories=("Ada Example",)),
        file(203, title="File:Hidden.jpg", is_hidden=True, categories=("Ada Example",)),
        file(204, title="File:Film.webm", mime="video/webm", categories=("Ada Example",)),
        file(205, title="File:Map.svg", mime="image/svg+xml", categories=("Ada Example",)),
        file(206, title="File:Below.jpg", categories=("Ada Example in 1990",)),
    ]
    files += [file(number, depicts=("Q7",)) for number in range(300, 360)]
    items = [
        WikiItem(
            item_id="Q7",
            images=("Ada_é.jpg", "Old name.jpg", "Never there.jpg"),
            deprecated_images=("Photo 5.jpg",),
            category="Ada Example",
        ),
        WikiItem(item_id="Q4", redirects_to="Q7"),
        WikiItem(item_id="Q8", linked_category="Category:Ada Example in 1990"),
        WikiItem(item_id="Q9", linked_category="Ada Example"),
    ]
    defaults: dict[str, Any] = {
        "renamed": {"File:Old name.jpg": "File:New name.jpg"},
        "subcategories": {
            "Category:Ada Example": ("Category:Ada Example in 1990",),
            "Category:Ada Example in 1990": ("Category:Ada Example",),
        },
        "page_size": 70,
        "info_size": 20,
    }
    return Wiki(files=files, items=items, **{**defaults, **keys})


def site(server: WikiServer, **keys: Any) -> WikimediaSite:
    described = {"name": "commons", "spider": "wikimedia", "allow_private": True}
    endpoints = {"wikidata_url": server.wikidata_url, "commons_url": server.commons_url}
    content = {"contact": "mailto:team@example.org", "sites": [described | endpoints | keys]}
    found = Sites.model_validate(content).sites[0]
    assert isinstance(found, WikimediaSite)
    return found


def ask(url: str, agent: str = AGENT) -> FetchedPage:
    with urlopen(Request(url, headers={"User-Agent": agent})) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return FetchedPage(url=url, body=response.read(), headers=headers)


def walk(of: WikimediaSite, person: str) -> list[PageContent]:
    """Ask for everything that follows from a person; busy answers are asked for again."""
    queue = deque([of.start_url.format(wikidata=person)])
    asked, contents = set(queue), []
    while queue:
        url = queue.popleft()
        contents.append(content := read_wikimedia(of, ask(url)))
        queue += [url] if content.retry_after_s else []
        new = [one for one in content.next_urls if one not in asked]
        asked.update(new)
        queue += new
    return contents


def images(contents: Iterable[PageContent]) -> dict[str, FoundImage]:
    found = [image for content in contents for image in content.images]
    return {image.url.rpartition("/")[2]: image for image in found}


def test_all_photos_of_a_person_are_found_through_continuation_and_busy_answers() -> None:
    with serve_wiki(wiki(), lag_every=4) as server:
        contents = walk(site(server), "Q7")
    assert [content.cause for content in contents] == [None] * len(contents)
    busy = [content for content in contents if content.retry_after_s is not None]
    assert len(busy) == len(server.calls) // 4 > 3
    assert {content.retry_after_s for content in busy} == {5.0}
    assert {content.detail for content in busy} == {
        "API error maxlag: Waiting for 10.64.16.7: 7.1 seconds lagged."
    }
    names = {f"Photo_{number}.jpg" for number in [*range(120), *range(300, 360)]}
    assert images(contents).keys() == names | {"Ada_%C3%A9.jpg", "New_name.jpg"}


def test_no_call_asks_for_more_than_the_api_gives() -> None:
    with serve_wiki(wiki(page_size=500, info_size=50)) as server:
        contents = walk(site(server), "Q7")
    assert not [content.detail for content in contents if "warning" in (content.detail or "")]
    # The item; its images; 125 category members in 3 calls; 61 depicting files in 2.
    assert len(server.calls) == 1 + 1 + (1 + 3) + (1 + 2)
    assert max(len(call) for call in server.calls) < 1000
    assert all("maxlag=5" in call and "formatversion=2" in call for call in server.calls)


def test_what_is_no_photo_is_counted_with_its_reason() -> None:
    with serve_wiki(wiki()) as server:
        contents = walk(site(server), "Q7")
    assert sum(content.without_url for content in contents) == 5
    said = "; ".join(content.detail or "" for content in contents)
    assert said.count("1 deleted or never there") == 2
    assert "1 hidden or lost" in said
    assert "1 no photo (image/svg+xml); 1 no photo (video/webm)" in said
    assert "restrictions personality: " in said


def test_an_item_that_was_merged_is_found_under_its_new_id_and_its_old() -> None:
    with serve_wiki(wiki()) as server:
        merged, new = images(walk(site(server), "Q4")), images(walk(site(server), "Q7"))
        entity = read_wikimedia(site(server), ask(site(server).start_url.format(wikidata="Q4")))
    assert merged == new
    assert "P180%3DQ7%7CP180%3DQ4" in entity.next_urls[-1]


def test_subcategories_are_followed_as_deep_as_said() -> None:
    with serve_wiki(wiki()) as server:
        assert "Below.jpg" not in images(walk(site(server), "Q7"))
        assert "Below.jpg" in images(walk(site(server, depth=1), "Q7"))
        before = len(server.calls)
        # Two categories that hold one another end by their depth.
        assert "Below.jpg" in images(walk(site(server, depth=5), "Q7"))
        assert len(server.calls) - before < 60


def test_the_category_may_be_the_page_that_the_item_links() -> None:
    with serve_wiki(wiki()) as server:
        assert images(walk(site(server), "Q8")).keys() == {"Below.jpg"}
        # A gallery page is no category.
        assert images(walk(site(server), "Q9")) == {}


@pytest.mark.parametrize("name", FACTS)
def test_licences_are_named(name: str) -> None:
    with serve_wiki(Wiki(files=[file(0, facts=FACTS[name], depicts=("Q7",))])) as server:
        url = f"{server.commons_url}?prop=imageinfo&pageids=1000"
        (image,) = read_wikimedia(site(server), ask(url)).images
    assert image.rights.licence == name


def test_an_image_has_its_page_and_the_line_that_must_go_with_it() -> None:
    one, other = file(0), file(1, facts=FACTS["cc-by-3.0-de"])
    with serve_wiki(Wiki(files=[one, other])) as server:
        url = f"{server.commons_url}?prop=imageinfo&pageids=1000|1001"
        first, second = read_wikimedia(site(server), ask(url)).images
    assert first.url == f"{server.url}/images/Photo_0.jpg"
    assert first.page_url == f"{server.url}/wiki/File:Photo_0.jpg"
    assert first.rights.author == "Jo & Co Ltd"
    assert first.rights.licence_url == "https://creativecommons.org/licenses/by-sa/4.0"
    assert first.rights.attribution == (
        f"Photo 0.jpg, Jo & Co Ltd, CC BY-SA 4.0, {server.url}/wiki/File:Photo_0.jpg"
    )
    assert second.rights.attribution == "Bundesarchiv, Bild 1 / Jo / CC-BY 3.0"
    assert second.rights.licence_url == "https://creativecommons.org/licenses/by/3.0/de/deed.en"


def test_a_width_gives_scaled_images_and_never_larger_ones() -> None:
    files = [file(0, width=4000), file(1, width=300)]
    with serve_wiki(Wiki(files=files, items=[WikiItem(item_id="Q7", category="Ada")])) as server:
        url = f"{server.commons_url}?prop=imageinfo&iiurlwidth=1280&pageids=1000|1001"
        large, small = read_wikimedia(site(server), ask(url)).images
        described = site(server, width=1280)
        start = read_wikimedia(described, ask(described.start_url.format(wikidata="Q7")))
        category = read_wikimedia(described, ask(start.next_urls[0]))
    assert large.url == f"{server.url}/thumb/images/Photo_0.jpg/1280px"
    assert small.url == f"{server.url}/images/Photo_1.jpg"
    assert category.next_urls == ()


@pytest.mark.parametrize(
    ("person", "detail"),
    [
        ("Q404", "no item Q404 on Wikidata"),
        ("Ada", 'API error no-such-entity: Could not find an entity with the ID "Ada".'),
        ("Q0", 'API error no-such-entity: Could not find an entity with the ID "Q0".'),
    ],
)
def test_an_item_that_is_not_there_is_told(person: str, detail: str) -> None:
    with serve_wiki(wiki()) as server:
        (content,) = walk(site(server), person)
    assert content == PageContent(cause=Cause.NOT_A_PAGE, detail=detail)


def test_too_many_files_in_one_call_are_an_error_of_the_api() -> None:
    with serve_wiki(wiki()) as server:
        numbers = "|".join(str(number) for number in range(51))
        content = read_wikimedia(
            site(server), ask(f"{server.commons_url}?prop=imageinfo&pageids={numbers}")
        )
    assert content.cause is Cause.NOT_A_PAGE
    assert "toomanyvalues" in (content.detail or "")


def test_warnings_of_the_api_are_kept() -> None:
    with serve_wiki(wiki()) as server:
        url = f"{server.commons_url}?list=search&srsearch=haswbstatement:P180=Q7&srlimit=501"
        content = read_wikimedia(site(server), ask(url))
    assert content.cause is None
    assert content.detail == (
        'API warning search: "srlimit" may not be over 500 (set to 501) for users.'
    )


def test_the_replica_turns_away_who_has_no_contact() -> None:
    with serve_wiki(wiki()) as server, pytest.raises(HTTPError, match="403"):
        ask(site(server).start_url.format(wikidata="Q7"), agent="python-urllib/3")


@pytest.mark.parametrize(
    ("headers", "error", "wait_s"),
    [
        ({"retry-after": "30"}, {"code": "maxlag", "lag": 8}, 30.0),
        ({}, {"code": "maxlag", "lag": 8}, 8.0),
        ({}, {"code": "maxlag", "lag": 0.3}, 5.0),
        ({"retry-after": "soon"}, {"code": "ratelimited"}, 5.0),
        ({"retry-after": "1e999"}, {"code": "ratelimited"}, 5.0),
        ({"retry-after": "99999"}, {"code": "maxlag"}, 3600.0),
    ],
)
def test_a_busy_server_says_when_to_ask_again(
    headers: dict[str, str], error: dict[str, Any], wait_s: float
) -> None:
    with serve_wiki(wiki()) as server:
        of = site(server)
    page = FetchedPage(
        url=of.start_url, body=json.dumps({"error": error}).encode(), headers=headers
    )
    content = read_wikimedia(of, page)
    assert (content.cause, content.retry_after_s) == (None, wait_s)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_KEYS = sorted(
    {"query", "pages", "imageinfo", "entities", "Q7", "claims", "P18", "mainsnak", "datavalue"}
    | {"value", "search", "categorymembers", "title", "url", "extmetadata", "continue", "id"}
    | {"warnings", "error", "code", "pageid", "sitelinks", "commonswiki", "missing"}
)
_shaped = st.recursive(
    _json,
    lambda inner: (
        st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4) | st.lists(inner, max_size=2)
    ),
    max_leaves=12,
)
OF = Sites.model_validate(
    {"contact": "mailto:a@example.org", "sites": [{"name": "w", "spider": "wikimedia"}]}
).sites[0]


@settings(deadline=None)
@given(
    answer=_shaped,
    call=st.sampled_from(
        ["action=wbgetentities&ids=Q7", "list=search", "list=categorymembers", "prop=imageinfo", ""]
    ),
)
def test_no_answer_makes_the_reader_fail(answer: Any, call: str) -> None:
    assert isinstance(OF, WikimediaSite)
    page = FetchedPage(url=f"{OF.commons_url}?{call}", body=json.dumps(answer).encode())
    assert isinstance(read_wikimedia(OF, page), PageContent)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b"[]"])
def test_what_is_no_answer_is_no_page(body: bytes) -> None:
    assert isinstance(OF, WikimediaSite)
    content = read_wikimedia(OF, FetchedPage(url=OF.start_url, body=body))
    assert content.cause is Cause.NOT_A_PAGE
    assert content.detail
