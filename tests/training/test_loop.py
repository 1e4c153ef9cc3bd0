"""Whole runs on drawn faces: learning, stopping, resuming, failing."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from facedata.errors import IntegrityError, RequestError, WorkError
from facedata.versions import Manifest
from training.config import (
    AugmentOptions,
    CheckpointConfig,
    ClassLayerConfig,
    DataConfig,
    LoggingConfig,
    MarginOptions,
    MetricLossOptions,
    ModelConfig,
    OptimiserConfig,
    ScheduleConfig,
    TrainingConfig,
    to_yaml,
)
from training.data.shards import ShardStore
from training.log import PROGRESS, StepResult, StepWatch
from training.loop import train
from training.prepare import StoppedEarlyError, prepare
from training.restore import load, read_backbone
from training.run import STOPPED, run
from training.run_state import OUTCOME, finished, read_state
from training.world import World

PEOPLE = {"Ada": 0, "Bea": 1, "Cid": 3, "Dov": 4}
RETIRED = {"Old": 2}
STEPS = 14
ALONE = World(rank=0, size=1, device=torch.device("cpu"), control=None)


class TinyNet(nn.Module):
    """Means of 16 × 16 patches and two layers; ``hook`` is called before every forward pass."""

    def __init__(self, embedding_size: int, hook: Callable[[int], None] | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AvgPool2d(16), nn.Flatten(), nn.Linear(147, 32), nn.Tanh(),
            nn.Dropout(0.1), nn.Linear(32, embedding_size),
        )  # fmt: skip
        self._calls = 0
        self._hook = hook

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self._calls += 1
        if self._hook is not None:
            self._hook(self._calls)
        embeddings: torch.Tensor = self.layers(images)
        return embeddings


def build(config: ModelConfig) -> nn.Module:
    return TinyNet(config.embedding_size)


def without_dropout(config: ModelConfig) -> nn.Module:
    net = TinyNet(config.embedding_size)
    net.layers[4] = nn.Identity()
    return net


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, make_version) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    make_version(root, PEOPLE, retired=RETIRED, images=10, shard_images=9)
    return root


@pytest.fixture
def config(tmp_path: Path, workspace: Path) -> TrainingConfig:
    return TrainingConfig(
        name="tiny",
        output=str(tmp_path / "run"),
        data=DataConfig(
            workspace=str(workspace), version="people-v0001", workers=0, block_shards=2,
            read_attempts=2, retry_seconds=0.01,
        ),
        model=ModelConfig(backbone="tiny", embedding_size=16, channels_last=False),
        class_layer=ClassLayerConfig(margin=MarginOptions(name="cosface", cosine=0.1, scale=16.0)),
        optimiser=OptimiserConfig(learning_rate=0.2),
        schedule=ScheduleConfig(steps=STEPS, warmup_epochs=0.5),
        global_batch=12,
        device="cpu",
        seed=3,
        logging=LoggingConfig(every=2),
        checkpoint=CheckpointConfig(every=5, keep=2),
    )  # fmt: skip


def at(config: TrainingConfig, output: Path, **changes: Any) -> TrainingConfig:
    return replace(config, output=str(output), **changes)


def final(config: TrainingConfig) -> dict[str, torch.Tensor]:
    """Backbone and whole centres of a run's last checkpoint."""
    folder = finished(Path(config.output))[-1]
    prepared = prepare(at(config, Path(config.output).parent / "other"), ALONE, build)
    load(folder, prepared.learned)
    layer = prepared.learned.class_layer.state_dict()
    optimiser = prepared.learned.optimiser.state_dict()["state"]
    momentum = {f"m{number}": state["momentum_buffer"] for number, state in optimiser.items()}
    return {**read_backbone(folder), **layer, **momentum}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-4)


def progress(config: TrainingConfig) -> list[dict[str, Any]]:
    text = (Path(config.output) / PROGRESS).read_text()
    return [json.loads(line) for line in text.splitlines()]


def outcome(config: TrainingConfig) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(config.output) / OUTCOME).read_text())
    return found


def on_ranks(
    size: int, config: TrainingConfig, build_rank: Callable[[int], Callable[..., nn.Module]]
) -> list[int]:
    """Run on gloo ranks as torchrun would start them; returns their exit codes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    ranks = [
        context.Process(target=_rank, args=(rank, size, port, config, build_rank))
        for rank in range(size)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(90)
    return [-1 if rank.exitcode is None else rank.exitcode for rank in ranks]


def _rank(
    rank: int,
    size: int,
    port: int,
    config: TrainingConfig,
    build_rank: Callable[[int], Callable[..., nn.Module]],
) -> None:
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size),
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
    )  # fmt: skip
    os._exit(run(config, build_rank(rank)))


def calling(hook: Callable[[int], None]) -> Callable[[ModelConfig], nn.Module]:
    return lambda config: TinyNet(config.embedding_size, hook)


def kill_self(number: int, at_call: int) -> Callable[[int], None]:
    def hook(call: int) -> None:
        if call == at_call:
            os.kill(os.getpid(), number)

    return hook


def test_a_run_learns_and_tells(config: TrainingConfig) -> None:
    assert run(config, build) == 0

    lines = progress(config)
    assert [line["step"] for line in lines] == list(range(2, STEPS + 1, 2))
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert lines[-1]["epoch"] == pytest.approx(STEPS * 12 / 40)
    assert all(line["images_per_second"] > 0 and line["memory_mb"] > 0 for line in lines)
    assert all(line["gradient_norm"] > 0 for line in lines)
    assert lines[-1]["eta_s"] == 0
    assert lines[0]["learning_rate"] == 0.2
    told = {"outcome": "done", "message": "done after step 14 of 14", "exit_code": 0}
    assert told.items() <= outcome(config).items()
    assert [path.name for path in finished(Path(config.output))] == [
        "step-000000010", "step-000000014",
    ]  # fmt: skip


def test_two_ranks_train_as_one_does(config: TrainingConfig, tmp_path: Path) -> None:
    one = at(config, tmp_path / "one")
    assert run(one, without_dropout) == 0

    assert on_ranks(2, config, lambda _rank: without_dropout) == [0, 0]

    assert_close(final(config), final(one))
    assert [line["loss"] for line in progress(config)] == pytest.approx(
        [line["loss"] for line in progress(one)], abs=1e-4
    )


@pytest.mark.parametrize("losses", [(), ("contrastive", "center")])
def test_four_ranks_share_ten_images_as_one_takes_them(
    config: TrainingConfig, tmp_path: Path, losses: tuple[str, ...]
) -> None:
    metric = tuple(MetricLossOptions(name=name, margin=1.0, weight=0.1) for name in losses)
    config = replace(config, global_batch=10, metric_losses=metric)
    one = at(config, tmp_path / "one")
    assert run(one, without_dropout) == 0

    assert on_ranks(4, config, lambda _rank: without_dropout) == [0, 0, 0, 0]

    assert_close(final(config), final(one))
    assert [line["loss"] for line in progress(config)] == pytest.approx(
        [line["loss"] for line in progress(one)], abs=1e-4
    )


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_stopped_run_goes_on_bit_for_bit(
    config: TrainingConfig, tmp_path: Path, optimiser: str
) -> None:
    chosen = replace(config.optimiser, name=optimiser, learning_rate=0.05)
    config = replace(
        config, optimiser=chosen, class_layer=replace(config.class_layer, sample_rate=0.6)
    )
    whole = at(config, tmp_path / "whole")
    assert run(whole, build) == 0

    assert run(config, calling(kill_self(signal.SIGTERM, 7))) == STOPPED
    stopped = outcome(config)
    assert (stopped["outcome"], stopped["exit_code"]) == ("stopped", STOPPED)
    assert read_state(finished(Path(config.output))[-1]).step == 7
    assert run(config, build) == 0

    folders = [finished(Path(one.output))[-1] for one in (config, whole)]
    prepared = [prepare(one, ALONE, build).learned for one in (config, whole)]
    assert folders[0].name == folders[1].name
    assert_same(prepared[0].class_layer.state_dict(), prepared[1].class_layer.state_dict())
    assert_same(read_backbone(folders[0]), read_backbone(folders[1]))
    states = [one.optimiser.state_dict()["state"] for one in prepared]
    for number, state in states[0].items():
        assert_same(state, states[1][number])


def test_a_run_stopped_on_two_ranks_goes_on_alone(config: TrainingConfig, tmp_path: Path) -> None:
    one = at(config, tmp_path / "one")
    assert run(one, without_dropout) == 0

    def stopped_by_the_second(rank: int) -> Callable[..., nn.Module]:
        def make(model: ModelConfig) -> nn.Module:
            net = without_dropout(model)
            net._hook = kill_self(signal.SIGTERM, 6) if rank else None
            return net

        return make

    assert on_ranks(2, config, stopped_by_the_second) == [STOPPED, STOPPED]
    assert read_state(finished(Path(config.output))[-1]).step == 6
    assert run(config, without_dropout) == 0

    assert_close(final(config), final(one))


def test_a_killed_rank_ends_the_others_and_the_run_goes_on(
    config: TrainingConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one = at(config, tmp_path / "one")
    assert run(one, without_dropout) == 0

    def dies_second(rank: int) -> Callable[..., nn.Module]:
        def make(model: ModelConfig) -> nn.Module:
            net = without_dropout(model)
            net._hook = kill_self(signal.SIGKILL, 8) if rank else None
            return net

        return make

    assert on_ranks(2, config, dies_second) == [1, -signal.SIGKILL]
    assert "rank 0: lost another process of the run" in capfd.readouterr().err
    assert outcome(config)["outcome"] == "failed"
    assert read_state(finished(Path(config.output))[-1]).step == 5
    assert run(config, without_dropout) == 0

    assert_close(final(config), final(one))


def test_a_loss_that_is_no_number_stops_the_run(config: TrainingConfig) -> None:
    def poisoned(model: ModelConfig) -> nn.Module:
        net = TinyNet(model.embedding_size)

        def poison(call: int) -> None:
            if call == 10:
                net.layers[2].weight.data.fill_(torch.nan)

        net._hook = poison
        return net

    assert run(config, poisoned) == 1

    assert outcome(config)["message"].startswith("step 9: the loss is nan at learning rate 0.0")
    assert [path.name for path in finished(Path(config.output))] == ["step-000000005"]


class Overflowing(torch.autograd.Function):
    """What goes through is unchanged; its gradient is beyond all numbers."""

    @staticmethod
    def forward(_ctx: Any, embeddings: torch.Tensor) -> torch.Tensor:
        return embeddings.view_as(embeddings)

    @staticmethod
    def backward(_ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * torch.inf


class Overflows(nn.Module):
    """A net whose gradient, not its loss, is no number in one step."""

    def __init__(self, net: TinyNet, at_call: int) -> None:
        super().__init__()
        self.layers, self._net, self._at_call, self._calls = net.layers, [net], at_call, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self._calls += 1
        embeddings = self._net[0](images)
        return Overflowing.apply(embeddings) if self._calls == self._at_call else embeddings


@pytest.mark.parametrize("clip_norm", [5.0, None])
@pytest.mark.parametrize("step", [8, 9])
def test_a_gradient_that_is_no_number_leaves_the_checkpoint_good(
    config: TrainingConfig, tmp_path: Path, clip_norm: float | None, step: int
) -> None:
    """Step 9 is the last one before a checkpoint would be written."""
    config = replace(
        config,
        optimiser=replace(config.optimiser, clip_norm=clip_norm),
        checkpoint=CheckpointConfig(every=5, keep=1),
    )
    whole = at(config, tmp_path / "whole")
    assert run(whole, build) == 0

    assert run(config, lambda model: Overflows(build(model), step + 1)) == 1

    message = outcome(config)["message"]
    assert re.match(rf"step {step}: the norm of the backbone's gradient is (nan|inf) at ", message)
    assert [path.name for path in finished(Path(config.output))] == ["step-000000005"]
    assert run(config, build) == 0
    assert_same(final(config), final(whole))


@pytest.mark.parametrize("name", ["loss", "backbone_norm", "centres_norm"])
def test_every_number_of_a_step_is_watched(name: str) -> None:
    well = StepResult(**dict.fromkeys(("loss", "backbone_norm", "centres_norm"), torch.ones(())))
    watch = StepWatch()
    watch.add(well, 0, 0.1)
    watch.add(replace(well, **{name: torch.tensor(torch.inf)}), 1, 0.1)

    with pytest.raises(WorkError, match=r"^step 1: the .* is inf at learning rate 0\.1; "):
        watch.settle()

    assert watch.mean_loss() == 1


def test_a_shard_that_fails_stops_the_run_and_it_goes_on_later(
    config: TrainingConfig, workspace: Path, tmp_path: Path
) -> None:
    root = tmp_path / "workspace"
    shutil.copytree(workspace, root)
    data = replace(config.data, workspace=str(root), block_shards=1)
    config = replace(config, data=data)
    whole = at(config, tmp_path / "whole")
    assert run(whole, build) == 0
    shards = sorted((root / "versions" / "people-v0001" / "shards").iterdir())

    def lose_shards(call: int) -> None:
        if call == 2:
            for shard in shards:
                shard.rename(shard.with_suffix(".away"))

    assert run(config, calling(lose_shards)) == 1
    assert "cannot be read after 2 attempts" in outcome(config)["message"]
    reached = read_state(finished(Path(config.output))[-1]).step
    assert 2 <= reached < STEPS
    for shard in shards:
        shard.with_suffix(".away").rename(shard)
    assert run(config, build) == 0

    assert_same(final(config), final(whole))


class TestNewerVersion:
    """Eve joins, Bea is merged into Ada, Dov is removed, Old comes back."""

    @pytest.fixture
    def later(self, config: TrainingConfig, tmp_path: Path, make_version) -> TrainingConfig:
        assert run(config, build) == 0
        root = tmp_path / "later"
        make_version(
            root,
            {"Ada": 0, "Old": 2, "Cid": 3, "Eve": 5},
            version="people-v0002",
            retired={"Bea": 1, "Dov": 4},
            images=8,
        )
        return at(
            config,
            tmp_path / "second",
            data=replace(config.data, workspace=str(root), version="people-v0002"),
            checkpoint=replace(config.checkpoint, initial=config.output),
        )

    def test_centres_follow_their_identity(
        self, config: TrainingConfig, later: TrainingConfig
    ) -> None:
        before = final(config)
        fresh = replace(later, checkpoint=CheckpointConfig())
        new = prepare(fresh, ALONE, build).learned.class_layer.state_dict()

        prepared = prepare(later, ALONE, build)

        after = prepared.learned.class_layer.state_dict()
        assert prepared.first_step == 0
        for name in ("centres.rows", "centres.momentum"):
            assert torch.equal(after[name][[0, 3]], before[name][[0, 3]])
            for gone_or_new in (1, 2, 4, 5):
                assert torch.equal(after[name][gone_or_new], new[name][gone_or_new])

    def test_the_run_on_it_ends_well(self, later: TrainingConfig) -> None:
        assert run(later, build) == 0

        lines = progress(later)
        assert lines[-1]["step"] == STEPS
        assert lines[-1]["loss"] < lines[0]["loss"]
        assert read_state(finished(Path(later.output))[-1]).version == "people-v0002"

    def test_the_same_output_is_refused(
        self, config: TrainingConfig, later: TrainingConfig
    ) -> None:
        with pytest.raises(RequestError, match=r"holds a run on another version than people-v0002"):
            train(at(later, Path(config.output)), ALONE, build)


class TestRefused:
    """Requests that cannot be carried out say so before the first step."""

    def test_no_gpu(self, config: TrainingConfig, capsys: pytest.CaptureFixture[str]) -> None:
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")

        assert run(replace(config, device="cuda"), build) == 2

        assert "device cuda: process 1 of this machine needs a GPU" in capsys.readouterr().err

    def test_more_processes_than_classes(self, config: TrainingConfig) -> None:
        many = replace(ALONE, size=6)

        with pytest.raises(RequestError, match="5 classes cannot be shared by 6 processes"):
            prepare(config, many, build)

    def test_a_batch_of_one_per_process(self, config: TrainingConfig) -> None:
        with pytest.raises(RequestError, match=r"need two .* start at most 2, .* use at least 10"):
            prepare(replace(config, global_batch=5), replace(ALONE, size=5), build)

    def test_another_digest(self, config: TrainingConfig) -> None:
        asked = replace(config, data=replace(config.data, digest="abc"))

        with pytest.raises(RequestError, match="asked for was abc"):
            train(asked, ALONE, build)

    def test_a_changed_configuration(self, config: TrainingConfig) -> None:
        train(config, ALONE, build)
        changed = replace(config, global_batch=24, logging=LoggingConfig(every=1))

        with pytest.raises(
            RequestError, match=r"holds a run with global_batch 12, .* says 24; use"
        ):
            train(changed, ALONE, build)

    def test_decoding_on_a_gpu_that_is_not_used(self, config: TrainingConfig) -> None:
        asked = replace(config, data=replace(config.data, decode="gpu"))

        with pytest.raises(RequestError, match=r"data\.decode is gpu, device is cpu"):
            prepare(asked, ALONE, build)

    def test_decoding_on_a_gpu_with_blur(self, config: TrainingConfig) -> None:
        augment = AugmentOptions(blur=0.5)
        data = replace(config.data, decode="gpu", augment=augment)

        with pytest.raises(RequestError, match=r"data\.augment\.blur is 0\.5; only flip is done"):
            prepare(replace(config, data=data, device="cuda"), ALONE, build)

    @pytest.mark.parametrize(
        ("losses", "problem"),
        [
            ((), "nothing to learn from"),
            (("triplet", "triplet"), "are triplet, triplet; name each"),
        ],
    )
    def test_losses_that_make_no_sense(
        self, config: TrainingConfig, losses: tuple[str, ...], problem: str
    ) -> None:
        metric = tuple(MetricLossOptions(name=name) for name in losses)

        with pytest.raises(RequestError, match=problem):
            prepare(replace(config, class_layer=None, metric_losses=metric), ALONE, build)

    @pytest.mark.parametrize("name", ["cosface", "sphereface"])
    def test_a_margin_that_is_none(self, config: TrainingConfig, name: str) -> None:
        asked = ClassLayerConfig(margin=MarginOptions(name=name))

        with pytest.raises(RequestError, match=f"margin {name}: without .* or name normface"):
            prepare(replace(config, class_layer=asked), ALONE, build)

    def test_nothing_to_start_from(self, config: TrainingConfig, tmp_path: Path) -> None:
        asked = replace(config, checkpoint=CheckpointConfig(initial=str(tmp_path)))

        with pytest.raises(RequestError, match="no whole checkpoint below it"):
            train(asked, ALONE, build)

    @pytest.fixture
    def broken(
        self, config: TrainingConfig, tmp_path: Path, make_version
    ) -> tuple[TrainingConfig, Manifest, Path]:
        root = tmp_path / "broken"
        counts = {"Ada": 3, "Bea": 0, "Cid": 3}
        people = {"Ada": 0, "Bea": 1, "Cid": 2}
        manifest = make_version(root, people, images=counts)
        data = replace(config.data, workspace=str(root))
        return replace(config, data=data), manifest, root

    def test_a_class_without_images(self, broken: tuple[TrainingConfig, Manifest, Path]) -> None:
        with pytest.raises(IntegrityError, match=r"class 1 \('Bea'\) has no image in the shards;"):
            train(broken[0], ALONE, build)

    def test_a_changed_shard(self, broken: tuple[TrainingConfig, Manifest, Path]) -> None:
        config, manifest, root = broken
        shard = root / "versions" / manifest.version / manifest.shards[0].path
        shard.write_bytes(shard.read_bytes() + b"more")

        with pytest.raises(IntegrityError, match=r"train-000000\.tar: sha256 is"):
            train(config, ALONE, build)

    def test_all_ranks_fail_alike(self, broken: tuple[TrainingConfig, Manifest, Path]) -> None:
        assert on_ranks(2, broken[0], lambda _rank: build) == [1, 1]

        assert "class 1 ('Bea') has no image" in outcome(broken[0])["message"]


@pytest.mark.parametrize("decode", ["cpu", "gpu"])
def test_a_gpu_learns(config: TrainingConfig, decode: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    if decode == "gpu":
        pytest.importorskip("torchvision", reason="torchvision is not installed")
    data = replace(config.data, decode=decode, workers=1)
    config = replace(config, device="cuda", precision="bfloat16", data=data)

    assert run(config, build) == 0

    lines = progress(config)
    assert lines[-1]["loss"] < 0.6 * lines[0]["loss"]


def test_tensorboard_draws_a_step_once_that_was_done_twice(config: TrainingConfig) -> None:
    """Killed after step 8 of which 6 and 8 were told, it goes on from the checkpoint of step 5."""
    assert on_ranks(1, config, lambda _: calling(kill_self(signal.SIGKILL, 9))) == [-9]
    assert read_state(finished(Path(config.output))[-1]).step == 5
    time.sleep(1)  # TensorBoard reads its files by the second in which they were begun

    assert run(config, build) == 0

    told = EventAccumulator(str(Path(config.output) / "tensorboard")).Reload()
    drawn = {name: [event.step for event in told.Scalars(name)] for name in told.Tags()["scalars"]}
    assert {"loss", "images_per_second", "memory_mb"} < drawn.keys()
    assert set(map(tuple, drawn.values())) == {(2, 4, 6, 8, 10, 12, 14)}
    assert [line["step"] for line in progress(config)][:5] == [2, 4, 6, 8, 6]


def test_tensorboard_can_be_switched_off(config: TrainingConfig) -> None:
    assert run(replace(config, logging=LoggingConfig(tensorboard=False)), build) == 0
    assert not (Path(config.output) / "tensorboard").exists()


def test_tensorboard_is_missed_by_name(config: TrainingConfig, tmp_path: Path) -> None:
    """In a process of its own, to which the package is hidden."""
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(replace(config, model=ModelConfig(backbone="micro"))))
    hidden = (
        "import sys; sys.modules['tensorboard'] = None\n"
        "from training.run import main\n"
        f"sys.exit(main(['--config', {str(path)!r}]))"
    )

    done = subprocess.run(
        [sys.executable, "-c", hidden], cwd=Path(__file__).parents[2],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr.startswith("logging.tensorboard: the package tensorboard is not installed;")
    assert done.stderr.count("\n") == 1


def test_a_stop_while_shards_are_verified_is_heeded(config: TrainingConfig) -> None:
    with pytest.raises(StoppedEarlyError) as cut:
        prepare(config, ALONE, build, lambda: True)
    assert (cut.value.step, cut.value.steps) == (0, STEPS)


def test_ranks_stop_together_while_they_verify(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rank of two gets the signal, after its first shard of five."""
    monkeypatch.setattr("training.prepare._VERIFY_SHARDS", 1)
    whole = ShardStore.classes_seen

    def told_once(store: ShardStore, shards: range, threads: int) -> Any:
        if shards.start == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(store, shards, threads)

    monkeypatch.setattr(ShardStore, "classes_seen", told_once)

    assert on_ranks(2, config, lambda _: build) == [STOPPED, STOPPED]

    assert outcome(config)["message"] == f"stopped after step 0 of {STEPS}"
    monkeypatch.undo()
    assert run(config, build) == 0


def test_a_run_that_is_done_has_nothing_to_do(config: TrainingConfig) -> None:
    assert run(config, build) == 0
    before = progress(config)

    assert run(config, build) == 0

    assert progress(config) == before
    assert outcome(config)["outcome"] == "done"


def test_a_metric_loss_alone_learns(config: TrainingConfig) -> None:
    contrastive = MetricLossOptions(name="contrastive", margin=1.0)

    assert run(replace(config, class_layer=None, metric_losses=(contrastive,)), build) == 0

    lines = progress(config)
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]


def test_center_loss_goes_on_where_it_was(config: TrainingConfig, tmp_path: Path) -> None:
    center = MetricLossOptions(name="center", weight=0.01)
    config = replace(config, metric_losses=(center,))
    whole = at(config, tmp_path / "whole")
    assert run(whole, build) == 0

    assert run(config, calling(kill_self(signal.SIGTERM, 7))) == STOPPED
    assert run(config, build) == 0

    learned = [prepare(one, ALONE, build).learned for one in (config, whole)]
    means = [one.metric_losses[0].state_dict()["criterion.means"] for one in learned]
    assert means[0].abs().sum(dim=1).gt(0).tolist() == [True, True, False, True, True]
    assert torch.equal(means[0], means[1])
    assert_same(final(config), final(whole))


def test_bfloat16_learns_nearly_the_same(config: TrainingConfig, tmp_path: Path) -> None:
    whole = at(config, tmp_path / "whole")
    assert run(whole, build) == 0

    assert run(replace(config, precision="bfloat16"), build) == 0

    losses, exact = ([line["loss"] for line in progress(one)] for one in (config, whole))
    assert losses[-1] < 0.6 * losses[0]
    assert losses[0] != exact[0]
    assert losses == pytest.approx(exact, rel=0.05)
