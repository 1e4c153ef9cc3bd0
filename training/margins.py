"""Margins on the cosine of the true class: ArcFace, CosFace and their combination.

All functions share one signature, ``(cosine, labels, margin) -> logits``:

- ``cosine``: (n, classes) float, cosine similarity of embeddings to class centres, in [-1, 1];
- ``labels``: (n,) int64, the true class of each row, or -1 for a row whose class is not among these
  columns (a shard of a Partial FC);
- the result: (n, classes) float32, scaled logits for a softmax cross-entropy.

Sources: Deng et al., ArcFace (arXiv:1801.07698); Wang et al., CosFace (arXiv:1801.09414); Liu et
al., SphereFace (arXiv:1704.08063), whose monotone continuation past 180° is used here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

# Below this sine squared the angle's slope is held finite: 1 / sin grows without bound at cos = ±1.
_LEAST_SINE_SQUARED = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How the true class is made harder: cos(``multiply`` θ + ``angle``) - ``cosine``, times scale.

    ``angle`` is in radians, ``cosine`` in units of cosine; ``scale`` is the inverse temperature.
    """

    multiply: float = 1.0
    angle: float = 0.0
    cosine: float = 0.0
    scale: float = 32.0


def combined(cosine: torch.Tensor, labels: torch.Tensor, margin: Margin) -> torch.Tensor:
    """Return logits with all three margins; finite slopes everywhere, also at cos = ±1."""
    logits = cosine.float()
    rows = torch.nonzero(labels >= 0).squeeze(1)
    columns = labels[rows]
    hard = _harder(logits[rows, columns], margin)
    return logits.index_put((rows, columns), hard) * margin.scale


def arcface(cosine: torch.Tensor, labels: torch.Tensor, margin: Margin) -> torch.Tensor:
    """Return logits with the additive angular margin only."""
    return combined(cosine, labels, replace(margin, multiply=1.0, cosine=0.0))


def cosface(cosine: torch.Tensor, labels: torch.Tensor, margin: Margin) -> torch.Tensor:
    """Return logits with the additive cosine margin only."""
    return combined(cosine, labels, replace(margin, multiply=1.0, angle=0.0))


MarginFunction = Callable[[torch.Tensor, torch.Tensor, Margin], torch.Tensor]

MARGINS: dict[str, MarginFunction] = {
    "arcface": arcface,
    "cosface": cosface,
    "combined": combined,
}


def _harder(cosine: torch.Tensor, margin: Margin) -> torch.Tensor:
    """Apply the margin to true-class cosines (n,); falls monotonically with the angle."""
    if margin.multiply == 1.0 and margin.angle == 0.0:
        return cosine - margin.cosine
    sine = torch.sqrt(torch.clamp(1 - cosine * cosine, min=_LEAST_SINE_SQUARED))
    angle = margin.multiply * torch.atan2(sine, cosine) + margin.angle
    past = torch.div(angle, torch.pi, rounding_mode="floor").detach()
    odd = torch.remainder(past, 2)
    folded = (1 - 2 * odd) * torch.cos(angle) - 2 * past
    return folded - margin.cosine
