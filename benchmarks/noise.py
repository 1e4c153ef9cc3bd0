"""How much label noise cleaning removes, step by step: ``python -m benchmarks.noise``.

People with at least five photos; a share of the photos is moved to a random wrong person. Every
step of the cleaning is switched on in turn, beside what people do today: the largest cluster at a
fixed similarity. The same ``auto`` serves two embedders, and the demo's model pack on rendered
people where the pack is there. Real photos need the research data (``WINNOW_SHARED``).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.demo_pack import DET_SIZE, PACK, unseen_photo
from benchmarks.noise_data import SHARED, Gallery, gallery_of, load_galleries, misfile, score
from benchmarks.noise_data import with_photos as people_with
from cleaning.faces.config import FacesConfig
from cleaning.faces.measure import measure_photos
from cleaning.faces.pack import load_pack
from cleaning.identity.calibrate_merge import calibrate_merge
from cleaning.identity.intra import IntraConfig, clean_identities
from demo.develop import as_jpeg

MIN_PHOTOS = 5
SHARES = (0.0, 0.2, 0.4)
SEEDS = (0, 1, 2)
_FIXED = 0.4
_TARGET_FMR = 1e-6
_DEMO_PEOPLE, _DEMO_PHOTOS = 30, 10
_SAME_PLACE = 0.1


def _cut_only(method: str, threshold: float | None) -> IntraConfig:
    return IntraConfig(method=method, threshold=threshold, readmit=False, move=False, hold=False)


WAYS: Mapping[str, IntraConfig] = {
    "average linkage at 0.4": _cut_only("average", _FIXED),
    "DBSCAN at 0.4": _cut_only("single", _FIXED),
    "auto: largest cluster": _cut_only("average", None),
    "auto: + readmit": IntraConfig(move=False, hold=False),
    "auto: + move": IntraConfig(hold=False),
    "auto: + hold (all)": IntraConfig(),
}
"""DBSCAN with clusters from two photos up is single linkage."""


def run() -> list[dict[str, Any]]:
    """One row per embedder, share of noise and way of cleaning, summed over the seeds.

    ``wrong``, ``kept`` and ``returned`` are in per cent: of the shipped, the rightly filed and
    the misfiled photos. ``ms_per_1000`` is wall time for a thousand faces. ``cut``, ``readmit``,
    ``move`` and ``merge`` are the thresholds that the last seed's data gave.
    """
    rows = []
    for name, gallery in _galleries():
        for share in SHARES:
            for way, config in WAYS.items():
                rows.append({"embedder": name, "noise": share, "way": way})
                rows[-1] |= _measure(gallery, share, config)
    return rows


def main() -> None:
    """Print the table."""
    rows = run()
    table = Table(title="Label noise removed, people with at least five photos")
    for name in rows[0]:
        table.add_column(name, justify="left" if name in {"embedder", "way"} else "right")
    for row in rows:
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()))
    Console(width=160).print(table)


def _galleries() -> Iterator[tuple[str, Gallery]]:
    if (SHARED / "data").is_dir():
        for name, gallery in load_galleries("lfw").items():
            yield name, people_with(gallery, MIN_PHOTOS)
    if PACK.is_dir():
        yield "demo pack, rendered people", demo_gallery()


def demo_gallery() -> Gallery:
    """Rendered people the demo pack never saw, measured by the pack; some photos hold company."""
    pack = load_pack(PACK)
    items, files, subject = [], [], []
    for number in range(_DEMO_PEOPLE * _DEMO_PHOTOS):
        person, index = divmod(number, _DEMO_PHOTOS)
        photo = unseen_photo(person, number, seed=1)
        height, width = photo.image.shape[:2]
        x1, y1, x2, y2 = photo.faces[0].box
        subject.append(((x1 + x2) / 2 / width, (y1 + y2) / 2 / height))
        data = as_jpeg(photo.image, 92)
        items.append((hashlib.sha256(data).hexdigest(), data))
        files.append(f"{person:03d}/{index:03d}.jpg")
    measured = list(measure_photos(items, pack, FacesConfig(det_size=DET_SIZE)))
    gallery = gallery_of(files, measured, pack)
    away = np.abs(gallery.place - np.array(subject)[gallery.photo]).max(axis=1)
    return replace(gallery, main=away < _SAME_PLACE)


def _measure(gallery: Gallery, share: float, config: IntraConfig) -> dict[str, Any]:
    seeds = SEEDS if share else SEEDS[:1]
    totals = dict.fromkeys(
        ("shipped", "wrong", "genuine", "kept", "misfiled", "returned", "held_classes"), 0
    )
    faces_seen, seconds = 0, 0.0
    for seed in seeds:
        noisy = misfile(gallery, share, seed)
        faces, rows = noisy.face_set()
        start = time.perf_counter()
        result = clean_identities(faces, config, seed)
        seconds += time.perf_counter() - start
        faces_seen += len(faces)
        figures = score(gallery, noisy, rows, result)
        totals = {name: count + getattr(figures, name) for name, count in totals.items()}
    shipped = result.face_identity >= 0
    merge = calibrate_merge(
        faces.embeddings[shipped], result.face_identity[shipped], _TARGET_FMR, seeds[-1]
    )
    return {
        "wrong": 100.0 * totals["wrong"] / totals["shipped"],
        "kept": 100.0 * totals["kept"] / totals["genuine"],
        "returned": 100.0 * totals["returned"] / max(totals["misfiled"], 1),
        "held": totals["held_classes"] / len(seeds),
        "ms_per_1000": 1e6 * seconds / faces_seen,
        "cut": result.calibration.cut,
        "readmit": result.calibration.readmit,
        "move": result.calibration.move,
        "merge": merge.threshold,
    }


if __name__ == "__main__":
    main()
