"""Stages: keyed by content, complete when the manifest is there, never trusted before."""

import pytest

from facedata.errors import IntegrityError, StorageError
from facedata.stages import StageOutput, find_stage, run_stage, stage_key
from facedata.storage import Storage


@pytest.fixture
def storage(tmp_path) -> Storage:  # type: ignore[no-untyped-def]
    return Storage(tmp_path)


def output() -> StageOutput:
    return StageOutput(files={"b": b"2", "a": b"1"}, counts={"n": 2}, facts={"x": [1]})


def test_a_done_stage_is_not_computed_again(storage: Storage) -> None:
    calls = []

    def compute() -> StageOutput:
        calls.append(1)
        return output()

    first = run_stage(storage, "faces", "k", compute)
    second = run_stage(storage, "faces", "k", compute)
    assert calls == [1]
    assert (first.resumed, second.resumed) == (False, True)
    assert first == second
    assert storage.read(first.path("a")) == b"1"


def test_a_stage_that_fails_midway_leaves_no_result(storage: Storage) -> None:
    def broken() -> StageOutput:
        storage.write("stages/faces/k/a", b"half")
        raise StorageError("lost")

    with pytest.raises(StorageError):
        run_stage(storage, "faces", "k", broken)
    assert find_stage(storage, "faces", "k") is None
    assert run_stage(storage, "faces", "k", output).counts == {"n": 2}


def test_a_damaged_manifest_is_named(storage: Storage) -> None:
    storage.write("stages/faces/k/manifest.json", b"{")
    with pytest.raises(IntegrityError, match="remove the folder and run again"):
        find_stage(storage, "faces", "k")


def test_the_key_sees_every_part() -> None:
    keys = {
        stage_key("faces", 1, {"a": 1}, {"i": "x"}),
        stage_key("embed", 1, {"a": 1}, {"i": "x"}),
        stage_key("faces", 2, {"a": 1}, {"i": "x"}),
        stage_key("faces", 1, {"a": 2}, {"i": "x"}),
        stage_key("faces", 1, {"a": 1}, {"i": "y"}),
    }
    assert len(keys) == 5
    assert stage_key("s", 1, {"a": 1, "b": 2}, {}) == stage_key("s", 1, {"b": 2, "a": 1}, {})
