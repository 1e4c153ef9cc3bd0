"""ONNX files that insightface loads unchanged."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch

from training.backbones import Backbone
from training.demo_pack.detector import STRIDES, Detector, Exported

INPUT_SIDE = 320  # the longer side of photos that the detector is made for


def export_detector(detector: Detector, path: Path) -> None:
    """Write the detector in SCRFD's format: free height and width, one image per call."""
    names = [f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in STRIDES]
    free = {"input.1": {2: "height", 3: "width"}, **{name: {0: f"n_{name}"} for name in names}}
    torch.onnx.export(
        Exported(detector).eval(), (torch.zeros(1, 3, INPUT_SIDE, INPUT_SIDE),), str(path),
        input_names=["input.1"], output_names=names, dynamic_axes=free, opset_version=17,
        dynamo=False,
    )  # fmt: skip
    _clean(path, det_size=str(INPUT_SIDE))


def export_recogniser(recogniser: Backbone, path: Path) -> None:
    """Write the recogniser: static 112×112, free batch."""
    torch.onnx.export(
        recogniser.eval(), (torch.zeros(1, 3, 112, 112),), str(path),
        input_names=["data"], output_names=["embedding"],
        dynamic_axes={"data": {0: "batch"}, "embedding": {0: "batch"}}, opset_version=17,
        dynamo=False,
    )  # fmt: skip
    _clean(path)


def _clean(path: Path, **properties: str) -> None:
    """Drop what differs between machines (paths in node docs), add properties, check the file."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
    model.producer_name, model.producer_version, model.doc_string = "winnow", "", ""
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    onnx.save(model, path)
