"""The workspace lock: one build at a time, let go when a process dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from facedata.errors import WorkspaceError
from facedata.lock import hold_models, hold_review, hold_training, hold_workspace, who_trains
from facedata.storage import Storage

HOLDER = """
import sys, time
from facedata.lock import hold_workspace
from facedata.storage import Storage
with hold_workspace(Storage(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_build_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        message = rf"process {holder.pid} is building in it"
        with pytest.raises(WorkspaceError, match=message), hold_workspace(Storage(tmp_path)):
            pass
        holder.send_signal(signal.SIGKILL)
    with hold_workspace(Storage(tmp_path)):
        pass


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    storage.write(f"tmp/{dead.pid}-half", b"x")
    storage.write(f"tmp/{os.getpid()}-being-written", b"x")
    with hold_workspace(storage):
        assert storage.names("tmp") == [f"{os.getpid()}-being-written"]


def test_an_object_store_is_not_locked(tmp_path: Path) -> None:
    storage = Storage(f"memory://{tmp_path}")
    with hold_workspace(storage), hold_workspace(storage):
        pass


def test_a_review_is_held_by_one_and_waited_for(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with (
        hold_review(storage, "people"),
        hold_workspace(storage),
        hold_review(storage, "others"),
        pytest.raises(WorkspaceError, match="is exchanging the review of 'people'"),
        hold_review(storage, "people", patience=0.2),
    ):
        pass
    with hold_review(storage, "people", patience=0.0):
        pass


def test_a_promotion_goes_beside_builds_and_waits_for_another(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with (
        hold_workspace(storage),
        hold_models(storage, "people"),
        hold_models(storage, "others"),
        pytest.raises(WorkspaceError, match="is promoting a model of 'people'"),
        hold_models(storage, "people", patience=0.2),
    ):
        pass


TRAINER = """
import sys, time
from facedata.lock import hold_training
from facedata.storage import Storage
with hold_training(Storage(sys.argv[1]), sys.argv[2], lambda text: print(text, flush=True)):
    print("held", flush=True)
    time.sleep(60)
"""


def test_versions_are_trained_in_turns(tmp_path: Path) -> None:
    home = Storage(tmp_path)
    assert who_trains(home) is None

    def start(run: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TRAINER, str(tmp_path), run]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with start("v1-r50") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        assert who_trains(home) == f"{first.pid} (v1-r50)"
        with start("v2-r50") as second:
            assert second.stdout is not None
            awaited = f"waiting for process {first.pid} (v1-r50), which trains in {tmp_path}\n"
            assert second.stdout.readline() == awaited
            for run, pid in (("v1-r50", first.pid), ("v2-r50", second.pid)):
                with (
                    pytest.raises(WorkspaceError, match=f"process {pid} trains {run}, or is to"),
                    hold_training(home, run, print),
                ):
                    pass
            first.kill()
            assert second.stdout.readline() == "held\n"
            second.kill()
    with hold_training(home, "v2-r50", print):
        assert who_trains(home) == f"{os.getpid()} (v2-r50)"
