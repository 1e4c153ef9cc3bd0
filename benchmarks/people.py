"""Who is a merge candidate, and what a web crawl leaves: ``python -m benchmarks.people``.

Real photos (``WINNOW_SHARED``), both embedders, ``auto`` thresholds. ``cut in two``: 30 people of
data/lfw with at least ten photos get a second name for half of them, per seed. ``second names``:
people documented or judged to stand in the set under two names, all class sizes. ``crawl``: photos
of three athletes as a crawler left them, labelled by eye in ``tests/real/crawl_labels.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.noise_data import SHARED, Gallery, cut_in_two, load_galleries, with_photos
from cleaning.identity.calibrate_merge import calibrate_merge
from cleaning.identity.intra import IntraConfig, IntraResult, clean_identities
from cleaning.identity.join import minimum_cross_class
from facedata.ledger import Outcome, Reason

LABELS = Path(__file__).parents[1] / "tests" / "real" / "crawl_labels.json"
TARGET_FMR = 1e-6
_SAME_PLACE = 0.03
_SEEDS = (0, 1, 2)
_CUT_PEOPLE, _CUT_AT_LEAST = 30, 10

Row = dict[str, Any]
Pairs = set[tuple[int, int]]


def candidates(gallery: Gallery, result: IntraResult) -> Pairs:
    """Pairs of classes within the ``auto`` threshold; single photos speak for their class."""
    faces, _ = gallery.face_set()
    identity = result.face_identity.copy()
    for claim, reason in enumerate(result.reasons):
        if reason is Reason.SINGLE_PHOTO:
            identity[result.face[claim]] = result.claims.identity[claim]
    rows = np.flatnonzero(identity >= 0)
    members, classes = faces.embeddings[rows], identity[rows]
    threshold = calibrate_merge(members, classes, TARGET_FMR, seed=0).threshold
    pairs = minimum_cross_class(members, classes, threshold)
    return {
        (min(a, b), max(a, b))
        for a, b in zip(pairs.identity_a.tolist(), pairs.identity_b.tolist(), strict=True)
    }


def named(gallery: Gallery, pairs: Sequence[Sequence[str]]) -> Pairs:
    """Pairs of names as pairs of classes."""
    numbers = [sorted(map(gallery.class_of, pair)) for pair in pairs]
    return {(one, other) for one, other in numbers}


def read_truth() -> dict[str, Any]:
    """What is documented about the photos of data/lfw."""
    truth: dict[str, Any] = json.loads((SHARED / "data" / "truth.json").read_text("utf-8"))
    return truth


def kept_of_crawl(gallery: Gallery, result: IntraResult) -> tuple[int, int, list[str]]:
    """Photos that show the athlete alone, how many of them are kept, and files kept wrongly."""
    labels = json.loads(LABELS.read_text("utf-8"))
    kept = {
        gallery.files[photo]: gallery.place[face]
        for photo, face, reason in zip(
            result.claims.photo, result.face, result.reasons, strict=True
        )
        if reason.outcome is Outcome.KEPT
    }
    alone = [file for file, label in labels.items() if label["shows"] == "alone"]
    wrong = [file for file in kept if not _shows_athlete(labels[file], kept[file])]
    return len(alone), sum(file in kept for file in alone), wrong


def _shows_athlete(label: dict[str, Any], place: Any) -> bool:
    if label["shows"] == "other_person":
        return False
    return "face_at" not in label or bool(np.abs(place - label["face_at"]).max() <= _SAME_PLACE)


def run() -> list[Row]:
    """One row per embedder and question; no rows where the photos are not there."""
    if not (SHARED / "data").is_dir():
        return []
    rows: list[Row] = []
    for name, gallery in load_galleries("lfw").items():
        many = with_photos(gallery, 5)
        rows += [_cut_row(name, many, seed) for seed in _SEEDS]
        rows.append(_second_names_row(name, gallery))
    for name, gallery in load_galleries("crawl").items():
        alone, kept, wrong = kept_of_crawl(gallery, _clean(gallery))
        found = f"{kept} of {alone} alone kept"
        rows.append(_row(name, "crawl", found, f"of another person: {len(wrong)}"))
    return rows


def _cut_row(name: str, gallery: Gallery, seed: int) -> Row:
    cut, halves = cut_in_two(gallery, people=_CUT_PEOPLE, at_least=_CUT_AT_LEAST, seed=seed)
    found = candidates(cut, _clean(cut))
    return _row(
        name,
        f"cut in two, seed {seed}",
        f"{len(halves & found)} of {len(halves)} pairs",
        f"others: {len(found - halves)}",
    )


def _second_names_row(name: str, gallery: Gallery) -> Row:
    truth = read_truth()
    same = named(gallery, truth["same_person_documented"] + truth["same_person_judged"])
    found = candidates(gallery, _clean(gallery))
    return _row(
        name,
        "second names",
        f"{len(same & found)} of {len(same)} pairs",
        f"others: {len(found - same)}",
    )


def _clean(gallery: Gallery) -> IntraResult:
    faces, _ = gallery.face_set()
    return clean_identities(faces, IntraConfig(), seed=0)


def _row(embedder: str, question: str, found: str, besides: str) -> Row:
    return {"embedder": embedder, "question": question, "found": found, "besides": besides}


def main() -> None:
    """Print the rows."""
    from rich.console import Console

    for row in run():
        Console().print(*row.values(), sep=" | ")


if __name__ == "__main__":
    main()
