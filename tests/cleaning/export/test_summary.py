from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cleaning.export.summary import IdentityLine, SourceLine, summarise
from facedata.ledger import Outcome, Reason, count_outcomes, count_reasons
from facedata.records import LedgerRow


def line(identity: str, **counts: object) -> IdentityLine:
    values: dict[str, object] = dict.fromkeys(
        ("images", "kept", "moved_out", "moved_in", "dropped", "held", "in_version"), 0
    )
    return IdentityLine(identity=identity, **(values | {"merged_into": None} | counts))  # type: ignore[arg-type]


def test_each_count_exactly(row) -> None:
    rows = [
        row(1, Reason.MAIN_CLUSTER, "Ana", "Ana"),
        row(2, Reason.READMITTED, "Ana", "Ana"),
        row(3, Reason.BELONGS_TO_OTHER, "Ana", "Bea"),
        row(4, Reason.OUTLIER, "Ana", source="crawl"),
        row(5, Reason.NO_FACE, "Ana", source="crawl"),
        row(6, Reason.MAIN_CLUSTER, "Bea", "Bea"),
        row(7, Reason.MAIN_CLUSTER, "Anna", "Ana"),
        row(8, Reason.SINGLE_PHOTO, "Cleo"),
        row(9, Reason.REJECTED, "Cleo", source="grid"),
        row(10, Reason.CONFIRMED, "Cleo", "Cleo", source="grid"),
    ]
    summary = summarise(rows)
    assert summary.images == 10
    assert summary.outcomes == {
        Outcome.KEPT: 5,
        Outcome.DROPPED: 3,
        Outcome.MOVED: 1,
        Outcome.HELD: 1,
    }
    assert (summary.images_out, summary.identities_in, summary.identities_out) == (6, 4, 3)
    assert summary.sources == (
        SourceLine(
            source="crawl",
            images=2,
            kept=0,
            moved=0,
            dropped=2,
            held=0,
            wrong_person=1,
            judged=1,
        ),
        SourceLine(
            source="grid",
            images=2,
            kept=1,
            moved=0,
            dropped=1,
            held=0,
            wrong_person=1,
            judged=2,
        ),
        SourceLine(
            source="photos",
            images=6,
            kept=4,
            moved=1,
            dropped=0,
            held=1,
            wrong_person=1,
            judged=5,
        ),
    )
    assert summary.identities == (
        line("Ana", images=5, kept=2, moved_out=1, dropped=2, in_version=3),
        line("Anna", images=1, kept=1, merged_into="Ana"),
        line("Bea", images=1, kept=1, moved_in=1, in_version=2),
        line("Cleo", images=3, kept=1, dropped=1, held=1, in_version=1),
    )


def test_an_empty_ledger() -> None:
    summary = summarise([])
    assert (summary.images, summary.images_out, summary.identities, summary.sources) == (
        0,
        0,
        (),
        (),
    )


names = st.sampled_from(["Ana", "Bea", "Cleo"])


@given(st.lists(st.tuples(st.sampled_from(list(Reason)), names, names), max_size=40), st.data())
def test_sums_agree_with_the_ledger_in_any_order(row, drawn, data: st.DataObject) -> None:
    rows: list[LedgerRow] = [
        row(n, reason, claimed, final if reason.outcome in ("kept", "moved") else None)
        for n, (reason, claimed, final) in enumerate(drawn)
    ]
    summary = summarise(rows)
    assert {o.value: n for o, n in summary.outcomes.items()} == count_outcomes(rows)
    assert {r.value: n for r, n in summary.reasons.items()} == count_reasons(rows)
    assert sum(found.in_version for found in summary.identities) == summary.images_out
    for found in summary.identities:
        assert found.images == found.kept + found.moved_out + found.dropped + found.held
    assert summarise(data.draw(st.permutations(rows))) == summary
