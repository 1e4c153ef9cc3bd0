from __future__ import annotations

import pytest

from cleaning.export.wording import OUTCOMES, REASONS, count_of, interval_of, public_name, share_of
from facedata.ledger import Outcome, Reason


def test_every_reason_and_outcome_has_words() -> None:
    assert set(REASONS) == set(Reason)
    assert set(OUTCOMES) == set(Outcome)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "–"),
        (0, 7, "0 %"),
        (7, 7, "100 %"),
        (1, 3, "33.3 %"),
        (1, 400, "0.25 %"),
        (999, 1000, "99.90 %"),
        (1, 1_000_000, "< 0.01 %"),
        (999_999, 1_000_000, "> 99.99 %"),
    ],
)
def test_shares_are_never_rounded_to_all_or_nothing(part: int, whole: int, text: str) -> None:
    assert share_of(part, whole) == text


def test_counts_with_their_nouns() -> None:
    assert count_of(1, "photo") == "1 photo"
    assert count_of(2000, "photo") == "2,000 photos"
    assert count_of(0, "identity", "identities") == "0 identities"


def test_an_estimate_with_its_interval() -> None:
    assert interval_of(0.02, 0.00243, 0.0704) == "2.0 % (95 % interval 0.24 % to 7.0 %)"
    assert interval_of(0.0, 0.0, 0.00004) == "0 % (95 % interval 0 % to < 0.01 %)"


@pytest.mark.parametrize(
    ("reviewer", "published"),
    [
        ("ana@example.org", "ana"),
        ("ana@example.org, ben.b@mail.example.org", "ana, ben.b"),
        ("demo truth", "demo truth"),
        ("inferred", "inferred"),
        ("@ana", "@ana"),
        ("ana@example@org", "ana"),
        ("", ""),
    ],
)
def test_published_names_are_not_addresses(reviewer: str, published: str) -> None:
    assert public_name(reviewer) == published
