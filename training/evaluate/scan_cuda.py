"""An N:N evaluation's products on a GPU; the result has the same bits as on the processor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from facedata.errors import RequestError, WorkError
from training.evaluate.comparison import Columns
from training.evaluate.exact import Float32, Int64, on_grid, pair_similarity, product_error
from training.evaluate.scan import ALL, BINS, BINS_PER_UNIT, LOWEST, Backend, Found, Reach

_TILE_ROWS = 8192
_EXACT_ENOUGH = ("none", "ieee")
_CHECKED_SIDE = 32
_ON_CPU = "evaluate on the CPU (set CUDA_VISIBLE_DEVICES to -1)"


class TorchStripe:
    """Products by torch on ``device``; float32 must not be rounded further (TF32)."""

    device = "cuda"

    def __init__(self, rows: Float32) -> None:
        precision = _product_precision()
        if precision not in _EXACT_ENOUGH:
            raise RequestError(
                f"N:N evaluation: torch rounds float32 products on the GPU to {precision!r}; set "
                "torch.backends.cuda.matmul.fp32_precision to 'ieee'"
            )
        self._host_rows = rows
        self._checked = False
        with _memory_told():
            self._rows = torch.from_numpy(rows).to(self.device)

    def histogram(self, columns: Columns) -> Int64:
        """See :class:`training.evaluate.scan.Stripe`.

        Raises:
            WorkError: products are less exact than float32, or the GPU's memory is used up.
        """
        with _memory_told():
            self._check_once(columns)
            counts = torch.zeros(BINS, dtype=torch.int64, device=self.device)
            right = torch.from_numpy(columns.rows).to(self.device).T
            for start in range(0, len(self._rows), _TILE_ROWS):
                product = self._product(columns, right, start)
                kept = torch.masked_select(product, product >= ALL)
                bins = torch.floor(kept * BINS_PER_UNIT).long() - int(LOWEST * BINS_PER_UNIT)
                counts += torch.bincount(bins, minlength=BINS)
            return counts.cpu().numpy()

    def find(self, columns: Columns, reaches: Sequence[Reach]) -> Iterator[Found]:
        """See :class:`training.evaluate.scan.Stripe`; one for each reach and tile.

        Raises:
            WorkError: products are less exact than float32, or the GPU's memory is used up.
        """
        with _memory_told():
            self._check_once(columns)
            right = torch.from_numpy(columns.rows).to(self.device).T
            for start in range(0, len(self._rows), _TILE_ROWS):
                product = self._product(columns, right, start)
                yield from _found_in(product, start, reaches)

    def _multiply(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left @ right

    def _check_once(self, columns: Columns) -> None:
        """Refuse what rounds by itself, as drivers and libraries can whatever the settings say.

        The first tile's shape is kept, because another shape may be computed in another way.
        """
        if self._checked:
            return
        left, right = self._host_rows[:_TILE_ROWS].copy(), columns.rows.copy()
        # In a few pairs of real rows roundings may cancel out; in this one they add up.
        left[0] = right[0] = _hard_to_round(left.shape[1])
        rng = np.random.default_rng(0)
        row = np.append(0, rng.integers(len(left), size=_CHECKED_SIDE))
        column = np.append(0, rng.integers(len(right), size=_CHECKED_SIDE))
        first, second = np.repeat(row, len(column)), np.tile(column, len(row))
        product = self._multiply(
            torch.from_numpy(left).to(self.device), torch.from_numpy(right).to(self.device).T
        )
        seen = product[torch.from_numpy(first), torch.from_numpy(second)].cpu().numpy()
        difference = np.abs(seen - pair_similarity(left, right, first, second))
        _check_difference(float(np.max(difference)), product_error(left.shape[1]))
        self._checked = True

    def _product(self, columns: Columns, right: torch.Tensor, start: int) -> torch.Tensor:
        product = self._multiply(self._rows[start : start + _TILE_ROWS], right)
        skip_from = columns.skip_from[start : start + _TILE_ROWS]
        skip_to = columns.skip_to[start : start + _TILE_ROWS]
        if np.any(skip_from < skip_to):
            column = torch.arange(product.shape[1], device=self.device)
            from_ = torch.from_numpy(skip_from).to(self.device)[:, None]
            to = torch.from_numpy(skip_to).to(self.device)[:, None]
            product.masked_fill_((column >= from_) & (column < to), LOWEST)
        return product


class TorchCpuStripe(TorchStripe):
    """The same code on torch's processor backend, where its logic can be tested."""

    device = "cpu"


CUDA = Backend(prepare=TorchStripe, stripe=65_536, width=8192)
TORCH_CPU = Backend(prepare=TorchCpuStripe, stripe=65_536, width=8192)


def _product_precision() -> str:
    """What torch does to float32 products; the one setting that old and new ways of telling share.

    "none" leaves it to the setting for everything, which is full precision by default.
    """
    own = str(torch.backends.cuda.matmul.fp32_precision)
    if own != "none":
        return own
    return str(torch.backends.fp32_precision)  # type: ignore[attr-defined]


def _check_difference(largest: float, bound: float) -> None:
    if not largest <= bound:  # so that NaN is refused too
        raise WorkError(
            f"N:N evaluation: products on the GPU differ from the similarity by {largest:.2g}, "
            f"at most {bound:.2g} is allowed; switch off TF32 and emulated float32 (unset "
            "NVIDIA_TF32_OVERRIDE, TORCH_ALLOW_TF32_CUBLAS_OVERRIDE and "
            f"CUBLAS_EMULATE_SINGLE_PRECISION), or {_ON_CPU}"
        )


def _hard_to_round(dimension: int) -> Float32:
    """A row (d,), of length 0.5 to 1.001, to which fewer bits do the same harm everywhere.

    Each component is a power of two and nearly half of what TF32 (ten bits) can add to it, less
    than what bfloat16 (seven) can: rounded or cut off, all of them become smaller.
    """
    power = 2.0 ** np.floor(np.log2(dimension**-0.5))
    component = power * (1 + 2.0**-11 - 2.0**-20)
    return on_grid(np.full(dimension, component, dtype=np.float32))


def _found_in(product: torch.Tensor, start: int, reaches: Sequence[Reach]) -> Iterator[Found]:
    """What of the tile ``product``, from row ``start`` of its stripe on, each reach holds."""
    width = product.shape[1]
    flat = torch.nonzero(product.ravel() >= min(reach.low for reach in reaches)).ravel()
    values = product.ravel()[flat]
    for index, reach in enumerate(reaches):
        chosen = flat[(values >= reach.low) & (values <= reach.high)]
        row, column = np.divmod(chosen.cpu().numpy(), width)
        above = int(torch.count_nonzero(values > reach.high))
        yield Found(reach=index, above=above, row=row + start, column=column)


@contextmanager
def _memory_told() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise WorkError(
            "N:N evaluation: the GPU's memory is used up; close other programs on the GPU, or "
            f"{_ON_CPU}"
        ) from error
