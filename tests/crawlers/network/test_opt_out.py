from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.causes import Cause
from crawlers.network.opt_out import header_opt_out, page_refusal

_NOW = datetime(2022, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "directive"),
    [
        ([], None),
        (["index, follow"], None),
        (["noai"], "noai"),
        (["NoImageAI"], "noimageai"),
        (["nofollow, noindex"], "noindex"),
        (["none"], "none"),
        (["noimageindex"], "noimageindex"),
        (["nosnippet", "noarchive", "noai"], "noai"),
        (["winnow: noai"], "noai"),
        (["WINNOW: nofollow, noindex"], "noindex"),
        (["googlebot: noindex"], None),
        (["googlebot: nofollow, noindex"], None),
        (["googlebot: noindex, winnow: noai"], "noai"),
        (["winnow: nofollow, googlebot: noindex"], None),
        (["noindex, googlebot: nofollow"], "noindex"),
        (["googlebot: noindex", "noai"], "noai"),
        (["*: noai"], "noai"),
        (["max-snippet: -1, noai"], "noai"),
        (["max-image-preview:large"], None),
        (["noaiplease"], None),
        (["unavailable_after: 31 May 2022 12:00:00 GMT"], "unavailable_after"),
        (["unavailable_after: Tue, 31 May 2022 12:00:00 GMT, nofollow"], "unavailable_after"),
        (["unavailable_after: Tuesday, 31-May-22 12:00:00 UTC"], "unavailable_after"),
        (["unavailable_after: 2022-05-31"], "unavailable_after"),
        (["unavailable_after: 2022-05-31T12:00:00+02:00"], "unavailable_after"),
        (["unavailable_after: Thu, 02 Jun 2022 12:00:00 GMT"], None),
        (["unavailable_after: Thu, 02 Jun 2022 12:00:00 GMT, noai"], "noai"),
        (["winnow: unavailable_after: 31 May 2022 12:00:00 GMT"], "unavailable_after"),
        (["googlebot: unavailable_after: 31 May 2022 12:00:00 GMT"], None),
        (["unavailable_after: some day"], None),
    ],
)
def test_x_robots_tag(headers: list[str], directive: str | None) -> None:
    found = header_opt_out(headers, "Winnow", _NOW)
    assert (found and found.partition(":")[0]) == directive


@given(st.lists(st.text(st.one_of(st.sampled_from(",: "), st.characters(codec="utf-8")))))
def test_any_header_is_read(headers: list[str]) -> None:
    header_opt_out(headers, "Winnow", _NOW)
    assert header_opt_out([*headers, "noai"], "Winnow", _NOW) is not None


@pytest.mark.parametrize(
    ("elements", "cause", "detail"),
    [
        ([], None, None),
        ([("viewport", "noai"), ("googlebot", "noindex")], None, None),
        ([("ROBOTS", "NOAI, nofollow")], Cause.OPTED_OUT, "meta robots: noai"),
        ([("robots", "index"), ("winnow", "noimageai")], Cause.OPTED_OUT, "meta winnow: noimageai"),
        ([("tdm-reservation", "1")], Cause.TDM_RESERVED, "meta"),
        ([("tdm-reservation", "0"), ("tdm-policy", "https://h/p")], None, None),
        (
            [("TDM-Reservation", " 1 "), ("tdm-policy", "https://h/p")],
            Cause.TDM_RESERVED,
            "meta, policy https://h/p",
        ),
    ],
)
def test_meta_elements(
    elements: list[tuple[str, str]], cause: Cause | None, detail: str | None
) -> None:
    refusal = page_refusal(elements, "Winnow", _NOW)
    assert (refusal and refusal.cause, refusal and refusal.detail) == (cause, detail)
