"""How good the demo's model pack is on people it never saw: ``python -m benchmarks.demo_pack``.

Photos are rendered of people whose seeds training did not use; insightface loads the pack as it
would any other. Measured end to end: landmarks come from the pack's own detector.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import demo
from demo.casting import make_person
from demo.photo import USUAL, Photo, RenderedFace, render_photo

PACK = Path(demo.__file__).parent / "pack"
DET_SIZE = 320
_UNSEEN = 5_000_000
_SIZES = ((320, 256), (288, 288), (256, 320), (384, 288), (640, 512))
_FAR = 1e-3
_SAME_BOX = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFigures:
    """Counts and shares; ``landmark_error`` is the median distance in eye-to-mouth distances."""

    photos: int
    people: int
    faces: int
    found: float
    false_boxes: int
    landmark_error: float
    genuine_median: float
    impostor_median: float
    tar: float
    threshold: float
    tar_true_landmarks: float

    @property
    def false_per_50(self) -> float:
        """False boxes per 50 photos."""
        return 50 * self.false_boxes / self.photos


@dataclass(slots=True)
class _Tally:
    """What was seen photo by photo."""

    faces: int = 0
    found: int = 0
    false_boxes: int = 0
    errors: list[float] | None = None


def measure(
    pack: Path = PACK, *, people: int = 60, photos_per_person: int = 5, seed: int = 0
) -> PackFigures:
    """Measure a pack on ``people`` unseen people; every fifth photo has company in it."""
    app = _load(pack)
    tally = _Tally(errors=[])
    detected: list[npt.NDArray[np.float32]] = []
    labels: list[int] = []
    trusted: list[npt.NDArray[np.float32]] = []
    for index in range(people * photos_per_person):
        person = index // photos_per_person
        photo = unseen_photo(person, index, seed)
        faces = app.get(np.ascontiguousarray(photo.image[..., ::-1]))
        subject = _match(photo, faces, tally)
        if subject is not None:
            detected.append(subject.normed_embedding)
            labels.append(person)
            trusted.append(_embed_truly(app, photo))
    tar, threshold, medians = true_accept_rate(np.array(detected), np.array(labels))
    tar_trusted, _, _ = true_accept_rate(np.array(trusted), np.array(labels))
    return PackFigures(
        photos=people * photos_per_person,
        people=people,
        faces=tally.faces,
        found=tally.found / tally.faces,
        false_boxes=tally.false_boxes,
        landmark_error=float(np.median(tally.errors or [np.nan])),
        genuine_median=medians[0],
        impostor_median=medians[1],
        tar=tar,
        threshold=threshold,
        tar_true_landmarks=tar_trusted,
    )


def unseen_photo(person: int, index: int, seed: int) -> Photo:
    """Return a photo of an unseen person, with company in every fifth."""
    base = _UNSEEN + 100_000 * seed
    cast = [make_person(base + person)]
    if index % 5 == 4:
        cast.append(make_person(base + 50_000 + index))
    return render_photo(cast, base + index, size=_SIZES[index % len(_SIZES)], conditions=USUAL)


def _load(pack: Path) -> Any:
    from insightface.app import FaceAnalysis

    app = FaceAnalysis(name=str(pack), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(DET_SIZE, DET_SIZE))
    return app


def _match(photo: Photo, faces: list[Any], tally: _Tally) -> Any | None:
    """Count hits, misses and false boxes; returns the detection of the photo's subject."""
    subject = None
    free = list(faces)
    for truth in photo.faces:
        tally.faces += 1
        best = max(free, key=lambda face: overlap(truth.box, face.bbox), default=None)
        if best is None or overlap(truth.box, best.bbox) < _SAME_BOX:
            continue
        tally.found += 1
        free = [face for face in free if face is not best]
        if tally.errors is not None:
            tally.errors.append(_landmark_error(truth, best.kps))
        subject = best if truth is photo.faces[0] else subject
    for face in free:
        if all(overlap(hidden.box, face.bbox) < _SAME_BOX for hidden in photo.hidden):
            tally.false_boxes += 1
    return subject


def overlap(a: Any, b: Any) -> float:
    """Return the intersection over union of two boxes (x1, y1, x2, y2)."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return float(both / (areas - both))


def _landmark_error(truth: RenderedFace, found: npt.NDArray[np.float32]) -> float:
    marks = truth.landmarks
    unit = np.linalg.norm(marks[:2].mean(axis=0) - marks[3:].mean(axis=0))
    return float(np.linalg.norm(marks - found, axis=1).mean() / unit)


def _embed_truly(app: Any, photo: Photo) -> npt.NDArray[np.float32]:
    """Embed the subject by true landmarks, to tell the two models' errors apart."""
    from insightface.utils.face_align import norm_crop

    image = np.ascontiguousarray(photo.image[..., ::-1])
    crop = norm_crop(image, landmark=np.asarray(photo.faces[0].landmarks, dtype=np.float32))
    embedding = app.models["recognition"].get_feat(crop)[0]
    return np.asarray(embedding / np.linalg.norm(embedding), dtype=np.float32)


def true_accept_rate(
    embeddings: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[float, float, tuple[float, float]]:
    """Return TAR at FAR 1e-3 over all pairs, its threshold, and the medians of both kinds."""
    similarity = embeddings @ embeddings.T
    upper = np.triu_indices(len(labels), k=1)
    same = (labels[:, None] == labels[None])[upper]
    values = similarity[upper]
    impostors = np.sort(values[~same])
    threshold = float(impostors[int(np.ceil((1 - _FAR) * len(impostors))) - 1])
    medians = float(np.median(values[same])), float(np.median(impostors))
    return float((values[same] > threshold).mean()), threshold, medians


def rows_of(figures: PackFigures, pack: Path) -> list[dict[str, str]]:
    """Return the figures as rows: what was measured, its value, what is wanted."""
    size = sum(path.stat().st_size for path in pack.glob("*.onnx")) / 1e6
    medians = f"{figures.genuine_median:.3f} / {figures.impostor_median:.3f}"
    rows = [
        ("photos / unseen people", f"{figures.photos} / {figures.people}", ""),
        ("pack size", f"{size:.2f} MB", "≤ 5 MB"),
        ("faces found", f"{100 * figures.found:.2f} % of {figures.faces}", "≥ 99.5 %"),
        ("false boxes per 50 photos", f"{figures.false_per_50:.2f}", "≤ 1"),
        ("TAR at FAR 1e-3, end to end", f"{figures.tar:.4f}", "≥ 0.95"),
        ("TAR at FAR 1e-3, true landmarks", f"{figures.tar_true_landmarks:.4f}", ""),
        ("threshold at FAR 1e-3 (cosine)", f"{figures.threshold:.3f}", ""),
        ("median cosine, same / different", medians, ""),
        ("landmark error (eye–mouth distances)", f"{figures.landmark_error:.3f}", ""),
    ]
    return [dict(zip(("measured", "value", "wanted"), row, strict=True)) for row in rows]


def run() -> list[dict[str, Any]]:
    """The committed pack on 600 photos of 100 unseen people."""
    figures = measure(PACK, people=100, photos_per_person=6, seed=1)
    return [dict(row) for row in rows_of(figures, PACK)]


def main() -> None:
    """Measure the demo pack and print a table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--pack", type=Path, default=PACK)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--photos-per-person", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    request = parser.parse_args()
    figures = measure(
        request.pack,
        people=request.people,
        photos_per_person=request.photos_per_person,
        seed=request.seed,
    )
    for row in rows_of(figures, request.pack):
        sys.stdout.write(" | ".join(row.values()) + "\n")


if __name__ == "__main__":
    main()
