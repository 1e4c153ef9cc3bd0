"""Export: insightface loads the pack as it is and embeds as torch does, in any batch."""

from __future__ import annotations

import copy
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from insightface.app import FaceAnalysis
from insightface.utils.face_align import norm_crop
from numpy.typing import NDArray
from torch import nn

import demo
from demo.casting import make_person
from demo.photo import render_photo
from facedata.errors import ModelError, StorageError, WorkError
from training.evaluate.embedder import open_recogniser
from training.export import export_recogniser, write_pack

DETECTOR = Path(demo.__file__).parent / "pack" / "det.onnx"


class Backbone(nn.Module):
    """Small; it begins with a subtraction and a product, which insightface's rule looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.PReLU(16),
            nn.Conv2d(16, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.PReLU(32),
            nn.AdaptiveAvgPool2d(7), nn.Dropout(0.4), nn.Flatten(),
        )  # fmt: skip
        self.embed = nn.Linear(32 * 49, 64)
        self.norm = nn.BatchNorm1d(64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedding: torch.Tensor = self.norm(self.embed(self.body((x - 0.1) * 1.5)))
        return embedding


def trained(model: nn.Module) -> nn.Module:
    """Weights and running statistics as after some steps."""
    torch.manual_seed(0)
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(5):
        loss = model(torch.rand(8, 3, 112, 112) * 2 - 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


@pytest.fixture(scope="module")
def backbone() -> nn.Module:
    torch.manual_seed(0)
    return trained(Backbone())


@pytest.fixture(scope="module")
def pack(backbone: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs") / "trained"
    write_pack(backbone, DETECTOR, folder)
    return folder


@pytest.fixture(scope="module")
def photos() -> list[NDArray[np.uint8]]:
    """Rendered photos in BGR."""
    return [
        np.ascontiguousarray(render_photo([make_person(seed)], seed).image[..., ::-1])
        for seed in range(8)
    ]


def faces_of(pack: Path, photos: list[NDArray[np.uint8]]) -> list[tuple[NDArray[np.uint8], Any]]:
    app = FaceAnalysis(name=str(pack), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(320, 320))
    return [(photo, face) for photo in photos for face in app.get(photo)]


def embed_by_torch(backbone: nn.Module, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    rgb = np.ascontiguousarray(crops[..., ::-1].transpose(0, 3, 1, 2))
    with torch.inference_mode():
        rows: NDArray[np.float32] = backbone.eval()(torch.from_numpy(rgb) / 127.5 - 1).numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_face_analysis_embeds_as_torch_does(
    pack: Path, backbone: nn.Module, photos: list[NDArray[np.uint8]]
) -> None:
    found = faces_of(pack, photos)
    crops = np.stack([norm_crop(photo, face.kps, 112) for photo, face in found])

    expected = embed_by_torch(backbone, crops)

    theirs = np.stack([face.normed_embedding for _, face in found])
    assert len(found) >= 7
    assert np.sum(theirs * expected, axis=1).min() > 0.9999
    # The network tells these faces apart: agreement is no accident of a constant answer.
    assert np.sort((expected @ expected.T).ravel())[0] < 0.99


def test_batches_of_1_and_64_agree(pack: Path, backbone: nn.Module) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (64, 112, 112, 3), dtype=np.uint8)
    app = FaceAnalysis(name=str(pack), providers=["CPUExecutionProvider"])
    together = app.models["recognition"].get_feat(list(crops))
    alone = np.concatenate([app.models["recognition"].get_feat(crop) for crop in crops])
    own = open_recogniser(pack)(crops)

    length = np.linalg.norm(alone, axis=1)
    assert together.shape == (64, 64)
    assert np.abs(together - alone).max() < 1e-4 * length.max()
    assert np.sum(own * alone, axis=1) / length == pytest.approx(1, abs=1e-4)
    assert np.sum(own * embed_by_torch(backbone, crops), axis=1).min() > 0.9999


def test_the_pack_has_the_form_that_insightface_expects(pack: Path) -> None:
    assert sorted(path.name for path in pack.iterdir()) == ["det.onnx", "rec.onnx", "rec.pt"]
    assert (pack / "det.onnx").read_bytes() == DETECTOR.read_bytes()
    app = FaceAnalysis(name=str(pack), providers=["CPUExecutionProvider"])
    recogniser = app.models["recognition"]
    assert (recogniser.input_mean, recogniser.input_std) == (127.5, 127.5)
    assert recogniser.input_size == (112, 112)
    assert recogniser.input_shape == ["batch", 3, 112, 112]
    assert "detection" in app.models


def test_the_same_weights_give_the_same_bytes(
    pack: Path, backbone: nn.Module, tmp_path: Path
) -> None:
    export_recogniser(backbone, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (pack / "rec.onnx").read_bytes()
    model = onnx.load(tmp_path / "again.onnx")
    assert str(Path(__file__).parents[2]).encode() not in model.SerializeToString()


def test_the_backbone_is_left_as_it_was(tmp_path: Path) -> None:
    model = trained(Backbone()).to(torch.bfloat16).train()
    export_recogniser(model, tmp_path / "rec.onnx")
    assert model.training
    assert next(model.parameters()).dtype == torch.bfloat16


class Attention(nn.Module):
    """Patches and one attention block, as in a ViT."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 16, 16)
        self.block = nn.MultiheadAttention(32, 4, batch_first=True)
        self.embed = nn.Linear(32 * 49, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        mixed, _ = self.block(tokens, tokens, tokens, need_weights=False)
        embedding: torch.Tensor = self.embed(mixed.flatten(1))
        return embedding


def test_attention_is_exported_for_any_batch(tmp_path: Path) -> None:
    export_recogniser(Attention(), tmp_path / "rec.onnx")
    assert open_recogniser(tmp_path)(np.zeros((3, 112, 112, 3), np.uint8)).shape == (3, 16)


class OneBatchOnly(nn.Module):
    """Bakes the batch it was traced with into its graph."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3)).reshape(2, -1).reshape(int(x.shape[0]), 3) if len(x) == 2 else x


class Random(nn.Module):
    """Answers something else each time."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.randn_like(x.mean(dim=(2, 3)))


@pytest.mark.parametrize("model", [OneBatchOnly(), Random()], ids=["batch", "random"])
def test_an_unfaithful_export_is_refused(model: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="export of"):
        write_pack(model, DETECTOR, tmp_path / "pack")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """``small_files(bytes)``: from now on files of this process are no larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["det.onnx", "rec.onnx", "rec.pt"])
def test_a_disk_that_takes_no_more_is_not_the_model_s_fault(
    pack: Path,
    backbone: nn.Module,
    tmp_path: Path,
    small_files: Callable[[int], None],
    name: str,
) -> None:
    recogniser = (pack / "rec.onnx").stat().st_size
    model, detector = copy.deepcopy(backbone), DETECTOR
    if name != "det.onnx":
        detector = tmp_path / "small.onnx"
        detector.touch()
    if name == "rec.pt":
        # Not in the graph, so that only this file is too large.
        model.register_buffer("unused", torch.zeros(recogniser))
    small_files({"det.onnx": 100, "rec.onnx": recogniser - 1, "rec.pt": recogniser}[name])

    with pytest.raises(StorageError, match=r"writing failed: File too large; check space and"):
        write_pack(model, detector, tmp_path / "full")

    assert not (tmp_path / "full").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_a_killed_export_left_is_removed(backbone: nn.Module, tmp_path: Path) -> None:
    left = tmp_path / ".trained.part"
    left.mkdir()
    (left / "rec.onnx").write_bytes(b"half")
    (left / "other").write_bytes(b"")
    (tmp_path / "trained").mkdir()

    write_pack(backbone, DETECTOR, tmp_path / "trained")

    assert [path.name for path in tmp_path.iterdir()] == ["trained"]
    assert {path.name for path in (tmp_path / "trained").iterdir()} == {
        "det.onnx", "rec.onnx", "rec.pt",
    }  # fmt: skip


def test_a_pack_is_not_written_over_another(pack: Path, backbone: nn.Module) -> None:
    with pytest.raises(ModelError, match="it exists already"):
        write_pack(backbone, DETECTOR, pack)


def test_a_missing_detector_is_named(backbone: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: no such file"):
        write_pack(backbone, tmp_path / "none.onnx", tmp_path / "pack")
