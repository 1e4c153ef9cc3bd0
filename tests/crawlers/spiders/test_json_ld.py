from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.spiders.json_ld import json_ld_images
from crawlers.spiders.page_content import FoundImage, Rights

BASE = "https://example.org/people/"


def found(*documents: Any) -> tuple[FoundImage, ...]:
    return json_ld_images([json.dumps(one) for one in documents], BASE)


def urls(*documents: Any) -> list[str]:
    return [image.url.removeprefix(BASE) for image in found(*documents)]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"@type": "Person", "image": "a.jpg"}, ["a.jpg"]),
        ({"@type": "Person", "image": ["a.jpg", {"url": "b.jpg"}]}, ["a.jpg", "b.jpg"]),
        ({"@type": "ImageObject", "contentUrl": "a.jpg", "url": "page"}, ["a.jpg"]),
        ({"@type": "https://schema.org/ImageObject", "url": "a.jpg"}, ["a.jpg"]),
        ({"@type": ["Thing", "ImageObject"], "contentUrl": ["a.jpg"]}, ["a.jpg"]),
        ({"@graph": [{"@type": "Article", "image": {"contentUrl": "a.jpg"}}]}, ["a.jpg"]),
        (
            {
                "@type": "ItemList",
                "itemListElement": [
                    {"@type": "ListItem", "item": {"@type": "Person", "image": "a.jpg"}},
                    {"@type": "ListItem", "image": "b.jpg"},
                ],
            },
            ["a.jpg", "b.jpg"],
        ),
        (
            {
                "@graph": [
                    {"@type": "Person", "image": {"@id": "#photo"}},
                    {"@id": "#photo", "@type": "ImageObject", "contentUrl": "a.jpg"},
                ]
            },
            ["a.jpg"],
        ),
        # Not of the person: who publishes or wrote it, and small copies.
        (
            {
                "@type": "Article",
                "image": "a.jpg",
                "publisher": {"@type": "Organization", "image": "b.jpg", "logo": {"url": "c.jpg"}},
                "author": {"@type": "Person", "image": "d.jpg"},
                "thumbnail": {"@type": "ImageObject", "contentUrl": "e.jpg"},
            },
            ["a.jpg"],
        ),
        ({"@type": "Person", "image": {"@id": "#nowhere"}}, []),
        ({"@type": "Person", "image": {"name": "no address"}}, []),
        ({"@type": "Person", "image": None}, []),
        ([], []),
        ("text", []),
    ],
)
def test_images_are_found_where_schema_org_puts_them(document: Any, expected: list[str]) -> None:
    assert urls(document) == expected


def test_an_image_has_the_terms_that_stand_with_it() -> None:
    document = {
        "@type": "ImageObject",
        "contentUrl": "/a.jpg",
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "creator": [{"@type": "Person", "name": "Jo"}, "Bo"],
        "creditText": "Jo / Example",
        "copyrightNotice": "© Jo",
        "acquireLicensePage": "https://example.org/buy",
    }
    assert found(document)[0].rights == Rights(
        licence="cc-by-4.0",
        licence_url="https://creativecommons.org/licenses/by/4.0/",
        author="Jo, Bo",
        attribution="Jo / Example",
    )


def test_a_licence_may_be_described_or_have_to_be_bought() -> None:
    described, bought, named = found(
        {
            "@type": "ImageObject",
            "url": "a.jpg",
            "license": {"@type": "CreativeWork", "url": "/terms", "name": "House licence"},
        },
        {
            "@type": "ImageObject",
            "url": "b.jpg",
            "copyrightNotice": "© Jo",
            "acquireLicensePage": "/buy",
        },
        {"@type": "ImageObject", "url": "c.jpg", "license": "CC BY-SA 4.0"},
    )
    assert described.rights == Rights(licence="/terms", licence_url="https://example.org/terms")
    assert bought.rights == Rights(licence_url="https://example.org/buy", attribution="© Jo")
    assert named.rights == Rights(licence="cc-by-sa-4.0")


def test_scripts_that_are_no_json_are_passed_over() -> None:
    good = '{"@type": "Person", "image": "a.jpg"}'
    scripts = ["{", "", "<!-- " + good + " -->", "[" * 100_000, "//<![CDATA[\n" + good + "\n//]]>"]
    assert [image.url for image in json_ld_images(scripts, BASE)] == [f"{BASE}a.jpg"]


def test_a_graph_that_goes_in_circles_or_on_for_ever_ends() -> None:
    circle = {"@graph": [{"@id": "#a", "image": {"@id": "#b"}}, {"@id": "#b", "image": "a.jpg"}]}
    assert urls(circle) == ["a.jpg"]
    assert urls([{"image": "a.jpg"}] + [{"image": f"{n}.jpg"} for n in range(30_000)])[0] == "a.jpg"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["@graph", "@id", "@type", "image", "url", "license", "creator"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(_json)
def test_no_document_makes_it_fail(document: Any) -> None:
    assert isinstance(found(document), tuple)
