"""A backbone starts from the weights of a pack, and from nothing else."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import demo
from facedata.errors import ModelError
from training.backbones import BackboneConfig, build_backbone
from training.weights import load_weights, save_weights

PACK = Path(demo.__file__).parent / "pack"
MICRO = BackboneConfig(name="micro", embedding_size=128)


def test_the_demo_packs_weights_give_the_embeddings_of_its_onnx_file() -> None:
    backbone = build_backbone(MICRO)
    load_weights(backbone, PACK)
    faces = np.random.default_rng(0).uniform(-1, 1, (4, 3, 112, 112)).astype(np.float32)
    session = onnxruntime.InferenceSession(PACK / "rec.onnx")
    (expected,) = session.run(None, {session.get_inputs()[0].name: faces})
    with torch.no_grad():
        found = backbone.eval()(torch.from_numpy(faces)).numpy()
    assert np.abs(found - expected).max() < 1e-4


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    one, other = build_backbone(MICRO), build_backbone(MICRO)
    save_weights(one, tmp_path / "rec.pt")
    load_weights(other, tmp_path)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_a_full_disk_is_the_disk_s_error() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        save_weights(build_backbone(MICRO), Path("/dev/full"))


class _Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("owned"),)


def test_what_is_not_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backbone = build_backbone(MICRO)
    with pytest.raises(ModelError, match="cannot be read"):
        load_weights(backbone, tmp_path / "none.pt")
    hostile = tmp_path / "hostile.pt"
    hostile.write_bytes(pickle.dumps(_Hostile()))
    with pytest.raises(ModelError, match="not a file of tensors"):
        load_weights(backbone, hostile)
    assert not Path("owned").exists()
    torch.save({"stem": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="not of this backbone"):
        load_weights(backbone, tmp_path / "other.pt")
