from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.network.robots import RobotsRules


@pytest.mark.parametrize(
    ("text", "path", "allows"),
    [
        ("", "/a", True),
        ("User-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: winnow\nAllow: /", "/a", True),
        ("User-agent: WINNOW\nDisallow: /a", "/a?b", False),
        ("User-agent: other\nDisallow: /", "/a", True),
        ("User-agent: *\nDisallow: /*.jpg$", "/a.jpg", False),
        ("User-agent: *\nDisallow: /*.jpg$", "/a.jpg?b", True),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nDisallow: /~joe", "/%7Ejoe/", False),
        ("User-agent: *\nDisallow: //evil", "//evil/x", False),
        ("User-agent: *\nDisallow: /x", "//evil/x", True),
        ("User-agent: *\nDisallow:", "/a", True),
        ("<html>no rules</html>", "/a", True),
    ],
)
def test_what_is_allowed(text: str, path: str, allows: bool) -> None:
    for body in (text.encode(), b"\xef\xbb\xbf" + text.encode()):
        assert RobotsRules.parse(body, "Winnow").allows(path) == allows


@pytest.mark.parametrize(
    ("text", "delay_s"),
    [
        ("User-agent: *\nCrawl-delay: 2.5", 2.5),
        ("User-agent: *\nCrawl-delay: 9\n\nUser-agent: winnow\nCrawl-delay: 1", 1.0),
        ("User-agent: *\nRequest-rate: 1/5", 5.0),
        ("User-agent: *\nRequest-rate: 10/1m\nCrawl-delay: 3", 6.0),
        ("User-agent: *\nCrawl-delay: soon", 0.0),
        ("User-agent: other\nCrawl-delay: 9", 0.0),
    ],
)
def test_the_delay_asked_for(text: str, delay_s: float) -> None:
    assert RobotsRules.parse(text.encode(), "Winnow").delay_s == delay_s


@given(st.binary())
def test_any_file_is_read(body: bytes) -> None:
    RobotsRules.parse(body, "Winnow").allows("/a")


def test_no_file_allows_all() -> None:
    assert RobotsRules().allows("/a")
    assert RobotsRules().decision == "none"
    assert RobotsRules.parse(b"", "Winnow").decision == "allowed"
