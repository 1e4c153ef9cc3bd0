"""Products by torch: rounded ones are refused, and what is found is bounded by a tile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from facedata.errors import RequestError, WorkError
from training.evaluate.all_pairs import Work, evaluate_within
from training.evaluate.comparison import Columns
from training.evaluate.exact import on_grid, product_error
from training.evaluate.scan import CpuStripe, Reach
from training.evaluate.scan_cuda import TORCH_CPU, TorchCpuStripe

Faces = tuple[NDArray[np.float32], NDArray[np.int64]]


@pytest.fixture
def torch_precision() -> Iterator[None]:
    """Puts back what torch does to float32 products."""
    matmul, everything = torch.backends.cuda.matmul, torch.backends
    before = matmul.fp32_precision, everything.fp32_precision  # type: ignore[attr-defined]
    yield
    torch.set_float32_matmul_precision("highest")
    everything.fp32_precision = before[1]  # type: ignore[attr-defined]
    matmul.fp32_precision = before[0]


def allow_by_precision() -> None:
    torch.set_float32_matmul_precision("high")


def allow_by_flag() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True


def allow_for_products() -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"


def allow_for_everything() -> None:
    torch.backends.cuda.matmul.fp32_precision = "none"
    torch.backends.fp32_precision = "tf32"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("torch_precision")
@pytest.mark.parametrize(
    "allow", [allow_by_precision, allow_by_flag, allow_for_products, allow_for_everything]
)
def test_tf32_is_refused(people: Callable[..., Faces], allow: Callable[[], None]) -> None:
    allow()
    with pytest.raises(RequestError, match="rounds float32 products on the GPU to 'tf32'"):
        evaluate_within(*people(20, 3), fars=[0.1], work=Work(backend=TORCH_CPU))


def test_tf32_by_the_environment_is_refused() -> None:
    make = (
        "import numpy; from training.evaluate.scan_cuda import TorchCpuStripe; "
        "TorchCpuStripe(numpy.eye(2, dtype=numpy.float32))"
    )
    done = subprocess.run(
        [sys.executable, "-c", make],
        env=os.environ | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RequestError: N:N evaluation: torch rounds float32 products on the GPU" in done.stderr


def cut_to_tf32(values: torch.Tensor) -> torch.Tensor:
    return (values.contiguous().view(torch.int32) & ~0x1FFF).view(torch.float32)


def round_to_tf32(values: torch.Tensor) -> torch.Tensor:
    return ((values.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def round_to_bfloat16(values: torch.Tensor) -> torch.Tensor:
    return values.bfloat16().float()


def lose(values: torch.Tensor) -> torch.Tensor:
    return values * torch.nan


@pytest.mark.parametrize("dimension", [2, 64, 512, 1030])
@pytest.mark.parametrize("rounded", [cut_to_tf32, round_to_tf32, round_to_bfloat16, lose])
def test_arithmetic_that_rounds_is_refused_whatever_the_settings_say(
    people: Callable[..., Faces],
    rounded: Callable[[torch.Tensor], torch.Tensor],
    dimension: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def multiply(_: TorchCpuStripe, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return rounded(left) @ rounded(right)

    monkeypatch.setattr(TorchCpuStripe, "_multiply", multiply)
    bound = f"at most {product_error(dimension):.2g} is allowed; switch off TF32"
    with pytest.raises(WorkError, match=f"differ from the similarity by .*, {bound}"):
        evaluate_within(*people(20, 3, dimension), fars=[0.1], work=Work(backend=TORCH_CPU))


def test_every_stripe_is_checked_before_its_products_are_used(
    people: Callable[..., Faces], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = people(20, 3)
    nothing = np.zeros(len(rows), dtype=np.int64)
    columns = Columns(rows=on_grid(rows), skip_from=nothing, skip_to=nothing)
    stripe = TorchCpuStripe(on_grid(rows))
    monkeypatch.setattr(
        TorchCpuStripe, "_multiply", lambda _, left, right: (left.half() @ right.half()).float()
    )
    with pytest.raises(WorkError, match="products on the GPU differ"):
        next(stripe.find(columns, [Reach(low=0.0, high=1.0)]))


def test_what_is_found_comes_tile_by_tile(
    people: Callable[..., Faces], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluate.scan_cuda._TILE_ROWS", 16)
    rows = on_grid(people(20, 2)[0])
    nothing = np.zeros(len(rows), dtype=np.int64)
    columns = Columns(rows=rows, skip_from=nothing, skip_to=nothing)
    reaches = [Reach(low=-1.5, high=1.5), Reach(low=-0.05, high=0.05)]

    parts = list(TorchCpuStripe(rows).find(columns, reaches))

    assert [len(part.row) for part in parts if part.reach == 0] == [640, 640, 320]
    for whole in CpuStripe(rows).find(columns, reaches):
        some = [part for part in parts if part.reach == whole.reach]
        assert sum(part.above for part in some) == whole.above
        assert np.concatenate([part.row for part in some]).tolist() == whole.row.tolist()
        assert np.concatenate([part.column for part in some]).tolist() == whole.column.tolist()


def test_a_gpu_without_memory_is_told(
    people: Callable[..., Faces], monkeypatch: pytest.MonkeyPatch
) -> None:
    def multiply(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(TorchCpuStripe, "_multiply", multiply)
    with pytest.raises(WorkError, match="memory is used up; close other programs on the GPU, or"):
        evaluate_within(*people(20, 3), fars=[0.1], work=Work(backend=TORCH_CPU))
