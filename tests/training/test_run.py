"""The command as it is started: by torchrun on two processes, and alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from training.log import PROGRESS
from training.run import STOPPED, main
from training.run_state import OUTCOME, finished, read_state

ROOT = Path(__file__).parents[2]
PEOPLE = {"Ada": 0, "Bea": 1, "Cid": 2}


@pytest.fixture
def config(tmp_path: Path, make_version) -> Path:
    make_version(tmp_path / "workspace", PEOPLE, images=8, shard_images=12)
    values: dict[str, Any] = {
        "name": "tiny",
        "output": str(tmp_path / "run"),
        "data": {
            "workspace": str(tmp_path / "workspace"), "version": "people-v0001", "workers": 1,
        },
        "model": {"backbone": "mobilefacenet", "embedding_size": 32},
        "optimiser": {"learning_rate": 0.02},
        "schedule": {"steps": 20},
        "global_batch": 4,
        "device": "cpu",
        "logging": {"every": 1},
        "checkpoint": {"every": 2},
    }  # fmt: skip
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(values))
    return path


def steps_of(output: Path) -> list[int]:
    path = output / PROGRESS
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["step"] for line in lines]


@pytest.mark.timeout(300)
def test_torchrun_restarts_a_killed_rank_and_stops_when_told(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launcher += ["--max-restarts", "1"]
    command = [sys.executable, *launcher, "-m", "training.run", "--config", str(config)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, env=environment, cwd=tmp_path)
    while not finished(output) and running.poll() is None:
        time.sleep(0.05)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    seen = len(steps_of(output))
    while len(steps_of(output)) <= seen + 1 and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) != 0

    stopped = json.loads((output / OUTCOME).read_text())
    assert (stopped["outcome"], stopped["exit_code"]) == ("stopped", STOPPED)
    reached = read_state(finished(output)[-1])
    assert 2 < reached.step < 20
    assert reached.world_size == 2

    assert main(["--config", str(config)]) == 0

    assert set(steps_of(output)) == set(range(1, 21))
    assert read_state(finished(output)[-1]).step == 20


LEAVING = """
import os, time, torch
from torch import distributed
from training import world
# gloo in NCCL's place: the one thing asked of it is a destroy_process_group that waits for ever.
world._device = lambda name, rank: torch.device("cuda", rank)
world._join = lambda device: distributed.init_process_group(
    "gloo", store=world._store(), rank=0, world_size=1)
distributed.destroy_process_group = lambda: time.sleep(600)
with world.joined_world("cuda"):
    print("begun")
    raise RuntimeError("the other rank is gone")
"""


def test_after_an_error_on_gpus_a_process_does_not_wait_to_leave(tmp_path: Path) -> None:
    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}

    done = subprocess.run(
        [sys.executable, "-c", LEAVING], cwd=tmp_path, env=os.environ | alone
        | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stdout == "begun\n"
    assert "RuntimeError: the other rank is gone" in done.stderr


def test_a_bad_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("name: a")

    assert main(["--config", str(path)]) == 2

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "key 'output' is missing (and 2 more)" in said


def test_an_unknown_backbone_is_one_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace("mobilefacenet", "resnext"))

    assert main(["--config", str(config)]) == 2

    assert capsys.readouterr().err.startswith("no backbone is called 'resnext'; use one of ")
    assert json.loads((tmp_path / "run" / OUTCOME).read_text())["outcome"] == "failed"
