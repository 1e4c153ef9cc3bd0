"""Class centres of one rank: their storage, their optimiser's state, and updates row by row.

Only the rows that a step names are read or written. Rows are stored as float32, or as bfloat16
rounded stochastically: a rounding to the nearest would swallow every update smaller than 1/256 of
a weight (Gupta et al., arXiv:1502.02551).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from facedata.errors import RequestError
from training.class_sampling import SampledClasses, seeded

StoredDtype = Literal["float32", "bfloat16"]

_DTYPES: dict[StoredDtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_INITIAL_DEVIATION = 0.01
_INITIAL_BLOCK_CLASSES = 2**12
_BLOCK_NUMBERS = 2**24  # of float32 that one temporary holds: 64 MiB

Rows = torch.Tensor
State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreOptimiser:
    """How centres learn: ``sgd`` (reads ``momentum``; 0 stores none) or ``adamw`` (``betas``).

    State of rows that are not sampled stays as it is; AdamW corrects the bias of each row by the
    number of that row's own updates.

    Raises:
        RequestError: an unknown name, or a number out of its range.

    """

    name: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    state_dtype: StoredDtype = "float32"

    def __post_init__(self) -> None:
        if self.name not in _UPDATES:
            known = ", ".join(sorted(_UPDATES))
            raise RequestError(f"centres: no optimiser is called {self.name!r}; use one of {known}")
        for what, value in (("momentum", self.momentum), *(("beta", beta) for beta in self.betas)):
            if not 0 <= value < 1:
                raise RequestError(f"centres: {what} is {value}; it must be in [0, 1)")

    def state_names(self) -> tuple[str, ...]:
        """Return the names of the numbers kept for every number of a centre."""
        if self.name == "adamw":
            return ("first_moment", "second_moment")
        return ("momentum",) if self.momentum > 0 else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreShape:
    """The classes of one shard, the sub-centres of each and their dimensions, and how stored."""

    classes: range
    sub_centres: int
    dimensions: int
    dtype: StoredDtype

    @property
    def classes_per_block(self) -> int:
        """How many classes to work on at a time, so that temporaries stay small."""
        return max(1, _BLOCK_NUMBERS // (self.sub_centres * self.dimensions))


class Centres(nn.Module):
    """The centres of a contiguous range of classes; buffers, so no other optimiser sees them.

    ``rows`` is (classes, sub-centres, dimensions); each name of ``optimiser.state_names()`` is a
    buffer of the same shape; ``updates`` (classes,) int32 counts a class's updates, for AdamW.
    """

    rows: torch.Tensor
    updates: torch.Tensor

    def __init__(
        self, shape: CentreShape, optimiser: CentreOptimiser, *, seed: int, device: torch.device
    ) -> None:
        super().__init__()
        self.shape, self.optimiser = shape, optimiser
        size = (len(shape.classes), shape.sub_centres, shape.dimensions)
        self.register_buffer("rows", torch.empty(size, dtype=_DTYPES[shape.dtype], device=device))
        for name in optimiser.state_names():
            state = torch.zeros(size, dtype=_DTYPES[optimiser.state_dtype], device=device)
            self.register_buffer(name, state)
        if optimiser.name == "adamw":
            self.register_buffer("updates", torch.zeros(size[0], dtype=torch.int32, device=device))
        self._initialise(seed)

    def unit_block(
        self, sampled: SampledClasses, start: int, stop: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sampled centres at length 1 (n, k, d), and one over their length (n, k, 1)."""
        rows = self.rows[sampled.block(start, stop)].float()
        lengths = torch.linalg.vector_norm(rows, dim=2, keepdim=True)
        inverse = lengths.clamp(min=1e-12).reciprocal()
        return rows * inverse, inverse

    def update(
        self,
        sampled: SampledClasses,
        gradient: torch.Tensor,
        learning_rate: float,
        generator: torch.Generator,
    ) -> None:
        """Take one optimiser step on the sampled classes, with their gradient (n, k, d) float32."""
        update, names = _UPDATES[self.optimiser.name], self.optimiser.state_names()
        for start in range(0, sampled.count, self.shape.classes_per_block):
            stop = min(start + self.shape.classes_per_block, sampled.count)
            where = sampled.block(start, stop)
            state = {name: self.get_buffer(name)[where].float() for name in names}
            if self.optimiser.name == "adamw":
                self.updates[where] += 1
                state["updates"] = self.updates[where].view(-1, 1, 1)
            rows = self.rows[where].float()
            rows = update(rows, gradient[start:stop], state, self.optimiser, learning_rate)
            self.rows[where] = rounded(rows, self.rows.dtype, generator)
            for name in names:
                buffer = self.get_buffer(name)
                buffer[where] = rounded(state[name], buffer.dtype, generator)

    def point_at(self, directions: torch.Tensor) -> None:
        """Turn the first centre of each class to a direction (classes, d), keeping its length.

        A direction of zeros leaves the centre as it is.
        """
        for start in range(0, len(directions), self.shape.classes_per_block):
            block = slice(start, start + self.shape.classes_per_block)
            wanted = directions[block]
            lengths = torch.linalg.vector_norm(wanted, dim=1, keepdim=True)
            before = self.rows[block, 0].float()
            kept = torch.linalg.vector_norm(before, dim=1, keepdim=True)
            turned = wanted / lengths.clamp(min=1e-12) * kept
            self.rows[block, 0] = torch.where(lengths > 0, turned, before).to(self.rows.dtype)

    def _initialise(self, seed: int) -> None:
        """Fill with normal numbers that depend on the class alone, not on how it is sharded."""
        classes, block = self.shape.classes, _INITIAL_BLOCK_CLASSES
        for first in range(classes.start // block * block, classes.stop, block):
            generator = seeded(self.rows.device, seed, first)
            numbers = torch.randn((block, *self.rows.shape[1:]), generator=generator,
                                  device=self.rows.device)  # fmt: skip
            low, high = max(first, classes.start), min(first + block, classes.stop)
            mine = numbers[low - first : high - first] * _INITIAL_DEVIATION
            self.rows[low - classes.start : high - classes.start] = mine


def rounded(numbers: torch.Tensor, dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Return float32 numbers in ``dtype``; to bfloat16 up or down by chance, right on average."""
    if dtype != torch.bfloat16:
        return numbers
    bits = torch.randint(0, 2**16, numbers.shape, dtype=torch.int32, generator=generator,
                         device=numbers.device)  # fmt: skip
    bits.add_(numbers.view(torch.int32)).bitwise_and_(-(2**16))
    # In infinities and NaNs a carry would change what they are: the bits run over into the sign.
    return torch.where(numbers.isfinite(), bits.view(torch.float32), numbers).to(torch.bfloat16)


def _sgd(
    rows: Rows, gradient: Rows, state: State, optimiser: CentreOptimiser, learning_rate: float
) -> Rows:
    direction = gradient + optimiser.weight_decay * rows
    if "momentum" in state:
        direction = state["momentum"] = optimiser.momentum * state["momentum"] + direction
    return rows - learning_rate * direction


def _adamw(
    rows: Rows, gradient: Rows, state: State, optimiser: CentreOptimiser, learning_rate: float
) -> Rows:
    """Loshchilov and Hutter, arXiv:1711.05101."""
    first, second = optimiser.betas
    state["first_moment"] = first * state["first_moment"] + (1 - first) * gradient
    state["second_moment"] = second * state["second_moment"] + (1 - second) * gradient.square()
    mean = state["first_moment"] / (1 - first ** state["updates"])
    size = (state["second_moment"] / (1 - second ** state["updates"])).sqrt()
    kept = 1 - learning_rate * optimiser.weight_decay
    return kept * rows - learning_rate * mean / (size + optimiser.epsilon)


_UPDATES: dict[str, Callable[[Rows, Rows, State, CentreOptimiser, float], Rows]] = {
    "sgd": _sgd,
    "adamw": _adamw,
}
