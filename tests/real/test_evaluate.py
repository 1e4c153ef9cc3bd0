"""Evaluation on real photos: LFW's 6,000 pairs through insightface's own detection and alignment.

Needs the research data described in the design notes; point ``WINNOW_SHARED`` at it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluate.all_pairs import Work, evaluate_within
from training.evaluate.embedder import Embed, open_recogniser
from training.evaluate.overlap import nearest_faces, same_names
from training.evaluate.pairs import scored_pairs
from training.evaluate.report import PairReport, pair_report, read_pairs_csv

SHARED = Path(os.environ.get("WINNOW_SHARED", Path(__file__).parents[2].parent / "shared"))
DATA, PACK = SHARED / "data", SHARED / "models" / "buffalo_sc"
PAIRS = DATA / "lfw_pairs.csv"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no research data at {SHARED}; set WINNOW_SHARED to its folder"
)


def area(face: Any) -> float:
    x1, y1, x2, y2 = face.bbox
    return float((x2 - x1) * (y2 - y1))


def largest(_photo: NDArray[np.uint8], faces: list[Any]) -> Any:
    """What most evaluation code takes; in a crowd it is somebody else now and then."""
    return max(faces, key=area)


def subject(photo: NDArray[np.uint8], faces: list[Any]) -> Any:
    """The face that is large and near the middle, where LFW has the named person."""
    middle = np.array(photo.shape[1::-1]) / 2

    def prominence(face: Any) -> float:
        away = (face.bbox[:2] + face.bbox[2:]) / 2 - middle
        return area(face) - 2 * float(np.sum(away**2))

    return max(faces, key=prominence)


@pytest.fixture(scope="module")
def chosen() -> dict[str, dict[str, NDArray[np.uint8]]]:
    """Aligned crops by image, for each way to choose among the faces of a photo."""
    from insightface.app import FaceAnalysis
    from insightface.utils.face_align import norm_crop

    app = FaceAnalysis(
        name=str(PACK), allowed_modules=["detection"], providers=["CPUExecutionProvider"]
    )
    app.prepare(ctx_id=-1, det_size=(320, 320))
    pairs = read_pairs_csv(PAIRS)
    found: dict[str, dict[str, NDArray[np.uint8]]] = {"largest": {}, "subject": {}}
    for image in sorted({*pairs.image_a, *pairs.image_b}):
        photo = cv2.imread(str(DATA / image))
        faces = app.get(photo)
        for name, choose in (("largest", largest), ("subject", subject)):
            found[name][image] = norm_crop(photo, choose(photo, faces).kps, 112)
    return found


@pytest.fixture(scope="module")
def crops(chosen: dict[str, dict[str, NDArray[np.uint8]]]) -> dict[str, NDArray[np.uint8]]:
    return chosen["subject"]


@pytest.fixture(scope="module")
def embed() -> Embed:
    """The pack's recogniser; a crop that was seen before is not embedded again."""
    recogniser, seen = open_recogniser(PACK), {}

    def remembering(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        keys = [image.tobytes() for image in images]
        new = [index for index, key in enumerate(keys) if key not in seen]
        if new:
            seen.update(zip([keys[index] for index in new], recogniser(images[new]), strict=True))
        return np.stack([seen[key] for key in keys])

    return remembering


def judge(crops: dict[str, NDArray[np.uint8]], embed: Embed) -> PairReport:
    """The report on LFW's pairs."""
    pairs = read_pairs_csv(PAIRS)
    row = {image: index for index, image in enumerate(crops)}
    rows = embed(np.stack(list(crops.values())))
    first, second = (rows[[row[name] for name in side]] for side in (pairs.image_a, pairs.image_b))
    similarity = np.einsum("ij,ij->i", first, second, dtype=np.float64)
    return pair_report("lfw", scored_pairs(similarity, pairs.same, pairs.folds))


@pytest.fixture(scope="module")
def report(crops: dict[str, NDArray[np.uint8]], embed: Embed) -> PairReport:
    return judge(crops, embed)


def test_lfw_accuracy_is_what_insightface_measures(
    chosen: dict[str, dict[str, NDArray[np.uint8]]], embed: Embed
) -> None:
    """99.48 % is what a plain loop over ``FaceAnalysis`` measures: it takes the largest face."""
    found = judge(chosen["largest"], embed)
    assert (found.genuine, found.impostors) == (3000, 3000)
    assert found.accuracy.mean == pytest.approx(0.9948, abs=0.001)


def test_lfw_accuracy_of_the_face_in_the_middle(report: PairReport) -> None:
    assert report.accuracy.mean == pytest.approx(0.9988, abs=0.001)


def test_lfw_rates_that_3000_impostors_can_tell(report: PairReport) -> None:
    point = report.points[1e-3]
    assert point is not None
    assert point.false_accepts == 3
    assert point.tar > 0.97
    assert [far for far, at in report.points.items() if at is None] == [1e-4, 1e-5, 1e-6]


def test_all_pairs_of_lfw_against_one_matrix(
    crops: dict[str, NDArray[np.uint8]], embed: Embed
) -> None:
    people = np.array([Path(image).parent.name for image in crops])
    _, names = np.unique(people, return_inverse=True)
    rows = embed(np.stack(list(crops.values()))).astype(np.float16)

    result = evaluate_within(rows, names, fars=(1e-3, 1e-5, 1e-6, 1e-9), work=Work(threads=2))

    similarity = rows.astype(np.float64) @ rows.astype(np.float64).T
    same = names[:, None] == names[None]
    upper = np.triu(np.ones_like(same), 1)
    impostor, genuine = np.sort(similarity[~same & upper]), similarity[same & upper]
    for point in result.points.values():
        if point is not None:
            limit = impostor[len(impostor) - 1 - int(round(point.far * len(impostor), 6))]
            assert point.threshold == np.nextafter(limit, 2)
            assert point.true_accepts == np.sum(genuine > limit)
    assert result.points[1e-9] is None


def test_people_of_lfw_in_a_public_training_set_are_found(embed: Embed) -> None:
    """The aligned crops come from such a set; some of its people are in LFW under one name."""
    training = {folder.name: folder for folder in sorted((DATA / "aligned112").iterdir())}
    assert training
    rows, names = [], []
    for name, folder in training.items():
        images = [cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))]
        rows.append(embed(np.stack(images)))
        names += [name] * len(images)
    version = (np.concatenate(rows), np.array(names))
    half = np.arange(len(names)) % 2 == 0

    found = nearest_faces(
        (version[0][half], version[1][half]), (version[0][~half], version[1][~half])
    )

    assert [near.person for near in found if near.person != near.identity] == []
    listed = same_names([path.name for path in (DATA / "lfw").iterdir()], training)
    assert {near.person for near in listed} <= {path.name for path in (DATA / "lfw").iterdir()}
    assert listed
