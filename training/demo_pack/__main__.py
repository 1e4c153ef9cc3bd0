"""``python -m training.demo_pack DATA OUT``: train both models on rendered data and export them."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from training.demo_pack.export import export_detector, export_recogniser
from training.demo_pack.fit import Schedule, fit_detector, fit_recogniser
from training.demo_pack.renders import open_renders


def main() -> None:
    """Train the demo pack."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=("det", "rec"))
    parser.add_argument("--det-steps", type=int, default=6000)
    parser.add_argument("--rec-steps", type=int, default=3200)
    parser.add_argument("--jitter", type=float, default=1.6)
    parser.add_argument("--threads", type=int, default=2)
    request = parser.parse_args()
    torch.set_num_threads(request.threads)
    request.out.mkdir(parents=True, exist_ok=True)
    renders = open_renders(request.data)
    if request.only != "rec":
        schedule = Schedule(steps=request.det_steps, batch=16, rate=2.5e-3)
        export_detector(fit_detector(renders, schedule), request.out / "det.onnx")
    if request.only != "det":
        schedule = Schedule(steps=request.rec_steps, batch=128, rate=0.1)
        recogniser = fit_recogniser(renders, schedule, jitter=request.jitter)
        export_recogniser(recogniser, request.out / "rec.onnx")


if __name__ == "__main__":
    main()
