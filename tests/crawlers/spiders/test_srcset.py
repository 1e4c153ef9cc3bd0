from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.spiders.srcset import Candidate, largest, parse_srcset


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("", []),
        (" , ,, ", []),
        ("a.jpg", [Candidate(url="a.jpg")]),
        ("a.jpg 1x, b.jpg 2x", [Candidate(url="a.jpg"), Candidate(url="b.jpg", density=2.0)]),
        (
            "a.jpg 320w,b.jpg 640w",
            [Candidate(url="a.jpg", width=320), Candidate(url="b.jpg", width=640)],
        ),
        # A comma inside an address belongs to it; one at its end does not.
        ("a,b.jpg 2x, c.jpg", [Candidate(url="a,b.jpg", density=2.0), Candidate(url="c.jpg")]),
        ("a.jpg,, b.jpg", [Candidate(url="a.jpg"), Candidate(url="b.jpg")]),
        ("a.jpg,b.jpg", [Candidate(url="a.jpg,b.jpg")]),
        ("data:,a 1x, b.jpg 2x", [Candidate(url="data:,a"), Candidate(url="b.jpg", density=2.0)]),
        ("w_400,h_300/a.jpg 400w 300h", [Candidate(url="w_400,h_300/a.jpg", width=400)]),
        ("a.jpg\n\t640w ,\fb.jpg", [Candidate(url="a.jpg", width=640), Candidate(url="b.jpg")]),
        ("a.jpg 1.5e0x", [Candidate(url="a.jpg", density=1.5)]),
        ("a.jpg .5x", [Candidate(url="a.jpg", density=0.5)]),
        # Wrong descriptors take their candidate away, brackets and all.
        ("a.jpg 0w, b.jpg 1w", [Candidate(url="b.jpg", width=1)]),
        ("a.jpg 1w 2x, b.jpg", [Candidate(url="b.jpg")]),
        ("a.jpg 1x 1x, b.jpg", [Candidate(url="b.jpg")]),
        ("a.jpg 300h, b.jpg", [Candidate(url="b.jpg")]),
        ("a.jpg -1x, b.jpg", [Candidate(url="b.jpg")]),
        ("a.jpg -0.0x", [Candidate(url="a.jpg", density=0.0)]),
        ("a.jpg (x, y) , b.jpg", [Candidate(url="b.jpg")]),
        ("a.jpg (x, b.jpg", []),
        ("a.jpg +1w, b.jpg 1.0w, c.jpg 1X", []),
        ("a.jpg 1e999x", []),
    ],
)
def test_candidates_are_parsed_as_the_standard_says(text: str, candidates: list[Candidate]) -> None:
    assert parse_srcset(text) == candidates


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("a 320w, b 1280w, c 640w", "b"),
        ("a, b 3x, c 2x", "b"),
        ("a 3x, b 1w", "b"),
        ("a 2x, b 2x", "b"),
        ("data:image/gif;base64,R0 9999w, b 1w", "b"),
    ],
)
def test_the_largest_is_taken(text: str, url: str) -> None:
    found = largest(parse_srcset(text))
    assert found is not None
    assert found.url == url


def test_placeholders_alone_are_none() -> None:
    assert largest(parse_srcset("DATA:image/gif;base64,R0 1w")) is None
    assert largest([]) is None


@settings(deadline=None)
@given(st.text(alphabet="ab,.()x1w2 \n-+eE", max_size=60))
def test_any_text_gives_addresses_without_space_and_commas_at_their_ends(text: str) -> None:
    for candidate in parse_srcset(text):
        assert candidate.url == candidate.url.strip(" \n,")
        assert candidate.url
        assert candidate.url in text


_url = st.text(alphabet="abc/?=_,.-", min_size=1).filter(lambda url: url == url.strip(","))


@settings(deadline=None)
@given(st.lists(st.tuples(_url, st.integers(1, 10_000)), min_size=1, max_size=8))
def test_what_is_written_is_read_again(sizes: list[tuple[str, int]]) -> None:
    text = ", ".join(f"{url} {width}w" for url, width in sizes)
    assert [(one.url, one.width) for one in parse_srcset(text)] == sizes
