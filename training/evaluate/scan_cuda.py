"""An N:N evaluation's products on a GPU; the result has the same bits as on the processor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from facedata.errors import RequestError
from training.evaluate.comparison import Columns
from training.evaluate.exact import Float32, Int64
from training.evaluate.scan import ALL, BINS, BINS_PER_UNIT, LOWEST, Backend, Found, Reach

_TILE_ROWS = 8192
_EXACT_ENOUGH = ("none", "ieee")


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
        self._rows = torch.from_numpy(rows).to(self.device)

    def histogram(self, columns: Columns) -> Int64:
        """See :class:`training.evaluate.scan.Stripe`."""
        counts = torch.zeros(BINS, dtype=torch.int64, device=self.device)
        right = torch.from_numpy(columns.rows).to(self.device).T
        for start in range(0, len(self._rows), _TILE_ROWS):
            product = self._product(columns, right, start)
            kept = torch.masked_select(product, product >= ALL)
            bins = torch.floor(kept * BINS_PER_UNIT).long() - int(LOWEST * BINS_PER_UNIT)
            counts += torch.bincount(bins, minlength=BINS)
        return counts.cpu().numpy()

    def find(self, columns: Columns, reaches: Sequence[Reach]) -> list[Found]:
        """See :class:`training.evaluate.scan.Stripe`."""
        least = min(reach.low for reach in reaches)
        above = [0] * len(reaches)
        inside: list[list[torch.Tensor]] = [[] for _ in reaches]
        right = torch.from_numpy(columns.rows).to(self.device).T
        for start in range(0, len(self._rows), _TILE_ROWS):
            product = self._product(columns, right, start).ravel()
            flat = torch.nonzero(product >= least).ravel()
            values = product[flat]
            for index, reach in enumerate(reaches):
                above[index] += int(torch.count_nonzero(values > reach.high))
                chosen = flat[(values >= reach.low) & (values <= reach.high)]
                inside[index].append(chosen + start * right.shape[1])
        return [
            _found(count, torch.cat(parts), right.shape[1])
            for count, parts in zip(above, inside, strict=True)
        ]

    def _product(self, columns: Columns, right: torch.Tensor, start: int) -> torch.Tensor:
        product = self._rows[start : start + _TILE_ROWS] @ right
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


def _found(above: int, flat: torch.Tensor, width: int) -> Found:
    row, column = np.divmod(flat.cpu().numpy(), width)
    return Found(above=above, row=row, column=column)
