from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cleaning.faces.embed import check_batch_invariance, embed_crops
from cleaning.faces.network import open_network
from cleaning.faces.pack import ModelPack, RecogniserModel
from facedata.errors import ModelError


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (9, 112, 112, 3), dtype=np.uint8)


@pytest.fixture
def batch_dependent(
    recogniser_file: Callable[..., Path], red_pack: ModelPack, tmp_path: Path
) -> RecogniserModel:
    path = recogniser_file(tmp_path / "int8.onnx", per_batch=True)
    return replace(red_pack.recogniser, network=open_network(path, ["CPUExecutionProvider"]))


def test_embeddings_are_the_network_s_normalised(
    red_pack: ModelPack, crops: NDArray[np.uint8]
) -> None:
    found = embed_crops(crops, red_pack.recogniser)
    blob = (crops.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 127.5
    raw = red_pack.recogniser.network.run(blob)[0]
    norms = np.linalg.norm(raw, axis=1)
    assert np.allclose(found.norms, norms, rtol=1e-4)
    assert np.allclose(found.vectors, raw / norms[:, None], atol=1e-5)
    assert found.vectors.dtype == found.norms.dtype == np.float32


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 64])
def test_batches_and_threads_change_nothing(
    batch_size: int, threads: int, red_pack: ModelPack, crops: NDArray[np.uint8]
) -> None:
    one = embed_crops(crops, red_pack.recogniser, batch_size=1)
    many = embed_crops(crops, red_pack.recogniser, batch_size=batch_size, threads=threads)
    assert np.allclose(one.vectors, many.vectors, atol=1e-5)
    assert np.allclose(one.norms, many.norms, rtol=1e-5)


def test_no_crops(red_pack: ModelPack, crops: NDArray[np.uint8]) -> None:
    found = embed_crops(crops[:0], red_pack.recogniser)
    assert (found.vectors.shape, found.norms.shape) == ((0, 16), (0,))


def test_a_batch_dependent_recogniser_is_noticed(
    red_pack: ModelPack, batch_dependent: RecogniserModel
) -> None:
    assert check_batch_invariance(red_pack.recogniser, 64)
    assert not check_batch_invariance(batch_dependent, 64)
    assert not check_batch_invariance(batch_dependent, 2)


def test_a_batch_dependent_recogniser_is_run_one_by_one(
    batch_dependent: RecogniserModel, crops: NDArray[np.uint8]
) -> None:
    alone = embed_crops(crops, batch_dependent, batch_size=1)
    batched = embed_crops(crops, batch_dependent, batch_size=64)
    assert np.array_equal(alone.vectors, batched.vectors)


def test_a_recogniser_of_another_size_is_refused(
    red_pack: ModelPack, crops: NDArray[np.uint8]
) -> None:
    with pytest.raises(ModelError, match="its input is 128 pixels wide"):
        embed_crops(crops, replace(red_pack.recogniser, size=128))


def test_an_embedding_of_zero_is_an_error(red_pack: ModelPack, crops: NDArray[np.uint8]) -> None:
    # The test recogniser has no offset: with this scaling, black is the zero vector.
    black = np.concatenate([crops[:2], np.zeros_like(crops[:1])])
    with pytest.raises(ModelError, match=r"1 of 3 crops .* first row 2"):
        embed_crops(black, replace(red_pack.recogniser, mean=0.0))
