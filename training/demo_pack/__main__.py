"""``python -m training.demo_pack DATA OUT``: train both models on rendered data and export them."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from training.demo_pack.export import export_detector, export_recogniser
from training.demo_pack.fit import Schedule, fit_detector, fit_recogniser
from training.demo_pack.recogniser import Recogniser
from training.demo_pack.renders import open_renders


def main() -> None:
    """Train the demo pack."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=("det", "rec"))
    parser.add_argument("--det-steps", type=int, default=2600)
    parser.add_argument("--rec-steps", type=int, default=1700)
    parser.add_argument("--jitter", type=float, default=1.5)
    parser.add_argument("--start", type=Path, help="recogniser weights (rec.pt) to go on from")
    parser.add_argument("--rec-rate", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=2)
    request = parser.parse_args()
    torch.set_num_threads(request.threads)
    request.out.mkdir(parents=True, exist_ok=True)
    renders = open_renders(request.data)
    if request.only != "rec":
        schedule = Schedule(steps=request.det_steps, batch=16, rate=2.5e-3)
        export_detector(fit_detector(renders, schedule), request.out / "det.onnx")
    if request.only != "det":
        schedule = Schedule(steps=request.rec_steps, batch=128, rate=request.rec_rate)
        start = None if request.start is None else _read(request.start)
        recogniser = fit_recogniser(renders, schedule, jitter=request.jitter, start=start)
        torch.save(recogniser.state_dict(), request.out / "rec.pt")
        export_recogniser(recogniser, request.out / "rec.onnx")


def _read(path: Path) -> Recogniser:
    recogniser = Recogniser()
    recogniser.load_state_dict(torch.load(path, weights_only=True))
    return recogniser


if __name__ == "__main__":
    main()
