"""The ledger: every image once, every reason true to its outcome."""

from dataclasses import dataclass

import pytest

from facedata.errors import IntegrityError
from facedata.ledger import Outcome, Reason, check_complete, count_outcomes, count_reasons


@dataclass
class Row:
    outcome: str
    reason: str


ROWS = [Row("kept", "main_cluster"), Row("dropped", "no_face"), Row("kept", "readmitted")]


def test_every_reason_has_an_outcome() -> None:
    assert {reason.outcome for reason in Reason} == set(Outcome)


def test_counts() -> None:
    assert count_outcomes(ROWS) == {"kept": 2, "dropped": 1, "moved": 0, "held": 0}
    assert count_reasons(ROWS) == {"main_cluster": 1, "readmitted": 1, "no_face": 1}


def test_a_missing_image_is_found() -> None:
    check_complete(3, ROWS)
    with pytest.raises(IntegrityError, match="4 images came in but 3 rows"):
        check_complete(4, ROWS)


def test_a_wrong_reason_is_found() -> None:
    with pytest.raises(IntegrityError, match="'no_face' does not explain outcome 'kept'"):
        check_complete(1, [Row("kept", "no_face")])
