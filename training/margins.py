"""Margins on the cosine of the true class, one function each, by name in ``MARGINS``.

All functions share one signature, ``(cosine, norms, margin) -> cosine``:

- ``cosine``: (n,) floating, cosine similarity of embeddings to their own class centre, [-1, 1];
- ``norms``: the lengths of the same n embeddings, which only AdaFace reads here;
- the result: (n,) float32 (float64 for float64), which takes the place of the cosine.

Half-precision input is computed in float32. Values and slopes are finite over all of [-1, 1].
Logits are cosines times ``logit_scale``.

Sources: Wang et al., NormFace (arXiv:1704.06369); Liu et al., SphereFace (arXiv:1704.08063), whose
monotone continuation past 180° is used for every angular margin; Wang et al., CosFace
(arXiv:1801.09414); Deng et al., ArcFace (arXiv:1801.07698), with the combined form; Kim et al.,
AdaFace (arXiv:2204.00964).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from facedata.errors import RequestError

# Below this sine squared the angle's slope is held finite: 1 / sin grows without bound at cos = ±1.
_LEAST_SINE_SQUARED = 1e-5
_NORM_RANGE = (1e-3, 100.0)  # AdaFace, section 4.1 of the authors' code
_LEAST_DEVIATION = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginConfig:
    """How the true class is made harder: cos(``multiply`` θ + ``angle``) - ``cosine``, times scale.

    ``angle`` is in radians, ``cosine`` in units of cosine; ``scale`` is the inverse temperature.
    Each margin reads its own: arcface ``angle``, cosface ``cosine``, sphereface ``multiply``,
    combined all three. AdaFace reads ``angle`` as its m, and ``norm_spread`` as its h: how many
    standard deviations of the embedding norm, inverted, span the range of image quality. For
    ``softmax`` the norm of the embedding is the scale.

    Raises:
        RequestError: an unknown name, or a number out of its range.

    """

    name: str = "arcface"
    multiply: float = 1.0
    angle: float = 0.0
    cosine: float = 0.0
    scale: float = 64.0
    norm_spread: float = 0.333

    def __post_init__(self) -> None:
        if self.name not in MARGINS:
            known = ", ".join(sorted(MARGINS))
            raise RequestError(f"margin: no margin is called {self.name!r}; use one of {known}")
        for what in ("scale", "norm_spread"):
            value = getattr(self, what)
            if not value > 0:
                raise RequestError(f"margin {self.name}: {what} is {value}; it must be positive")
        for what in ("angle", "cosine"):
            value = getattr(self, what)
            if not value >= 0:
                raise RequestError(f"margin {self.name}: {what} is {value}; give 0 or more")
        added = self.angle if self.name == "combined" else 0.0
        if "multiply" in _READS.get(self.name, ()) and not self.multiply + added / math.pi >= 1:
            raise RequestError(
                f"margin {self.name}: multiply is {self.multiply}; with an angle of {added} the "
                f"true class would be easier at some angles, give {1 - added / math.pi:.3g} or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureNorms:
    """Lengths of embeddings (n,), and a mean and standard deviation (scalars) to judge them by."""

    values: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor

    @classmethod
    def of_batch(cls, embeddings: torch.Tensor) -> FeatureNorms:
        """Measure embeddings (n, d); mean and deviation are those of this batch, detached."""
        values = torch.linalg.vector_norm(embeddings.float(), dim=1)
        mean, deviation = mean_and_deviation(values)
        return cls(values=values, mean=mean, deviation=deviation)


def mean_and_deviation(norms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation, detached, of norms (n,) held inside AdaFace's range."""
    held = norms.detach().clamp(*_NORM_RANGE)
    return held.mean(), held.std(correction=0)


def unchanged(cosine: torch.Tensor, _norms: FeatureNorms, _margin: MarginConfig) -> torch.Tensor:
    """Return the cosine itself: softmax (scaled by the norm) and NormFace (by a constant)."""
    return _computable(cosine)


def sphereface(cosine: torch.Tensor, _norms: FeatureNorms, margin: MarginConfig) -> torch.Tensor:
    """Return cos(multiply θ), continued monotonically; the scale is constant, as in NormFace."""
    return _angular(cosine, margin.multiply, 0.0)


def cosface(cosine: torch.Tensor, _norms: FeatureNorms, margin: MarginConfig) -> torch.Tensor:
    """Return the cosine less the additive cosine margin."""
    return _computable(cosine) - margin.cosine


def arcface(cosine: torch.Tensor, _norms: FeatureNorms, margin: MarginConfig) -> torch.Tensor:
    """Return the cosine of the angle plus the additive angular margin."""
    return _angular(cosine, 1.0, margin.angle)


def combined(cosine: torch.Tensor, _norms: FeatureNorms, margin: MarginConfig) -> torch.Tensor:
    """Return cos(multiply θ + angle) - cosine."""
    return _angular(cosine, margin.multiply, margin.angle) - margin.cosine


def adaface(cosine: torch.Tensor, norms: FeatureNorms, margin: MarginConfig) -> torch.Tensor:
    """Return cos(θ - m q) - m (1 + q), q the image quality in [-1, 1] read from the norm.

    The angle is held inside [0°, 180°], as in the paper; no gradient flows through the norm.
    """
    cosine = _computable(cosine)
    held = norms.values.detach().clamp(*_NORM_RANGE).to(cosine.dtype)
    deviations = (held - norms.mean) / norms.deviation.clamp(min=_LEAST_DEVIATION)
    quality = (deviations * margin.norm_spread).clamp(-1, 1)
    angle = (_angle(cosine) - margin.angle * quality).clamp(0, torch.pi)
    return torch.cos(angle) - margin.angle * (1 + quality)


MarginFunction = Callable[[torch.Tensor, FeatureNorms, MarginConfig], torch.Tensor]

MARGINS: dict[str, MarginFunction] = {
    "softmax": unchanged,
    "normface": unchanged,
    "sphereface": sphereface,
    "cosface": cosface,
    "arcface": arcface,
    "combined": combined,
    "adaface": adaface,
}


_USUAL = {
    "sphereface": "multiply, as 1.35",
    "cosface": "cosine, as 0.35 or 0.4",
    "arcface": "angle, as 0.5",
    "combined": "them, as 1.0, 0.3 and 0.2",
    "adaface": "angle, as 0.4",
}
"""Margins of the ArcFace paper's comparison (table 2), of insightface's recipes, of AdaFace's."""
_NEUTRAL = {"multiply": 1.0, "angle": 0.0, "cosine": 0.0}
_READS: dict[str, tuple[str, ...]] = {
    "sphereface": ("multiply",),
    "cosface": ("cosine",),
    "arcface": ("angle",),
    "combined": ("multiply", "angle", "cosine"),
    "adaface": ("angle",),
}


def require_margin(margin: MarginConfig) -> None:
    """Check that a margin which has numbers is given one: without, it is NormFace by another name.

    Raises:
        RequestError: it reads only numbers that change nothing.

    """
    reads = _READS.get(margin.name, ())
    if reads and all(getattr(margin, what) == _NEUTRAL[what] for what in reads):
        raise RequestError(
            f"margin {margin.name}: without {' or '.join(reads)} it is no margin; "
            f"give {_USUAL[margin.name]}, or name normface"
        )


def harden(cosine: torch.Tensor, norms: FeatureNorms, margin: MarginConfig) -> torch.Tensor:
    """Apply the margin that ``margin`` names to true-class cosines (n,)."""
    return MARGINS[margin.name](cosine, norms, margin)


def logit_scale(norms: FeatureNorms, margin: MarginConfig) -> torch.Tensor:
    """Return the factor (n,) from cosine to logit: the norm for softmax, else a constant.

    Softmax here is the modified softmax of SphereFace, section 3.1: unit centres, no biases.
    """
    if margin.name == "softmax":
        return norms.values
    return torch.full_like(norms.values, margin.scale)


def margin_logits(
    cosine: torch.Tensor, labels: torch.Tensor, norms: FeatureNorms, margin: MarginConfig
) -> torch.Tensor:
    """Return logits (n, classes) of a whole, unsharded class layer.

    ``cosine`` is (n, classes); ``labels`` (n,) int64 are true classes, or -1 for a row whose class
    is not among the columns, which is then only scaled.
    """
    cosine = _computable(cosine)
    owned = (labels >= 0).unsqueeze(1)
    columns = labels.clamp(min=0).unsqueeze(1)
    true = cosine.gather(1, columns)
    hard = harden(true.squeeze(1), norms, margin).unsqueeze(1)
    hardened = cosine.scatter(1, columns, torch.where(owned, hard, true))
    return hardened * logit_scale(norms, margin).unsqueeze(1)


def _computable(cosine: torch.Tensor) -> torch.Tensor:
    return cosine.to(torch.promote_types(cosine.dtype, torch.float32))


def _angle(cosine: torch.Tensor) -> torch.Tensor:
    sine = torch.sqrt(torch.clamp(1 - cosine * cosine, min=_LEAST_SINE_SQUARED))
    return torch.atan2(sine, cosine)


def _angular(cosine: torch.Tensor, multiply: float, add: float) -> torch.Tensor:
    """Return cos(multiply θ + add), going on to fall past 180°."""
    angle = multiply * _angle(_computable(cosine)) + add
    past = torch.div(angle, torch.pi, rounding_mode="floor").detach()
    odd = torch.remainder(past, 2)
    return (1 - 2 * odd) * torch.cos(angle) - 2 * past
