"""Settling: decisions applied, every image once, nothing lost."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from cleaning.stages.settle import Verdicts, settle
from facedata.ledger import Reason, check_complete
from facedata.records import LedgerRow

Row = Callable[..., LedgerRow]
NO_VERDICTS = Verdicts(canonical={}, held={})


def fates(rows: list[LedgerRow]) -> list[tuple[str, str | None]]:
    return [(r.reason, r.identity) for r in rows]


def test_without_verdicts_nothing_changes(row: Row) -> None:
    rows = [row("1", "A"), row("2", "A"), row("3", "A", Reason.OUTLIER)]
    assert settle(rows, NO_VERDICTS, 2) == rows


def test_merged_identities_take_the_canonical_name(row: Row) -> None:
    rows = [row("1", "A"), row("2", "A"), row("3", "B"), row("4", "B")]
    merged = settle(rows, Verdicts(canonical={"A": "A", "B": "A"}, held={}), 2)
    assert fates(merged) == [("main_cluster", "A")] * 4
    assert [r.claimed_identity for r in merged] == ["A", "A", "B", "B"]


def test_a_photo_moved_into_a_merged_identity_follows_it(row: Row) -> None:
    rows = [row("1", "C", Reason.BELONGS_TO_OTHER, identity="B"), row("2", "B"), row("3", "A")]
    merged = settle(rows, Verdicts(canonical={"B": "A"}, held={}), 2)
    assert fates(merged)[0] == ("belongs_to_other", "A")


def test_held_identities_ship_nothing(row: Row) -> None:
    rows = [row("1", "A"), row("2", "A"), row("3", "B"), row("4", "B")]
    held = settle(rows, Verdicts(canonical={}, held={"B": Reason.PENDING_MERGE}), 2)
    assert fates(held)[2:] == [("pending_merge", None)] * 2


def test_the_same_image_of_merged_identities_ships_once(row: Row) -> None:
    rows = [row("1", "A"), row("2", "A"), row("1", "B"), row("3", "B")]
    merged = settle(rows, Verdicts(canonical={"B": "A"}, held={}), 2)
    assert fates(merged)[2] == ("duplicate", None)


def test_a_face_claimed_twice_stays_where_it_is_nearer(row: Row) -> None:
    rows = [
        row("1", "A", similarity=0.5),
        row("1", "B", similarity=0.7),
        *(row(str(n), name) for name in "AB" for n in (2 + ord(name), 3 + 2 * ord(name))),
    ]
    settled = settle(rows, NO_VERDICTS, 2)
    assert fates(settled)[:2] == [("same_face_claimed_twice", None), ("main_cluster", "B")]


def test_nobody_is_lost_because_two_identities_hold_the_same_photos(row: Row) -> None:
    # Either would be left with one photo, and both would be held.
    rows = [
        row("1", "A", similarity=0.7),
        row("2", "A", similarity=0.5),
        row("1", "B", similarity=0.6),
        row("2", "B", similarity=0.6),
    ]
    assert fates(settle(rows, NO_VERDICTS, 2)) == [
        ("main_cluster", "A"),
        ("main_cluster", "A"),
        ("same_face_claimed_twice", None),
        ("same_face_claimed_twice", None),
    ]


def test_what_a_held_identity_alone_has_is_held_and_the_rest_goes_to_others(row: Row) -> None:
    rows = [
        row("1", "A", similarity=0.7),
        row("2", "A", similarity=0.5),
        row("2", "B", similarity=0.6),
        row("3", "B"),
        row("4", "B"),
    ]
    assert fates(settle(rows, NO_VERDICTS, 2)) == [
        ("single_photo", None),
        ("same_face_claimed_twice", None),
        *[("main_cluster", "B")] * 3,
    ]
    rows[1] = row("2", "A", similarity=0.65)
    rows.pop()
    assert fates(settle(rows, NO_VERDICTS, 2))[2:] == [
        ("same_face_claimed_twice", None),
        ("single_photo", None),
    ]


def test_copies_of_merged_identities_ship_once_when_asked(row: Row) -> None:
    rows = [row("1", "A"), row("2", "A"), row("3", "B"), row("4", "B"), row("5", "C")]
    verdicts = Verdicts(canonical={"B": "A"}, held={})
    copies = [("4", "1"), ("3", "5")]
    assert fates(settle(rows, verdicts, 1, copies)) == [
        ("main_cluster", "A"),
        ("main_cluster", "A"),
        ("main_cluster", "A"),
        ("near_duplicate", None),
        ("main_cluster", "C"),
    ]
    assert fates(settle(rows, verdicts, 1)) == [("main_cluster", "A")] * 4 + [("main_cluster", "C")]


def test_too_few_photos_are_held_and_a_merge_frees_them(row: Row) -> None:
    rows = [
        row("1", "A", Reason.SINGLE_PHOTO),
        row("2", "B", Reason.SINGLE_PHOTO),
        row("3", "C"),
        row("4", "D"),
        row("5", "D"),
    ]
    alone = settle(rows, NO_VERDICTS, 2)
    assert fates(alone)[:3] == [("single_photo", None)] * 3
    merged = settle(rows, Verdicts(canonical={"B": "A", "C": "D"}, held={}), 2)
    assert fates(merged)[:3] == [
        ("merged_photo", "A"),
        ("merged_photo", "A"),
        ("main_cluster", "D"),
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("123456"),
            st.sampled_from("ABCD"),
            st.sampled_from([Reason.MAIN_CLUSTER, Reason.SINGLE_PHOTO, Reason.OUTLIER]),
            st.floats(-1, 1, width=32),
        ),
        unique_by=lambda values: values[:2],
    ),
    st.dictionaries(st.sampled_from("ABCD"), st.sampled_from("AB")),
    st.sets(st.sampled_from("ABCD")),
    st.integers(1, 3),
)
def test_every_image_keeps_one_true_fate(
    row: Row,
    images: list[tuple[str, str, Reason, float]],
    canonical: dict[str, str],
    held: set[str],
    min_photos: int,
) -> None:
    rows = [row(i, name, reason, similarity=s) for i, name, reason, s in images]
    verdicts = Verdicts(canonical=canonical, held=dict.fromkeys(held, Reason.PENDING_MERGE))
    settled = settle(rows, verdicts, min_photos)
    check_complete(len(rows), settled)
    assert [(r.image_id, r.claimed_identity) for r in settled] == [
        (r.image_id, r.claimed_identity) for r in rows
    ]
    shipped = [r for r in settled if r.identity is not None]
    assert all(r.outcome in {"kept", "moved"} for r in shipped)
    assert len({r.face_id for r in shipped}) == len(shipped)
    for name in {r.identity for r in shipped}:
        assert sum(r.identity == name for r in shipped) >= min_photos
