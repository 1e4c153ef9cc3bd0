"""The learning rate of every step, the backbone's optimiser, and the clipping of its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from training.config import OptimiserConfig

_SMALL = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A linear rise to ``peak`` over ``warmup_steps``, then polynomial decay to 0 at ``steps``."""

    peak: float
    steps: int
    warmup_steps: int
    power: float


def learning_rate(step: int, schedule: Schedule) -> float:
    """The learning rate of step 0 ≤ ``step`` < ``schedule.steps``.

    A pure function of the step, so that a resumed run has no schedule to restore. The form is
    PolyScheduler's in insightface's arcface_torch, whose power is 2.
    """
    if step < schedule.warmup_steps:
        return schedule.peak * (step + 1) / schedule.warmup_steps
    decayed = (step - schedule.warmup_steps) / max(1, schedule.steps - schedule.warmup_steps)
    return schedule.peak * float(max(0.0, 1.0 - decayed) ** schedule.power)


def backbone_optimiser(
    parameters: Iterable[nn.Parameter], config: OptimiserConfig
) -> torch.optim.Optimizer:
    """The optimiser that ``config.name`` asks for; its learning rate is set before every step."""
    return _OPTIMISERS[config.name](list(parameters), config)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Use ``rate`` in the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def clip_gradient(parameters: Iterable[nn.Parameter], most: float | None) -> torch.Tensor:
    """Scale the gradient of a backbone down to an L2 norm of at most ``most``; None measures only.

    Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013.

    Returns:
        The norm before, a scalar.
    """
    gradients = [one.grad for one in parameters if one.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if most is not None:
        factor = torch.clamp(most / (norm + _SMALL), max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
    return norm


def _sgd(parameters: list[nn.Parameter], config: OptimiserConfig) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )


def _adamw(parameters: list[nn.Parameter], config: OptimiserConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameters, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay
    )


_OPTIMISERS: dict[str, Callable[[list[nn.Parameter], OptimiserConfig], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
}
