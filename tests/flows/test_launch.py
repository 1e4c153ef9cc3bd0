"""Real torchrun runs of a few steps: killed, stopped, refused, given up; and their commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facedata.errors import RequestError, WorkError
from flows.fleet import Fleet, choose_fleet, count_gpus
from flows.launch import CONFIG, LOG, Follow, Launch, Patience, run_training
from training.config import CheckpointConfig, ModelConfig, OptimiserConfig, ScheduleConfig
from training.run_state import last_step

AT_ONCE = Patience(restarts=1, wait_seconds=0.0)


class Listener:
    """Remembers what it is told, and does something at a step, once."""

    def __init__(self, step: int = 0, act: Callable[[], None] | None = None) -> None:
        self.steps: list[int] = []
        self.said: list[str] = []
        self._step, self._act = step, act

    @property
    def follow(self) -> Follow:
        return Follow(progress=self._progress, say=self.said.append)

    def _progress(self, line: dict[str, Any]) -> None:
        self.steps.append(line["step"])
        if self._act is not None and line["step"] >= self._step:
            act, self._act = self._act, None
            act()


def processes_of(output: Path) -> list[int]:
    """Everything that trains in a folder: torchrun and its ranks."""
    end = f"--config\0{output / CONFIG}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().endswith(end):
                found.append(int(folder.name))
        except OSError:
            continue
    return sorted(found)


ROOT = Path(__file__).parents[2]
LAUNCHING = """
import sys
from pathlib import Path
from flows.fleet import Fleet
from flows.launch import Follow, Launch, run_training
launch = Launch(output=Path(sys.argv[1]), fleet=Fleet(processes=1))
run_training(launch, Follow(progress=lambda line: None, say=lambda text: None))
"""


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_rank_costs_the_steps_since_the_checkpoint(
    start_run: Callable[..., Path],
) -> None:
    output = start_run(14)
    # In the order of their start: torchrun, two ranks, the processes that read data.
    listener = Listener(3, lambda: os.kill(processes_of(output)[2], signal.SIGKILL))

    run_training(Launch(output=output, fleet=Fleet(processes=2), patience=AT_ONCE), listener.follow)

    (news,) = listener.said
    assert news.startswith("training ended early: ")
    assert "starting again from the checkpoint of step " in news
    assert sorted(set(listener.steps)) == list(range(1, 15))
    assert last_step(output) == 14
    assert processes_of(output) == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_stop_leaves_a_checkpoint_and_the_next_start_goes_on(
    start_run: Callable[..., Path],
) -> None:
    output = start_run(14)
    launch = Launch(output=output, fleet=Fleet(processes=1), patience=AT_ONCE)
    stopped = Listener(3, lambda: os.kill(os.getpid(), signal.SIGTERM))

    with pytest.raises(
        WorkError, match=r"stopped; the last checkpoint is of step \d+; run the same"
    ):
        run_training(launch, stopped.follow)

    reached = last_step(output)
    assert stopped.steps == list(range(1, reached + 1))
    assert 3 <= reached < 14
    assert processes_of(output) == []

    # What the stop wrote is no news of a later start that is killed.
    following = Listener(reached + 1, lambda: os.kill(processes_of(output)[1], signal.SIGKILL))
    run_training(launch, following.follow)
    assert sorted(set(following.steps)) == list(range(reached + 1, 15))
    (news,) = following.said
    assert news.startswith("training ended early: a process was killed")

    # Done: nothing is started.
    log = (output / LOG).read_bytes()
    again = Listener()
    run_training(launch, again.follow)
    assert (again.steps, again.said) == ([], [])
    assert (output / LOG).read_bytes() == log


def test_ranks_end_with_torchrun_before_it_is_started_again(
    start_run: Callable[..., Path],
) -> None:
    output = start_run(14)
    alive: list[list[int]] = []
    listener = Listener(3, lambda: os.kill(processes_of(output)[0], signal.SIGKILL))

    def say(text: str) -> None:
        listener.said.append(text)
        alive.append(processes_of(output))

    follow = Follow(progress=listener.follow.progress, say=say)
    run_training(Launch(output=output, fleet=Fleet(processes=2), patience=AT_ONCE), follow)

    (news,) = listener.said
    assert news.startswith("training ended early: torchrun was killed by SIGKILL; starting again")
    assert alive == [[]]
    again = int(news.rpartition(" ")[2]) if "step" in news else 0
    assert listener.steps[-(14 - again) :] == list(range(again + 1, 15))


def test_a_second_stop_ends_all_at_once(start_run: Callable[..., Path]) -> None:
    output = start_run(14, checkpoint=CheckpointConfig(every=100))

    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(WorkError, match="ended at once; there is no checkpoint yet; run the same"):
        run_training(Launch(output=output, fleet=Fleet(processes=2)), Listener(3, twice).follow)

    assert processes_of(output) == []


def test_ranks_of_a_killed_command_write_a_checkpoint_and_are_waited_for(
    start_run: Callable[..., Path],
) -> None:
    output = start_run(30, checkpoint=CheckpointConfig(every=100))
    command = subprocess.Popen([sys.executable, "-c", LAUNCHING, str(output)], cwd=ROOT)
    try:
        wait_until(lambda: '"step": 3,' in text_of(output / "progress.jsonl"))
        # As Prefect does: asked to stop, and killed while a checkpoint takes its time.
        rank = processes_of(output)[1]
        os.kill(rank, signal.SIGSTOP)
        command.terminate()
        wait_until(lambda: f"Sending process {rank} closing signal" in text_of(output / LOG))
    finally:
        command.kill()
        command.wait()
    threading.Timer(1.0, os.kill, (rank, signal.SIGCONT)).start()
    assert processes_of(output) != []

    listener = Listener()
    run_training(Launch(output=output, fleet=Fleet(processes=1)), listener.follow)

    assert "processes of an earlier start are still at work" in listener.said[0]
    assert listener.said[1:] == []
    told = [json.loads(line)["step"] for line in text_of(output / "progress.jsonl").splitlines()]
    assert told == list(range(1, 31))


def test_a_loss_that_is_no_number_is_not_tried_again(start_run: Callable[..., Path]) -> None:
    output = start_run(
        12,
        optimiser=OptimiserConfig(learning_rate=1e25, clip_norm=None),
        schedule=ScheduleConfig(steps=12, warmup_epochs=0),
    )
    listener = Listener()

    with pytest.raises(WorkError, match=r"step \d+: .* is nan at learning rate") as raised:
        run_training(Launch(output=output, fleet=Fleet(processes=1)), listener.follow)

    assert "run the same command" not in str(raised.value)
    assert "copy the training recipe to another name" in str(raised.value)
    assert listener.said == []


def test_a_wrong_request_is_said_once_and_not_repeated(start_run: Callable[..., Path]) -> None:
    output = start_run(4, model=ModelConfig(backbone="resnext"))
    listener = Listener()

    with pytest.raises(RequestError, match="no backbone is called 'resnext'; use one of "):
        run_training(Launch(output=output, fleet=Fleet(processes=1)), listener.follow)

    assert listener.said == []


def test_a_run_that_keeps_dying_is_given_up(start_run: Callable[..., Path]) -> None:
    output = start_run(4)
    (output / CONFIG).write_text("name: a")
    listener = Listener()

    with pytest.raises(WorkError, match="ended 2 times without a new checkpoint") as raised:
        run_training(
            Launch(output=output, fleet=Fleet(processes=1), patience=AT_ONCE), listener.follow
        )

    assert "torchrun ended with code 1" in str(raised.value)
    assert "\n" not in str(raised.value)
    (news,) = listener.said
    assert "starting again from the beginning" in news
    assert "key 'output' is missing" in (output / LOG).read_text()


def test_one_node_is_standalone_and_many_meet() -> None:
    config = Path("run/config.yaml")

    one = Fleet(processes=8).command(config, "people-v0001-r50")
    many = Fleet(processes=8, nodes=4, rendezvous="first:29500").command(config, "people-v0001")

    assert one[1:6] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "8"]
    assert one[-4:] == ["-m", "training.run", "--config", "run/config.yaml"]
    assert " ".join(many[3:11]) == (
        "--nnodes 4 --rdzv-backend c10d --rdzv-endpoint first:29500 --rdzv-id people-v0001"
    )


def test_nodes_need_a_place_to_meet() -> None:
    with pytest.raises(RequestError, match="4 nodes need a place to meet; give --rendezvous"):
        choose_fleet("cpu", None, 4, None)


@pytest.mark.parametrize("place", ["nonsense", "host:", ":29500", "host:0", "host:65536", "a b:1"])
def test_a_place_to_meet_is_a_host_and_a_port(place: str) -> None:
    with pytest.raises(RequestError, match=f"--rendezvous {place}: give HOST:PORT"):
        choose_fleet("cpu", None, 2, place)


@pytest.mark.parametrize("place", ["host1:29500", "10.0.0.1:1", "[::1]:65535"])
def test_places_to_meet(place: str) -> None:
    assert choose_fleet("cpu", 1, 2, place).rendezvous == place


def test_processors_get_at_most_two_processes() -> None:
    assert choose_fleet("cpu", None, 1, None).processes in {1, 2}
    assert choose_fleet("cpu", 3, 1, None).processes == 3


@pytest.mark.parametrize(
    ("visible", "found"), [(None, 3), ("0,2", 2), ("", 0), ("-1", 0), ("0,1,2,3,4", 3)]
)
def test_gpus_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, found: int
) -> None:
    tool = tmp_path / "nvidia-smi"
    names = "".join(f"GPU {index}: H (UUID: {index})\\n" for index in range(3))
    tool.write_text(f"#!/bin/sh\nprintf '{names}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert count_gpus() == found
    if found:
        assert choose_fleet("cuda", None, 1, None).processes == found
        assert choose_fleet("cuda", 1, 1, None).processes == 1
        with pytest.raises(RequestError, match=f"{found + 1} processes, but {found} GPU"):
            choose_fleet("cuda", found + 1, 1, None)


def test_no_gpu_asked_for_a_gpu_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for processes in (None, 1):
        with pytest.raises(RequestError, match="device cuda: no GPU found on this machine; set d"):
            choose_fleet("cuda", processes, 1, None)


def test_unfinished_checkpoints_do_not_count(tmp_path: Path) -> None:
    assert last_step(tmp_path) == 0
    for step, whole in ((2, True), (4, True), (6, False)):
        folder = tmp_path / "checkpoints" / f"step-{step:09d}"
        folder.mkdir(parents=True)
        if whole:
            (folder / "state.json").write_text(json.dumps({"step": step}))
    assert last_step(tmp_path) == 4
