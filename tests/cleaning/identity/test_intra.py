"""Cleaning on synthetic people with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cleaning.identity.faceset import FaceSet
from cleaning.identity.intra import IntraConfig, clean_identities
from facedata.errors import RecipeError
from facedata.ledger import Reason

AUTO = IntraConfig()


def names(result, rows) -> list[str]:  # type: ignore[no-untyped-def]
    return [result.reasons[row].value for row in rows]


def crowd(people, first: int, count: int, photos: int):  # type: ignore[no-untyped-def]
    """Clean classes that give the calibration something to measure."""
    return [(person, people.faces(person, photos)) for person in range(first, first + count)]


def test_clean_classes_are_kept_whole(people, face_set) -> None:
    faces = face_set(crowd(people(20, seed=0), 0, 20, 8))

    result = clean_identities(faces, AUTO, seed=0)

    assert {reason.outcome.value for reason in result.reasons} == {"kept"}
    assert (result.identity == result.claims.identity).all()
    assert result.classes.held == (None,) * 20


def test_a_misfiled_photo_moves_and_a_stranger_is_dropped(people, face_set) -> None:
    who = people(20, seed=1)
    parts = crowd(who, 0, 20, 8)
    parts.append((3, who.faces(7, 1)))
    parts.append((5, who.strangers(1)))

    result = clean_identities(face_set(parts), AUTO, seed=0)

    assert names(result, [160, 161]) == ["belongs_to_other", "outlier"]
    assert result.identity[[160, 161]].tolist() == [7, -1]
    assert result.face_identity[[160, 161]].tolist() == [7, -1]
    assert {reason.outcome.value for reason in result.reasons[:160]} == {"kept"}


def test_one_face_per_photo_is_kept_and_a_companion_never_ships(people, face_set) -> None:
    who = people(21, seed=2)
    alone = face_set(crowd(who, 0, 20, 8))
    companion = who.faces(20, 5)
    faces = FaceSet(
        embeddings=np.concatenate([alone.embeddings, companion]),
        photo=np.concatenate([alone.photo, np.arange(5)]),
        identity=np.concatenate([alone.identity, np.zeros(5, np.int64)]),
        prominence=np.concatenate([alone.prominence, np.full(5, 0.5, np.float32)]),
    )

    result = clean_identities(faces, AUTO, seed=0)

    assert (result.face_identity[:160] == alone.identity).all()
    assert (result.face_identity[160:] == -1).all()


def test_a_second_name_of_one_person_is_left_alone(people, face_set) -> None:
    who = people(20, seed=3)
    parts = [*crowd(who, 0, 20, 8), (20, who.faces(4, 8))]

    result = clean_identities(face_set(parts), AUTO, seed=0)

    assert {reason.outcome.value for reason in result.reasons} == {"kept"}


def test_a_class_taken_over_is_relabelled(people, face_set) -> None:
    who = people(20, seed=4)
    parts = [(p, f) for p, f in crowd(who, 0, 20, 8) if p != 6]
    parts += [(6, who.faces(2, 5)), (6, who.faces(6, 4))]

    result = clean_identities(face_set(parts), AUTO, seed=0)

    in_class = np.flatnonzero(result.claims.identity == 6)
    assert result.identity[in_class].tolist() == [2] * 5 + [6] * 4


def test_a_taken_over_class_without_a_person_of_its_own_is_held(people, face_set) -> None:
    who = people(20, seed=5)
    parts = [(p, f) for p, f in crowd(who, 0, 20, 8) if p != 6]
    parts += [(6, who.faces(2, 3)), (6, who.strangers(5))]

    result = clean_identities(face_set(parts), AUTO, seed=0)

    in_class = np.flatnonzero(result.claims.identity == 6)
    assert names(result, in_class) == ["belongs_to_other"] * 3 + ["taken_over"] * 5
    assert (result.identity[in_class] == [2] * 3 + [-1] * 5).all()


def test_classes_without_a_clear_person_are_held(people, face_set) -> None:
    who = people(24, seed=6)
    parts = crowd(who, 0, 20, 8)
    parts += [(20, who.faces(20, 3)), (20, who.faces(21, 3)), (21, who.strangers(4))]
    parts += [(22, who.faces(22, 1))]

    result = clean_identities(face_set(parts), AUTO, seed=0)

    assert result.classes.held[:20] == (None,) * 20
    assert result.classes.held[20:] == (
        Reason.NO_MAIN_CLUSTER,
        Reason.NO_MAIN_CLUSTER,
        Reason.SINGLE_PHOTO,
    )
    assert {reason.outcome.value for reason in result.reasons[160:]} == {"held"}
    assert (result.identity[160:] == -1).all()


def test_one_face_claimed_twice_stays_with_its_person(people, face_set) -> None:
    who = people(20, seed=7)
    alone = face_set(crowd(who, 0, 20, 8))
    faces = FaceSet(
        embeddings=np.concatenate([alone.embeddings, alone.embeddings[:1]]),
        photo=np.concatenate([alone.photo, alone.photo[:1]]),
        identity=np.concatenate([alone.identity, np.array([9], np.int64)]),
        prominence=np.concatenate([alone.prominence, alone.prominence[:1]]),
    )

    result = clean_identities(faces, AUTO, seed=0)

    assert result.claims.identity[:2].tolist() == [0, 9]
    assert names(result, [0, 1])[0] == "main_cluster"
    assert result.identity[1] == -1


def test_every_claim_has_one_outcome_and_at_most_one_face(people, face_set) -> None:
    rng = np.random.default_rng(8)
    base = face_set(crowd(people(30, seed=8, spread=1.2), 0, 30, 6))
    faces = FaceSet(
        embeddings=base.embeddings,
        photo=np.sort(rng.integers(0, 120, size=180)).astype(np.int64),
        identity=rng.permutation(base.identity),
        prominence=rng.random(180).astype(np.float32),
    )

    result = clean_identities(faces, AUTO, seed=0)

    assert len(result.reasons) == len(result.claims)
    shipped = result.face_identity >= 0
    pairs = np.stack([faces.photo[shipped], result.face_identity[shipped]], axis=1)
    assert len(np.unique(pairs, axis=0)) == shipped.sum() == (result.identity >= 0).sum()


def test_an_empty_set_and_a_single_class_do_not_fail(people, face_set) -> None:
    nothing = face_set([(0, np.zeros((0, 128), np.float32))])
    one_class = face_set([(0, people(1, seed=9).faces(0, 6))])

    assert clean_identities(nothing, AUTO, seed=0).reasons == ()
    assert set(clean_identities(one_class, AUTO, seed=0).reasons) == {Reason.MAIN_CLUSTER}


def test_the_same_input_gives_the_same_result(people, face_set) -> None:
    faces = face_set(crowd(people(10, seed=10, spread=1.4), 0, 10, 9))

    one, other = (clean_identities(faces, AUTO, seed=3) for _ in range(2))

    assert one.reasons == other.reasons
    assert (one.face_identity == other.face_identity).all()
    assert one.calibration == other.calibration


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "dbscan"}, "intra.method: 'dbscan' is not known; choose one of average"),
        ({"threshold": 1.5}, "intra.threshold: 1.5 is not a similarity"),
    ],
)
def test_a_wrong_configuration_is_refused(fields, message) -> None:
    with pytest.raises(RecipeError, match=message):
        IntraConfig(**fields)


def with_faces(alone: FaceSet, embeddings, photo, identity, prominence) -> FaceSet:  # type: ignore[no-untyped-def]
    """Add face rows to a face set."""
    return FaceSet(
        embeddings=np.concatenate([alone.embeddings, embeddings]),
        photo=np.concatenate([alone.photo, np.asarray(photo, np.int64)]),
        identity=np.concatenate([alone.identity, np.asarray(identity, np.int64)]),
        prominence=np.concatenate([alone.prominence, np.asarray(prominence, np.float32)]),
    )


def test_a_bystander_does_not_move_a_photo(people, face_set) -> None:
    who = people(20, seed=11)
    alone = face_set([*crowd(who, 0, 20, 8), (3, who.strangers(1))])
    faces = with_faces(alone, who.faces(7, 1), [160], [3], [0.1])

    result = clean_identities(faces, AUTO, seed=0)

    assert names(result, [160]) == ["outlier"]
    assert (result.face_identity[160:] == -1).all()


def test_two_people_who_fit_about_equally_leave_the_photo_out(people, face_set) -> None:
    who = people(20, seed=12)
    alone = face_set(crowd(who, 0, 20, 8))
    sisters = who.faces(3, 2, spread=3.0)
    faces = with_faces(alone, sisters, [160, 160], [3, 3], [0.5, 0.5])

    result = clean_identities(faces, AUTO, seed=0)

    own = sisters @ alone.embeddings[24:32].mean(axis=0)
    assert (own > 0.15).all(), "both resemble the person"
    assert names(result, [160]) == ["outlier"]


def test_a_companion_beside_a_second_name_holds_the_class(people, face_set) -> None:
    who = people(22, seed=13)
    parts = [*crowd(who, 0, 20, 8), (20, who.faces(4, 12)), (20, who.faces(21, 2))]

    result = clean_identities(face_set(parts), AUTO, seed=0)

    in_class = np.flatnonzero(result.claims.identity == 20)
    assert names(result, in_class) == ["belongs_to_other"] * 12 + ["taken_over"] * 2
    assert (result.identity[in_class[:12]] == 4).all()


def in_sets(faces: FaceSet, sources: list[int]) -> FaceSet:
    """The same faces, each from the set named for its row."""
    return replace(faces, source=np.array(sources, np.int64))


def test_a_second_set_takes_no_class_over(people, face_set) -> None:
    """What holds the class within one set is expected between two: both have the person."""
    who = people(22, seed=13)
    parts = [*crowd(who, 0, 20, 8), (20, who.faces(4, 12)), (20, who.faces(21, 2))]
    faces = face_set(parts)

    result = clean_identities(in_sets(faces, [0] * 160 + [1] * 14), AUTO, seed=0)

    in_class = np.flatnonzero(result.claims.identity == 20)
    assert names(result, in_class[:12]) == ["main_cluster"] * 12
    assert result.classes.held == (None,) * 21
    one_set = clean_identities(in_sets(faces, [0] * 174), AUTO, seed=0)
    assert one_set.classes.held[20] == Reason.TAKEN_OVER


def test_a_class_of_both_sets_speaks_for_either(people, face_set) -> None:
    who = people(22, seed=13)
    parts = [*crowd(who, 0, 20, 8), (20, who.faces(4, 12)), (20, who.faces(21, 2))]
    sources = [0] * 160 + [1] * 14
    # Person 4 is in the second set too, under the same name as in the first.
    sources[4 * 8] = 1

    result = clean_identities(in_sets(face_set(parts), sources), AUTO, seed=0)

    assert result.classes.held[20] == Reason.TAKEN_OVER


def test_photos_that_two_sets_hold_stay_with_both(people, face_set) -> None:
    who = people(20, seed=15)
    alone = face_set(crowd(who, 0, 20, 8))
    twice = FaceSet(
        embeddings=np.concatenate([alone.embeddings, alone.embeddings[:8]]),
        photo=np.concatenate([alone.photo, alone.photo[:8]]),
        identity=np.concatenate([alone.identity, np.full(8, 20, np.int64)]),
        prominence=np.concatenate([alone.prominence, alone.prominence[:8]]),
    )

    result = clean_identities(in_sets(twice, [0] * 160 + [1] * 8), AUTO, seed=0)

    assert {reason.outcome.value for reason in result.reasons} == {"kept"}
    assert (result.identity == result.claims.identity).all()


def test_a_misfiled_photo_goes_to_its_person_in_the_same_set(people, face_set) -> None:
    who = people(20, seed=17)
    both = [*crowd(who, 0, 20, 8), (20, who.faces(7, 8)), (21, who.faces(3, 8))]
    misfiled = who.faces(7, 1)
    faces = face_set([*both, (3, misfiled)])
    faces = with_faces(faces, misfiled, [len(faces) - 1], [21], [0.5])

    # Person 7 is class 20 in the second set, and person 3 class 21.
    result = clean_identities(in_sets(faces, [0] * 160 + [1] * 16 + [0, 1]), AUTO, seed=0)

    assert names(result, [176, 177]) == ["belongs_to_other"] * 2
    assert result.identity[176:].tolist() == [7, 20]


def test_two_claims_on_a_photo_that_end_in_one_class_ship_once(people, face_set) -> None:
    who = people(20, seed=16)
    alone = face_set([*crowd(who, 0, 20, 8), (3, who.faces(7, 1))])
    faces = with_faces(alone, alone.embeddings[160:], [160], [5], [0.5])

    result = clean_identities(faces, AUTO, seed=0)

    assert names(result, [160, 161]) == ["belongs_to_other", "same_face_claimed_twice"]
    assert result.identity[160:].tolist() == [7, -1]


def test_photos_from_another_age_come_back_together(people, face_set) -> None:
    who = people(21, seed=14)
    younger = who.centres[3] + 2.8 * who.centres[20]
    rng = np.random.default_rng(14)
    young = younger / np.linalg.norm(younger) + 0.03 * rng.normal(size=(5, 128))
    young = (young / np.linalg.norm(young, axis=1, keepdims=True)).astype(np.float32)
    faces = face_set([*crowd(who, 0, 20, 8), (3, young)])

    result = clean_identities(faces, AUTO, seed=0)

    main = faces.embeddings[24:32].sum(axis=0)
    alone = young @ (main / np.linalg.norm(main))
    assert np.sort(alone)[1] < result.calibration.readmit, "most would not come back alone"
    assert names(result, range(160, 165)) == ["readmitted"] * 5
