"""A trained backbone as an insightface model pack: a folder with a detector and a recogniser.

insightface decides from the names of the first nodes whether a recogniser scales its own input.
Nodes are renamed here so that the answer is always no: input is (x - 127.5) / 127.5 on RGB.
"""

from __future__ import annotations

import copy
import io
import shutil
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from facedata.errors import ModelError, StorageError, WorkError
from facedata.models import WEIGHTS
from training.weights import save_weights

SIDE = 112
DETECTOR, RECOGNISER = "det.onnx", "rec.onnx"

_OPSET = 17
_LEAST_COSINE = 0.9999
_CHECKED_BATCHES = (1, 5)


def write_pack(backbone: nn.Module, detector: Path, folder: Path) -> None:
    """Write a new pack: ``det.onnx``, a copy of ``detector``, ``rec.onnx`` and ``rec.pt``.

    The folder appears when all files are whole and the recogniser was found equal to the backbone.
    Until then they are in a folder beside it, ``.<name>.part``; what a killed process left there is
    removed, so only one process may write a pack of that name.

    Raises:
        ModelError: the detector is missing, or the folder holds something already.
        StorageError: writing failed.
        WorkError: the backbone cannot be exported, or its export gives other embeddings.
    """
    if not detector.is_file():
        raise ModelError(f"detector {detector}: no such file; name an SCRFD .onnx with landmarks")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"model pack {folder}: it exists already; choose a new folder")
    part = folder.with_name(f".{folder.name}.part")
    try:
        if part.exists():
            shutil.rmtree(part)
        part.mkdir(parents=True)
        shutil.copyfile(detector, part / DETECTOR)
        export_recogniser(backbone, part / RECOGNISER)
        save_weights(_plain(backbone), part / WEIGHTS)
        part.replace(folder)
    except OSError as error:
        raise StorageError(
            f"model pack {folder}: writing failed: {error.strerror or error}; check space and "
            "rights, and run again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def export_recogniser(backbone: nn.Module, path: Path) -> None:
    """Write a recogniser: input ``data`` (batch, 3, 112, 112), output ``embedding`` (batch, d).

    The backbone is exported in float32 and eval mode, from a copy on the processor. The same
    weights give the same bytes.

    Raises:
        WorkError: it cannot be exported, or onnxruntime gives other embeddings for one crop or
            several.
        OSError: as the file system does.
    """
    model = _plain(backbone)
    try:
        with warnings.catch_warnings():
            # What tracing cannot follow is found by the comparison below, or does no harm.
            warnings.simplefilter("ignore")
            traced = _trace(model)
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        raise WorkError(
            f"export of {type(model).__name__}: torch cannot write it as ONNX: "
            f"{str(error).strip().splitlines()[0][:200]}; use operators of opset {_OPSET}"
        ) from error
    recogniser = _tidy(traced)
    _check_equal(model, recogniser)
    path.write_bytes(recogniser)


def _trace(model: nn.Module) -> bytes:
    """The model as ONNX, in memory: torch calls a full disk an error of the model."""
    buffer = io.BytesIO()
    torch.onnx.export(
        # With dynamo=False streams are taken as well as paths, whatever the signature says.
        model, (torch.zeros(2, 3, SIDE, SIDE),), buffer,  # type: ignore[arg-type]
        input_names=["data"], output_names=["embedding"],
        dynamic_axes={"data": {0: "batch"}, "embedding": {0: "batch"}}, opset_version=_OPSET,
        dynamo=False,
    )  # fmt: skip
    return buffer.getvalue()


def _plain(backbone: nn.Module) -> nn.Module:
    """A copy without torch.compile's wrapper, in float32 on the processor."""
    inner = getattr(backbone, "_orig_mod", backbone)
    model: nn.Module = copy.deepcopy(inner)
    return model.cpu().float().eval()


def _tidy(traced: bytes) -> bytes:
    """Neutral names, nothing that differs between machines, and a checked model."""
    model = onnx.load_from_string(traced)
    for index, node in enumerate(model.graph.node):
        node.name, node.doc_string = f"node_{index}", ""
        del node.metadata_props[:]
    model.producer_name, model.producer_version, model.doc_string = "winnow", "", ""
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _check_equal(model: nn.Module, recogniser: bytes) -> None:
    """Compare with torch in batches that differ from the one it was traced with."""
    session = onnxruntime.InferenceSession(recogniser, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for count in _CHECKED_BATCHES:
        images = rng.uniform(-1, 1, (count, 3, SIDE, SIDE)).astype(np.float32)
        with torch.inference_mode():
            expected = model(torch.from_numpy(images)).numpy()
        try:
            found = session.run(None, {"data": images})[0]
        except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
            raise WorkError(
                f"export of {type(model).__name__}: it fails on a batch of {count}; its forward "
                "must not depend on the batch it was traced with"
            ) from error
        cosine = _cosine(np.asarray(expected), np.asarray(found))
        if not cosine >= _LEAST_COSINE:
            raise WorkError(
                f"export of {type(model).__name__}: cosine {cosine:.6f} to torch in a batch of "
                f"{count}, below {_LEAST_COSINE}; this backbone is not exported faithfully"
            )


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    """The lowest cosine of any row with its partner; nan for shapes that differ."""
    if first.shape != second.shape:
        return float("nan")
    length = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(np.min(np.sum(first * second, axis=1) / length))
