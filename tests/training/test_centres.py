"""Storage and updates of class centres."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facedata.errors import RequestError
from training import centres as module
from training.centres import CentreOptimiser, Centres, CentreShape, StoredDtype, rounded
from training.class_sampling import SampledClasses, seeded

CPU = torch.device("cpu")
PLAIN = CentreOptimiser(momentum=0.0, weight_decay=0.0)


def make(classes: range, optimiser: CentreOptimiser, dtype: StoredDtype = "float32") -> Centres:
    shape = CentreShape(classes=classes, sub_centres=2, dimensions=4, dtype=dtype)
    return Centres(shape, optimiser, seed=7, device=CPU)


@pytest.mark.parametrize("value", [1 + 2**-10, -(1 + 2**-10), 3e-20, 0.0, -2.5])
def test_stochastic_rounding_is_right_on_average(value: float) -> None:
    numbers = torch.full((200_000,), value)
    result = rounded(numbers, torch.bfloat16, seeded(CPU, 0)).double()
    step = abs(value) * 2**-7
    assert ((result - value).abs() <= step).all()
    assert abs(result.mean().item() - value) <= 4 * step / 2 / 200_000**0.5


def test_what_bfloat16_holds_is_not_changed() -> None:
    numbers = torch.randn(1000, generator=seeded(CPU, 1)).bfloat16()
    assert torch.equal(rounded(numbers.float(), torch.bfloat16, seeded(CPU, 2)), numbers)
    for value in (torch.inf, -torch.inf):
        assert rounded(torch.full((9,), value), torch.bfloat16, seeded(CPU, 3)).eq(value).all()


@pytest.mark.parametrize("bits", [0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0xFF800001, 0x7FC00000])
def test_what_is_no_number_stays_none(bits: int) -> None:
    """The first is what a GPU gives; adding to it would overflow into a negative zero."""
    numbers = torch.from_numpy(np.full(1000, bits, dtype=np.uint32).view(np.float32))
    assert rounded(numbers, torch.bfloat16, seeded(CPU, 4)).isnan().all()


def test_many_small_updates_arrive_in_bfloat16() -> None:
    """Each is 1/1000 of the weight: rounding to the nearest would lose all of them."""
    centres = make(range(50), PLAIN, "bfloat16")
    centres.rows.fill_(1.0)
    everything = SampledClasses(index=None, count=50)
    for step in range(200):
        centres.update(everything, torch.ones(50, 2, 4), 1e-3, seeded(CPU, step))
    assert centres.rows.float().mean().item() == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("block", [2**24, 24])
def test_a_row_is_updated_as_torch_would_and_only_when_sampled(
    monkeypatch: pytest.MonkeyPatch, name: str, block: int
) -> None:
    monkeypatch.setattr(module, "_BLOCK_NUMBERS", block)
    optimiser = CentreOptimiser(name=name, weight_decay=0.1)
    centres = make(range(20), optimiser)
    rows = [torch.nn.Parameter(row.clone()) for row in centres.rows]
    if name == "sgd":
        theirs = torch.optim.SGD(rows, lr=0.1, momentum=0.9, weight_decay=0.1)
    else:
        theirs = torch.optim.AdamW(rows, lr=0.1, weight_decay=0.1)
    for step in range(6):
        generator = seeded(CPU, step)
        index = torch.randperm(20, generator=generator)[:12].sort().values
        gradient = torch.randn(12, 2, 4, generator=generator)
        theirs.zero_grad()  # to None, which torch's optimisers pass by
        for place, row in enumerate(index):
            rows[row].grad = gradient[place]
        theirs.step()
        centres.update(SampledClasses(index=index, count=12), gradient, 0.1, generator)
    torch.testing.assert_close(centres.rows, torch.stack(list(rows)).detach())


def test_no_momentum_stores_none() -> None:
    assert list(make(range(3), PLAIN).state_dict()) == ["rows"]
    assert list(make(range(3), CentreOptimiser()).state_dict()) == ["rows", "momentum"]
    adamw = make(range(3), CentreOptimiser(name="adamw", state_dtype="bfloat16"))
    assert adamw.get_buffer("second_moment").dtype == torch.bfloat16
    assert adamw.updates.tolist() == [0, 0, 0]


def test_first_centres_depend_on_the_class_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_INITIAL_BLOCK_CLASSES", 8)
    whole = make(range(30), PLAIN).rows
    parts = [make(part, PLAIN).rows for part in (range(11), range(11, 12), range(12, 30))]
    assert torch.equal(torch.cat(parts), whole)
    assert whole.std().item() == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"name": "lamb"}, "'lamb'; use one of adamw, sgd"), ({"momentum": 1.0}, "momentum is 1.0")],
)
def test_bad_configurations_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        CentreOptimiser(**changes)  # type: ignore[arg-type]
