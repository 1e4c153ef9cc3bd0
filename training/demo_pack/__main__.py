"""``python -m training.demo_pack DATA OUT``: train both models on rendered data and export them.

Weights are kept beside the exports (``det.pt``, ``rec.pt``), so that a later run can go on from
them with ``--start``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from training.demo_pack.detector import Detector
from training.demo_pack.export import export_detector, export_recogniser
from training.demo_pack.fit import Schedule, fit_detector, fit_recogniser
from training.demo_pack.recogniser import new_recogniser
from training.demo_pack.renders import Renders, open_renders

Model = TypeVar("Model", bound=nn.Module)


def main() -> None:
    """Train the demo pack."""
    request = _parser().parse_args()
    torch.set_num_threads(request.threads)
    request.out.mkdir(parents=True, exist_ok=True)
    renders = open_renders(request.data)
    if request.only != "rec":
        _make_detector(renders, request)
    if request.only != "det":
        _make_recogniser(renders, request)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=("det", "rec"))
    parser.add_argument("--start", type=Path, help="folder with det.pt and rec.pt to go on from")
    parser.add_argument("--det-steps", type=int, default=2600)
    parser.add_argument("--det-rate", type=float, default=2.5e-3)
    parser.add_argument("--rec-steps", type=int, default=1700)
    parser.add_argument("--rec-rate", type=float, default=0.1)
    parser.add_argument("--jitter", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    return parser


def _make_detector(renders: Renders, request: argparse.Namespace) -> None:
    schedule = Schedule(steps=request.det_steps, batch=16, rate=request.det_rate, seed=request.seed)
    start = _started(Detector(), request.start, "det.pt")
    detector = fit_detector(renders, schedule, start=start)
    torch.save(detector.state_dict(), request.out / "det.pt")
    export_detector(detector, request.out / "det.onnx")


def _make_recogniser(renders: Renders, request: argparse.Namespace) -> None:
    schedule = Schedule(
        steps=request.rec_steps, batch=128, rate=request.rec_rate, seed=request.seed
    )
    start = _started(new_recogniser(), request.start, "rec.pt")
    recogniser = fit_recogniser(renders, schedule, jitter=request.jitter, start=start)
    torch.save(recogniser.state_dict(), request.out / "rec.pt")
    export_recogniser(recogniser, request.out / "rec.onnx")


def _started(model: Model, folder: Path | None, name: str) -> Model | None:
    """Return the model with saved weights, or nothing when training starts afresh."""
    if folder is None:
        return None
    model.load_state_dict(torch.load(folder / name, weights_only=True))
    return model


if __name__ == "__main__":
    main()
