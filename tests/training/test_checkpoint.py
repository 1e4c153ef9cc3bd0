"""Checkpoints: whole or not there, and the same state on any number of ranks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed, nn

from facedata.errors import IntegrityError, RequestError, StorageError
from training.centres import CentreOptimiser
from training.checkpoint import Learned, prune, save
from training.partial_fc import PartialFC, PartialFCConfig
from training.restore import load, read_backbone
from training.run_state import MARKER, RunState, finished, read_state
from training.world import World

CLASSES, SIZE = 11, 8
ALONE = World(rank=0, size=1, device=torch.device("cpu"), control=None)


def state_of(step: int) -> RunState:
    return RunState(
        step=step, version="people-v0001", digest="d",
        classes=CLASSES, world_size=1, config={},
    )  # fmt: skip


def make(optimiser: str = "sgd", *, seed: int = 0, classes: int = CLASSES, **options) -> Learned:
    """A small net, trained by nobody yet."""
    torch.manual_seed(seed)
    backbone = nn.Sequential(nn.Linear(6, SIZE), nn.BatchNorm1d(SIZE))
    kinds = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
    rest = {"momentum": 0.9} if optimiser == "sgd" else {}
    config = PartialFCConfig(
        classes=classes, embedding_size=SIZE, seed=seed, optimiser=CentreOptimiser(name=optimiser),
        **options,
    )  # fmt: skip
    group = distributed.group.WORLD if distributed.is_initialized() else None
    return Learned(
        backbone=backbone,
        optimiser=kinds[optimiser](backbone.parameters(), lr=0.1, **rest),
        class_layer=PartialFC(config, group),
    )


def train(learned: Learned, steps: int, *, first: int = 0) -> None:
    """Steps on made-up data; a rank takes its part of each batch of 4."""
    ranks = learned.class_layer.ranks
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(4, 6, generator=generator).chunk(ranks.size)[ranks.rank]
        labels = torch.randint(0, 7, (4,), generator=generator).chunk(ranks.size)[ranks.rank]
        learned.optimiser.zero_grad()
        loss = learned.class_layer(learned.backbone(images), labels)
        loss.backward()
        learned.optimiser.step()
        learned.class_layer.step(0.1)


def everything(learned: Learned) -> dict[str, torch.Tensor]:
    optimiser = learned.optimiser.state_dict()["state"]
    return {
        **{f"b.{name}": one.clone() for name, one in learned.backbone.state_dict().items()},
        **{f"c.{name}": one.clone() for name, one in learned.class_layer.state_dict().items()},
        **{
            f"o.{number}.{name}": one.clone()
            for number, state in optimiser.items()
            for name, one in state.items()
            if one is not None
        },
    }


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


def on_ranks(world_size: int, work: Callable[..., Any], folder: Path, *args: Any) -> list[Any]:
    """Run ``work(folder, *args)`` on gloo ranks; what each returns goes through a file."""
    context = multiprocessing.get_context("fork")
    store = folder / f"store-{time.monotonic_ns()}"
    processes = [
        context.Process(target=_rank, args=(rank, world_size, store, work, folder, *args))
        for rank in range(world_size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return [torch.load(f"{store}-{rank}") for rank in range(world_size)]


def _rank(
    rank: int, world_size: int, store: Path, work: Callable[..., Any], folder: Path, *args: Any
) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world_size
    )
    torch.save(work(folder, *args), f"{store}-{rank}")
    distributed.destroy_process_group()


def everybody() -> World:
    return World(
        rank=distributed.get_rank(),
        size=distributed.get_world_size(),
        device=torch.device("cpu"),
        control=distributed.group.WORLD,
    )


def write_on_ranks(folder: Path, optimiser: str) -> dict[str, torch.Tensor]:
    learned = make(optimiser)
    train(learned, 3)
    save(folder, state_of(3), learned, everybody())
    return everything(learned)


def read_on_ranks(folder: Path, optimiser: str) -> dict[str, torch.Tensor]:
    learned = make(optimiser, seed=9)
    load(finished(folder)[-1], learned)
    return everything(learned)


def joined(ranks: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The state of all ranks: rows put together, of the rest the first rank's."""
    whole = dict(ranks[0])
    for name in whole:
        if name.startswith("c.centres."):
            whole[name] = torch.cat([one[name] for one in ranks])
    return whole


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_two_ranks_write_and_one_and_four_read_the_same(tmp_path: Path, optimiser: str) -> None:
    written = joined(on_ranks(2, write_on_ranks, tmp_path, optimiser))

    learned = make(optimiser, seed=9)
    load(finished(tmp_path)[-1], learned)
    four = joined(on_ranks(4, read_on_ranks, tmp_path, optimiser))

    assert_same(everything(learned), written)
    assert_same(four, written)


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = make(sample_rate=0.5)
    train(whole, 6)
    half = make(sample_rate=0.5)
    train(half, 3)
    save(tmp_path, state_of(3), half, ALONE)

    again = make(sample_rate=0.5, seed=0)
    load(finished(tmp_path)[-1], again)
    train(again, 3, first=3)

    assert_same(everything(again), everything(whole))


def test_the_marker_says_where_the_run_is(tmp_path: Path) -> None:
    folder = save(tmp_path, state_of(7), make(), ALONE)

    assert folder.name == "step-000000007"
    assert read_state(folder) == state_of(7)


def test_a_checkpoint_without_its_marker_does_not_count(tmp_path: Path) -> None:
    learned = make()
    folders = [save(tmp_path, state_of(step), learned, ALONE) for step in (1, 2)]

    (folders[1] / MARKER).unlink()

    assert finished(tmp_path) == folders[:1]


def test_the_last_ones_are_kept(tmp_path: Path) -> None:
    learned = make()
    folders = [save(tmp_path, state_of(step), learned, ALONE) for step in (1, 2, 3, 4)]
    (folders[0] / MARKER).unlink()

    prune(tmp_path, keep=2)

    assert sorted((tmp_path / "checkpoints").iterdir()) == folders[2:]


def test_rows_go_where_their_identity_is(tmp_path: Path) -> None:
    earlier = make()
    train(earlier, 4)
    save(tmp_path, state_of(4), earlier, ALONE)
    sources = np.array([10, -1, 0, 3, 3, -1, 7, 8, 9, 1, 2, 4, -1])
    later = make(seed=5, classes=len(sources))
    fresh = everything(later)

    load(finished(tmp_path)[-1], later, sources)

    before, after = everything(earlier), everything(later)
    for name in ("c.centres.rows", "c.centres.momentum"):
        known = sources >= 0
        assert torch.equal(after[name][known], before[name][sources[known]])
        assert torch.equal(after[name][~known], fresh[name][~known])


def test_small_windows_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.sharded_rows._PIECE_NUMBERS", 3 * SIZE)
    monkeypatch.setattr("training.restore._WINDOW_NUMBERS", 4 * SIZE)
    written = make()
    train(written, 2)
    save(tmp_path, state_of(2), written, ALONE)

    read = make(seed=4)
    load(finished(tmp_path)[-1], read)

    assert_same(everything(read), everything(written))


def test_bfloat16_centres_are_kept_bit_for_bit(tmp_path: Path) -> None:
    written = make(centre_dtype="bfloat16")
    train(written, 2)
    save(tmp_path, state_of(2), written, ALONE)

    read = make(centre_dtype="bfloat16", seed=4)
    load(finished(tmp_path)[-1], read)

    assert_same(everything(read), everything(written))


def test_the_backbone_is_read_alone(tmp_path: Path) -> None:
    written = make()
    train(written, 1)
    folder = save(tmp_path, state_of(1), written, ALONE)

    assert_same(read_backbone(folder), dict(written.backbone.state_dict()))


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, state_of(1), make(), ALONE)
    other = make()
    other.backbone.append(nn.Linear(2, 2))

    with pytest.raises(RequestError, match=r"not of this backbone, '2\.bias' differs"):
        load(folder, other)


def test_another_size_of_centres_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, state_of(1), make(), ALONE)

    with pytest.raises(RequestError, match=r"rows of \(1, 8\), this run of \(3, 8\)"):
        load(folder, make(sub_centres=3))


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    folder = save(tmp_path, state_of(1), make(), ALONE)
    for path in folder.glob("*.distcp"):
        path.unlink()

    with pytest.raises(IntegrityError, match="step-000000001: cannot be read"):
        load(folder, make())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")

    with pytest.raises(StorageError, match="step-000000001: cannot be written"):
        save(tmp_path, state_of(1), make(), ALONE)


def fail_on_ranks(folder: Path) -> str:
    try:
        save(folder, state_of(1), make(), everybody())
    except StorageError as error:
        return str(error)
    return "written"


def test_no_rank_waits_when_the_first_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")

    said = on_ranks(2, fail_on_ranks, tmp_path)

    assert said[0] == said[1]
    assert "step-000000001: cannot be written" in said[0]


def test_a_checkpoint_that_cannot_be_removed_is_named(tmp_path: Path) -> None:
    folders = [save(tmp_path, state_of(step), make(), ALONE) for step in (1, 2)]
    (folders[0] / MARKER).unlink()
    (folders[0] / MARKER).mkdir()

    with pytest.raises(StorageError, match=r"step-000000001: cannot be removed \("):
        prune(tmp_path, keep=1)


WRITER = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from torch import nn
from training.checkpoint import Learned, save
from training.run_state import RunState
from training.partial_fc import PartialFC, PartialFCConfig
from training.world import World
torch.set_num_threads(1)
layer = PartialFC(PartialFCConfig(classes=20000, embedding_size=128))
backbone = nn.Linear(2, 2)
learned = Learned(backbone=backbone, optimiser=torch.optim.SGD(backbone.parameters()),
                  class_layer=layer)
alone = World(rank=0, size=1, device=torch.device("cpu"), control=None)
for step in range(1, 1000):
    backbone.weight.data.fill_(step)
    save(Path(sys.argv[1]), RunState(step=step, version="v", digest="d",
         classes=20000, world_size=1, config={}), learned, alone)
"""


def test_a_kill_while_writing_keeps_the_one_before(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(root)])
    end = time.monotonic() + 60
    while time.monotonic() < end:
        whole = finished(tmp_path)
        folders = sorted((tmp_path / "checkpoints").glob("step-*"))
        if len(whole) >= 2 and folders[-1] != whole[-1]:
            break
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()

    last = finished(tmp_path)[-1]

    assert read_state(last).step == int(last.name.removeprefix("step-"))
    assert torch.equal(
        read_backbone(last)["weight"], torch.full((2, 2), read_state(last).step * 1.0)
    )
