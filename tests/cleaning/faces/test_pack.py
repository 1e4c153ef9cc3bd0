from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from insightface.app import FaceAnalysis

from cleaning.faces.pack import find_pack, load_pack
from facedata.errors import ModelError

Write = Callable[..., Path]


@pytest.fixture
def folder(detector_file: Write, recogniser_file: Write, tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    # Names say nothing about roles: the recogniser sorts first.
    recogniser_file(folder / "a.onnx")
    detector_file(folder / "b.onnx")
    return folder


def test_roles_are_found_by_shape_not_by_name(folder: Path) -> None:
    pack = load_pack(folder)
    assert pack.name == "tiny"
    assert pack.detector.network.path.name == "b.onnx"
    assert pack.detector.strides == (8, 16, 32)
    assert (pack.detector.anchors, pack.detector.fixed_size) == (2, None)
    assert (pack.detector.mean, pack.detector.std) == (127.5, 128.0)
    assert pack.recogniser.network.path.name == "a.onnx"
    assert (pack.recogniser.size, pack.recogniser.dim) == (112, 16)
    assert (pack.recogniser.mean, pack.recogniser.std) == (127.5, 127.5)


def test_the_scaling_inside_a_recogniser_is_respected(folder: Path, recogniser_file: Write) -> None:
    recogniser_file(folder / "a.onnx", node_prefix="own scaling")
    recogniser = load_pack(folder).recogniser
    assert (recogniser.mean, recogniser.std) == (0.0, 1.0)


def test_insightface_loads_the_same_folder(folder: Path) -> None:
    app = FaceAnalysis(str(folder), providers=["CPUExecutionProvider"])
    assert Path(app.models["detection"].model_file).name == "b.onnx"
    assert Path(app.models["recognition"].model_file).name == "a.onnx"


def test_digests(folder: Path) -> None:
    expected = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("a.onnx", "b.onnx")
    }
    assert load_pack(folder).digests == expected


@pytest.mark.parametrize(("given", "expected"), [(None, 640), (320, 320)])
def test_the_trained_size_comes_from_the_metadata(
    given: int | None, expected: int, folder: Path, detector_file: Write
) -> None:
    detector_file(folder / "b.onnx", det_size=given)
    assert load_pack(folder).detector.det_size == expected


def test_a_fixed_input_gives_its_size(folder: Path, detector_file: Write) -> None:
    detector_file(folder / "b.onnx", fixed=256, layout="batched")
    detector = load_pack(folder).detector
    assert detector.fixed_size == (256, 256)
    assert detector.det_size == 256


def test_a_manifest_pack(folder: Path, recogniser_file: Write) -> None:
    recogniser_file(folder / "z.onnx")
    (folder / "MODEL.LICENSE").write_text("test")
    scaling = {"mean": 10.0, "std": 20.0}
    manifest = {
        "manifest_version": 2,
        "model_id": "tiny",
        "license": "MODEL.LICENSE",
        "tasks": {
            "detection": {"file": "b.onnx", "preprocessing": {"mean": 127.5, "std": 128.0}},
            "recognition": {"file": "z.onnx", "preprocessing": scaling},
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    recogniser = load_pack(folder).recogniser
    assert recogniser.network.path.name == "z.onnx"
    assert (recogniser.mean, recogniser.std) == (10.0, 20.0)


def test_a_name_is_looked_up_below_the_root(folder: Path, tmp_path: Path) -> None:
    assert find_pack("tiny", root=tmp_path) == folder.resolve()
    assert load_pack("tiny", root=tmp_path).name == "tiny"


def test_a_nested_release_archive_is_understood(folder: Path, tmp_path: Path) -> None:
    outer = tmp_path / "models" / "outer"
    folder.rename(tmp_path / "outer")
    outer.mkdir()
    (tmp_path / "outer").rename(outer / "outer")
    assert find_pack("outer", root=tmp_path) == (outer / "outer").resolve()


def test_an_unknown_name_without_download(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"models 'nosuch': not found in .*allow the download"):
        load_pack("nosuch", root=tmp_path)


@pytest.mark.parametrize("models", ["packs/none", Path("none")])
def test_a_missing_folder(models: str | Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        find_pack(models, root=tmp_path, download=True)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no \.onnx file"):
        load_pack(tmp_path)


@pytest.mark.parametrize(("name", "role"), [("b.onnx", "detection"), ("a.onnx", "recognition")])
def test_a_pack_without_a_role(name: str, role: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"no {role} model among"):
        load_pack(folder)


def test_a_detector_without_landmarks(folder: Path, detector_file: Write) -> None:
    detector_file(folder / "b.onnx", landmarks=False)
    with pytest.raises(ModelError, match=r"b\.onnx: a detector without landmarks"):
        load_pack(folder)


def test_a_corrupt_file_is_named(folder: Path) -> None:
    (folder / "b.onnx").write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelError, match=r"b\.onnx: .*fetch it again"):
        load_pack(folder)


def test_download_by_name(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """insightface's own download code, against a local file in place of its release page."""
    archive = tmp_path / "tiny.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        for path in folder.iterdir():
            stream.write(path, path.name)

    def fetch(url: str, path: str, **_: object) -> str:
        print("Downloading", url)  # noqa: T201 - as the real one does
        Path(path).parent.mkdir(parents=True)
        Path(path).write_bytes(archive.read_bytes())
        return path

    monkeypatch.setattr("insightface.utils.storage.download_file", fetch)
    pack = load_pack("tiny", root=tmp_path / "home", download=True)
    assert pack.digests == load_pack(folder).digests
    assert capsys.readouterr().out == ""


def test_a_failed_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(_: str, path: str, **__: object) -> str:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"not a zip")
        return path

    monkeypatch.setattr("insightface.utils.storage.download_file", fetch)
    with pytest.raises(ModelError, match="models 'tiny': the download failed"):
        load_pack("tiny", root=tmp_path, download=True)
    # The next try must not take the empty folder for the pack.
    assert not (tmp_path / "models" / "tiny").exists()


def test_a_download_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy nobody listens on: the request fails as it does without a network.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="check the name and the connection"):
        load_pack("tiny", root=tmp_path, download=True)


def test_a_network_runs(folder: Path) -> None:
    blob = np.zeros((1, 3, 64, 96), dtype=np.float32)
    assert len(load_pack(folder).detector.network.run(blob)) == 9
