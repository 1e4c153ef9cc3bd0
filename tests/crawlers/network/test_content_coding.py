from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.network.content_coding import CodingError, decoded


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=4), st.integers(1, 9000))
def test_no_more_than_the_limit_comes_out(members: list[bytes], limit: int) -> None:
    text, coded = b"".join(members), b"".join(gzip.compress(one) for one in members)
    assert decoded(coded, "gzip", limit) == text[:limit]
    assert decoded(coded, " X-GZIP ", limit) == text[:limit]
    assert decoded(zlib.compress(text), "deflate", limit) == text[:limit]
    assert decoded(text, "identity", limit) == text[:limit]


def test_what_ends_early() -> None:
    coded = gzip.compress(b"words " * 1000)[:-10]
    with pytest.raises(CodingError, match="ends too early"):
        decoded(coded, "gzip", 100_000)
    assert decoded(coded, "gzip", 100_000, may_be_cut=True).startswith(b"words")


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_what_nobody_asked_for(coding: str) -> None:
    with pytest.raises(CodingError, match="not asked for"):
        decoded(b"x", coding, 10)


def test_what_is_damaged() -> None:
    with pytest.raises(CodingError, match="damaged"):
        decoded(b"no gzip", "gzip", 10)
