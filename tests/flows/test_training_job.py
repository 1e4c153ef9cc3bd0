"""Requests to train: what a recipe file may leave out, where things go, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from facedata.errors import (
    IntegrityError,
    ModelError,
    RecipeError,
    RequestError,
    VersionError,
    WorkspaceError,
)
from flows.cli import main
from flows.train_lines import plan_lines
from flows.training_job import TrainingOptions, check_event, open_training
from training.config import to_yaml
from training.run_state import RunState

PEOPLE = {"Ada": 0, "Bea": 1, "Cid": 2}
DEMO = TrainingOptions(detector="demo")


@pytest.fixture
def workspace(tmp_path: Path, make_version: Callable[..., Any]) -> Path:
    make_version(tmp_path / "work", PEOPLE, images=4)
    return tmp_path / "work"


def leave_checkpoint(output: Path, config: dict[str, Any], digest: str = "") -> None:
    """The marker of a run's checkpoint."""
    folder = output / "checkpoints" / "step-000000004"
    folder.mkdir(parents=True)
    state = RunState(
        step=4, version="people-v0001", digest=digest, classes=3, world_size=1, config=config
    )
    (folder / "state.json").write_text(json.dumps(asdict(state)))


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., str]:
    """``recipe(**keys)`` writes a training recipe that says little."""

    def write(**keys: Any) -> str:
        values = {"model": {"backbone": "mobilefacenet"}, "device": "cpu"} | keys
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
        return str(tmp_path / "mine.yaml")

    return write


def test_a_file_leaves_out_what_the_command_says(
    workspace: Path, recipe: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "lfw.bin").write_bytes(b"")
    file = recipe(evaluation={"sets": ["sets/lfw.bin"]}, checkpoint={"initial": "old"})
    leave_checkpoint(tmp_path / "old", config={"optimiser": {"name": "sgd"}})

    job = open_training("people-v0001", str(workspace), file, DEMO)

    assert job.output == workspace / "training" / "people-v0001-mine"
    assert (job.config.name, job.config.data.version) == ("mine", "people-v0001")
    assert job.config.data.workspace == str(workspace)
    assert job.config.data.digest == job.manifest.digest
    assert job.config.checkpoint.initial == str(tmp_path / "old")
    assert [one.path for one in job.sets] == [tmp_path / "sets" / "lfw.bin"]
    assert job.base.name == "pack"
    assert job.dataset == "people"


def test_a_run_s_own_configuration_serves_the_next_version(
    workspace: Path, tmp_path: Path, make_version: Callable[..., Any]
) -> None:
    first = open_training("people-v0001", str(workspace), "demo_cpu", DEMO)
    make_version(workspace, PEOPLE, images=5, version="people-v0002")
    (tmp_path / "kept.yaml").write_text(
        to_yaml(first.config).replace(first.manifest.digest, "null")
    )

    second = open_training("people-v0002", str(workspace), str(tmp_path / "kept.yaml"), DEMO)

    assert second.config.data.version == "people-v0002"
    assert second.output == workspace / "training" / "people-v0002-kept"


def test_previous_is_the_newest_earlier_run(
    workspace: Path, make_version: Callable[..., Any]
) -> None:
    for version in ("people-v0002", "people-v0003"):
        make_version(workspace, PEOPLE, images=5, version=version)
    asked = TrainingOptions(detector="demo", initial="previous")
    none = open_training("people-v0003", str(workspace), "demo_cpu", asked)
    assert none.config.checkpoint.initial is None

    run = workspace / "training" / "people-v0001-demo_cpu"
    leave_checkpoint(run, config={"optimiser": {"name": "adamw"}})
    (run / "outcome.json").write_text('{"outcome": "done"}')
    failed = workspace / "training" / "people-v0002-demo_cpu"
    leave_checkpoint(failed, config={"optimiser": {"name": "adamw"}})
    (failed / "outcome.json").write_text('{"outcome": "failed"}')

    job = open_training("people-v0003", str(workspace), "demo_cpu", asked)
    assert job.config.checkpoint.initial == str(run)


def test_a_run_to_start_from_must_be_there(workspace: Path, tmp_path: Path) -> None:
    asked = TrainingOptions(detector="demo", initial=str(tmp_path / "nowhere"))
    with pytest.raises(RequestError, match=r"nowhere: no whole checkpoint below it"):
        open_training("people-v0001", str(workspace), "demo_cpu", asked)


def test_another_configuration_is_refused_before_the_run_s_record_is_touched(
    workspace: Path, recipe: Callable[..., str]
) -> None:
    job = open_training("people-v0001", str(workspace), recipe(global_batch=8), DEMO)
    state = {"config": json.loads(json.dumps(asdict(job.config))), "digest": job.manifest.digest}
    leave_checkpoint(job.output, **state)
    kept = sorted(job.output.rglob("*"))

    open_training(
        "people-v0001", str(workspace), recipe(global_batch=8, precision="bfloat16"), DEMO
    )
    with pytest.raises(RequestError, match="holds a run with global_batch 8, the configuration"):
        open_training("people-v0001", str(workspace), recipe(global_batch=4), DEMO)

    assert sorted(job.output.rglob("*")) == kept


def test_runs_and_models_go_to_the_output(workspace: Path, tmp_path: Path) -> None:
    asked = TrainingOptions(detector="demo", output=str(tmp_path / "elsewhere"))

    job = open_training("people-v0001", str(workspace), "demo_cpu", asked)

    assert job.output == tmp_path / "elsewhere" / "training" / "people-v0001-demo_cpu"
    assert Path(job.home.root) == tmp_path / "elsewhere"


def test_a_remote_workspace_needs_an_output(
    make_version: Callable[..., Any], tmp_path: Path
) -> None:
    make_version("memory://shop/work", PEOPLE, images=4)

    with pytest.raises(WorkspaceError, match="need a folder on a disk; give one with --output"):
        open_training("people-v0001", "memory://shop/work", "demo_cpu", DEMO)

    asked = TrainingOptions(detector="demo", output=str(tmp_path))
    job = open_training("people-v0001", "memory://shop/work", "demo_cpu", asked)
    assert job.config.data.workspace == "memory://shop/work"


def test_no_such_version(workspace: Path) -> None:
    with pytest.raises(VersionError, match=r"'people-v0009' is not in .*: people-v0001"):
        open_training("people-v0009", str(workspace), "demo_cpu", DEMO)


def test_a_digest_that_does_not_match(workspace: Path, recipe: Callable[..., str]) -> None:
    file = recipe(data={"digest": "ab"})
    with pytest.raises(RequestError, match=r"asked for was ab; correct data\.digest"):
        open_training("people-v0001", str(workspace), file, DEMO)

    path = workspace / "versions" / "people-v0001" / "manifest.json"
    path.write_text(path.read_text().replace('"Ada": 0', '"Eve": 0'))
    with pytest.raises(IntegrityError, match="its manifest says digest"):
        open_training("people-v0001", str(workspace), "demo_cpu", DEMO)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("best", "training recipe 'best': not known; use one of demo_cpu, glint360k_r50"),
        ("best.yaml", "training recipe best.yaml: cannot be read"),
    ],
)
def test_an_unknown_recipe(workspace: Path, name: str, says: str) -> None:
    with pytest.raises(RecipeError) as raised:
        open_training("people-v0001", str(workspace), name, DEMO)
    assert str(raised.value).startswith(says)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"lr": 1}, "unknown key 'lr'; allowed here: name, output, data"),
        ({"data": 3}, "key 'data' needs keys below it"),
        (
            {"model": {"backbone": "resnext"}},
            "no backbone is called 'resnext'; use one of iresnet100",
        ),
        ({"class_layer": {"margin": {"name": "best"}}}, "no margin is called 'best'; use one of"),
        ({"class_layer": None}, "there is nothing to learn from"),
        (
            {"model": {"backbone": "micro", "weights": "no"}},
            "no such file, or a pack without rec.pt",
        ),
        ({"evaluation": {"sets": ["no.bin"]}}, "no.bin: no such file; check the path"),
    ],
)
def test_a_recipe_that_cannot_be_used(
    workspace: Path, recipe: Callable[..., str], keys: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestError) as raised:
        open_training("people-v0001", str(workspace), recipe(**keys), DEMO)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_models_by_a_relative_path_need_a_detector(workspace: Path) -> None:
    path = workspace / "versions" / "people-v0001" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["recipe"] = {"models": "packs/mine"}
    path.write_text(json.dumps(manifest))

    with pytest.raises(ModelError, match="name the pack with --detector"):
        open_training("people-v0001", str(workspace), "demo_cpu", TrainingOptions())


def test_torch_is_asked_for(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )

    with pytest.raises(RequestError, match=r'not installed; pip install "winnow-faces\[train\]"'):
        open_training("people-v0001", str(workspace), "demo_cpu", DEMO)


def test_an_event_of_another_workspace(workspace: Path) -> None:
    own = str(workspace / "versions" / "people-v0001" / "manifest.json")
    check_event("people-v0001", str(workspace), own)

    with pytest.raises(
        RequestError, match=r"released as /other/m\.json, this deployment trains on"
    ):
        check_event("people-v0001", str(workspace), "/other/m.json")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "people-v0009"], "version 'people-v0009' is not in"),
        (["train", "people-v0001"], "its recipe names no models; name a pack with --detector"),
        (["train", "people-v0001", "--detector", "demo", "--recipe", "best"],
         "training recipe 'best': not known"),
        (["train", "people-v0001", "--detector", "demo", "--recipe", "glint360k_r50"],
         "device cuda: no GPU found on this machine"),
        (["train", "people-v0001", "--detector", "demo", "--join"],
         "give --nodes and --rendezvous as on the first, or leave --join out"),
        (["train", "people-v0001", "--detector", "demo", "--from", "/nowhere", "--dry-run"],
         "checkpoint.initial /nowhere: no whole checkpoint below it"),
        (["train", "people-v0001", "--detector", "demo", "--processes", "4", "--dry-run"],
         "3 classes cannot be shared by 4 processes; start at most 3"),
        (["train", "people-v0001", "--detector", "demo", "--nodes", "2"], "2 nodes need a place"),
        (["evaluate", "demo"], "nothing to evaluate on; give --pairs CSV or --bin FILE"),
        (["evaluate", "demo", "--bin", "no.bin"], "evaluation set no.bin: no such file"),
    ],
)  # fmt: skip
def test_the_command_says_one_line_and_ends_with_2(
    workspace: Path,
    arguments: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("sys.argv", ["winnow", *arguments, "-w", str(workspace)])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_a_dry_run_says_what_would_be_done(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--detector", "demo", "--processes", "2", "--dry-run", "--json"]
    arguments = ["winnow", "train", "people-v0001", "-w", str(workspace), *options]
    monkeypatch.setattr("sys.argv", arguments)

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["command"][1:6] == [
        "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
    ]  # fmt: skip
    assert planned["evaluation_sets"] == []
    assert plan_lines(planned)[2].endswith(f"starts at  {planned['weights']}")
    assert plan_lines(planned | {"weights": None})[2].endswith("starts at  random weights")
    assert not (workspace / "training").exists()
