"""Label noise on real photos: what stays, what moves, what is held, and who is a candidate.

Needs the research data described in the design notes; point ``WINNOW_SHARED`` at it. Photos are
detected once with ``buffalo_sc`` and embedded with both packs; the figures required of
``buffalo_sc`` are the project's, those of the weaker embedder show that ``auto`` carries over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.noise_data import (
    PACKS,
    SHARED,
    Figures,
    Gallery,
    cut_in_two,
    load_galleries,
    misfile,
    score,
    with_photos,
)
from benchmarks.people import LABELS, candidates, kept_of_crawl, named, read_truth
from cleaning.faces.measure import PhotoRows
from cleaning.identity.intra import IntraConfig, IntraResult, clean_identities
from facedata.ledger import Outcome, Reason

pytestmark = pytest.mark.skipif(
    not (SHARED / "data").is_dir(),
    reason=f"no research data at {SHARED}; set WINNOW_SHARED to its folder",
)

MIN_PHOTOS = 5


@dataclass(frozen=True, kw_only=True)
class Required:
    """What must be reached; shares in [0, 1]."""

    wrong: float
    kept: float
    returned: float


REQUIRED = {
    ("buffalo_sc", 0.2): Required(wrong=0.0005, kept=0.998, returned=0.95),
    ("buffalo_sc", 0.4): Required(wrong=0.003, kept=0.99, returned=0.90),
    ("second_opinion", 0.2): Required(wrong=0.0005, kept=0.995, returned=0.95),
    ("second_opinion", 0.4): Required(wrong=0.003, kept=0.985, returned=0.90),
}


@pytest.fixture(scope="module")
def lfw(measured_lfw: list[PhotoRows]) -> dict[str, Gallery]:
    return load_galleries("lfw", measured_lfw)


@pytest.fixture(scope="module")
def crawl(measured_crawl: list[PhotoRows]) -> dict[str, Gallery]:
    return load_galleries("crawl", measured_crawl)


def clean(gallery: Gallery, noisy: Gallery) -> tuple[IntraResult, Figures]:
    faces, rows = noisy.face_set()
    result = clean_identities(faces, IntraConfig(), seed=0)
    return result, score(gallery, noisy, rows, result)


def reasons_by_stem(noisy: Gallery, result: IntraResult) -> dict[str, Reason]:
    claims = zip(result.claims.photo, result.reasons, strict=True)
    return {Path(noisy.files[photo]).stem: reason for photo, reason in claims}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("pack", "share"), REQUIRED)
def test_misfiled_photos_go_home_and_the_others_stay(
    lfw: dict[str, Gallery], pack: str, share: float, seed: int
) -> None:
    gallery = with_photos(lfw[pack], MIN_PHOTOS)
    required = REQUIRED[pack, share]

    _, figures = clean(gallery, misfile(gallery, share, seed))

    assert figures.wrong_share <= required.wrong, figures.wrong_files
    assert figures.kept_share >= required.kept, figures
    assert figures.returned_share >= required.returned, figures


def test_without_added_noise_genuine_photos_stay(lfw: dict[str, Gallery]) -> None:
    gallery = with_photos(lfw["buffalo_sc"], MIN_PHOTOS)

    _, figures = clean(gallery, gallery)

    assert figures.wrong == 0, figures.wrong_files
    assert figures.kept_share >= 0.999


@pytest.mark.parametrize("pack", PACKS)
def test_documented_mislabels_do_not_ship_under_the_wrong_name(
    lfw: dict[str, Gallery], pack: str
) -> None:
    gallery = with_photos(lfw[pack], MIN_PHOTOS)

    result, _ = clean(gallery, gallery)

    reasons = reasons_by_stem(gallery, result)
    documented = {stem: reasons[stem] for stem in read_truth()["mislabelled"] if stem in reasons}
    assert set(documented) == {
        "Mahmoud_Abbas_0012",
        "Michael_Schumacher_0008",
        "Recep_Tayyip_Erdogan_0004",
    }
    assert Outcome.KEPT not in {reason.outcome for reason in documented.values()}
    assert documented["Michael_Schumacher_0008"] is Reason.BELONGS_TO_OTHER
    assert documented["Recep_Tayyip_Erdogan_0004"] is Reason.BELONGS_TO_OTHER


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("at_least", [6, 10])
@pytest.mark.parametrize("pack", PACKS)
def test_people_cut_in_two_are_candidates_and_few_others(
    lfw: dict[str, Gallery], pack: str, at_least: int, seed: int
) -> None:
    gallery = with_photos(lfw[pack], MIN_PHOTOS)
    cut, halves = cut_in_two(gallery, people=30, at_least=at_least, seed=seed)

    result, figures = clean(cut, cut)

    found = candidates(cut, result)
    assert halves <= found
    assert len(found - halves) <= 10
    assert figures.held_classes == 0


@pytest.mark.parametrize("pack", PACKS)
def test_known_second_names_are_candidates_and_look_alikes_stay_apart(
    lfw: dict[str, Gallery], pack: str
) -> None:
    gallery = lfw[pack]
    facts = read_truth()
    same = facts["same_person_documented"] + facts["same_person_judged"]

    result, _ = clean(gallery, gallery)

    assert named(gallery, same) <= candidates(gallery, result)
    pairs = named(gallery, facts["different_person_lookalikes"])
    crossed = {
        (min(claimed, final), max(claimed, final))
        for claimed, final in zip(result.claims.identity, result.identity, strict=True)
        if final >= 0 and final != claimed
    }
    assert not crossed & pairs


@pytest.mark.parametrize("pack", PACKS)
def test_a_crawl_keeps_the_athletes_and_nobody_else(crawl: dict[str, Gallery], pack: str) -> None:
    gallery = crawl[pack]
    assert set(json.loads(LABELS.read_text("utf-8"))) == set(gallery.files)
    faces, _ = gallery.face_set()

    result = clean_identities(faces, IntraConfig(), seed=0)

    alone, kept, wrong = kept_of_crawl(gallery, result)
    assert Outcome.MOVED not in {reason.outcome for reason in result.reasons}
    assert kept >= 0.95 * alone
    assert not wrong
