"""A released version starts its training by itself, on a real Prefect server with a real worker.

The training is tiny and the model to beat knows nothing, so that promotion is seen as well.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml
from onnx import TensorProto, helper

import demo
from demo.web import plan_web
from demo.web_files import write_web

ROOT = Path(__file__).parents[2]
PROMOTED = "facedata.model.promoted"
STEPS = 14


@pytest.fixture
def know_nothing(tmp_path: Path) -> Path:
    """A pack with the demo's detector and a recogniser that sees one face everywhere."""
    pack = tmp_path / "know-nothing"
    pack.mkdir()
    shutil.copyfile(Path(demo.__file__).parent / "pack" / "det.onnx", pack / "det.onnx")
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["batch", 3, 112, 112])
    seen = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 3])
    nodes = [
        helper.make_node("GlobalAveragePool", ["data"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Sub", ["flat", "flat"], ["zero"], name="last_sub"),
        helper.make_node("Exp", ["zero"], ["embedding"]),
    ]
    graph = helper.make_graph(nodes, "recogniser", [data], [seen])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, pack / "rec.onnx")
    return pack


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """A training recipe of a few steps, with pairs of people who are in no version."""
    held = tmp_path / "held"
    write_web(plan_web(505, 6, 5), held)
    photos = json.loads((held / "truth.json").read_text("utf-8"))["photos"]
    subjects = {path: said["subject"] for path, said in photos.items() if said["faces"]}
    with (held / "site" / "pairs.csv").open("w", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image_a", "image_b", "same"])
        for first, second in itertools.combinations(sorted(subjects), 2):
            rows.writerow([first, second, int(subjects[first] == subjects[second])])
    recipe = {
        "data": {"workers": 1},
        "model": {"backbone": "mobilefacenet", "embedding_size": 32},
        "optimiser": {"learning_rate": 0.02},
        "schedule": {"steps": STEPS},
        "global_batch": 4,
        "device": "cpu",
        "logging": {"every": 1},
        "checkpoint": {"every": 2},
        "evaluation": {"sets": ["held/site/pairs.csv"], "false_accept_rate": 0.1},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    return path


def ranks_of(config: Path) -> list[int]:
    """The training processes of a run: torchrun itself has more on its command line."""
    end = "\0".join(["-m", "training.run", "--config", str(config), ""]).encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if line.endswith(end) and b"torch.distributed.run" not in line:
            found.append(int(folder.name))
    return sorted(found)


def test_a_second_version_is_trained_on_by_its_event(
    prefect_server: Any,
    start_worker: Callable[..., Any],
    wait_for: Callable[..., None],
    winnow: Any,
    write_recipe: Any,
    photos: Path,
    know_nothing: Path,
    training: Path,
    tmp_path: Path,
) -> None:
    workspace, grown = tmp_path / "work", tmp_path / "photos"
    shutil.copytree(photos, grown)
    late = sorted(grown.iterdir())[-1]
    shutil.move(late, tmp_path / "late")
    recipe = write_recipe(grown, name="trained")
    assert winnow("build", recipe, "-w", workspace, "--json").answer["release"]["is_new"]

    worker = start_worker()
    parameters = {
        "workspace": str(workspace),
        "recipe": str(training),
        "options": {"detector": str(know_nothing), "processes": 2},
    }
    prefect_server.run("deploy", "--name", "train", "--params", json.dumps(parameters), cwd=ROOT)
    deployed = prefect_server.send("GET", "/deployments/name/train/train")
    # Prefect ends runs under a limit when its server is out for some seconds.
    assert deployed["global_concurrency_limit"] is None
    # Whose turn to catch up comes would train the first version: not here.
    (schedule,) = deployed["schedules"]
    assert schedule["schedule"]["interval"] == 3600
    path = f"/deployments/{deployed['id']}/schedules/{schedule['id']}"
    prefect_server.send("PATCH", path, json={"active": False})
    try:
        shutil.move(tmp_path / "late", late)
        released = winnow("build", recipe, "-w", workspace, "--json").answer["release"]
        assert released["version"] == "trained-v0002"

        run = workspace / "training" / "trained-v0002-tiny"
        first = run / "checkpoints" / "step-000000002" / "state.json"
        wait_for(first.exists, f"a checkpoint (see {worker.log} and {run}/train.log)", 300)
        os.kill(ranks_of(run / "config.yaml")[0], signal.SIGKILL)

        def ended() -> list[dict[str, Any]]:
            wanted = {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
            own = {"id": {"any_": [deployed["id"]]}}
            runs: list[dict[str, Any]] = prefect_server.ask(
                "/flow_runs/filter", flow_runs=wanted, deployments=own
            )
            return runs

        wait_for(ended, f"the training run (see {worker.log})", 400)
        wait_for(
            lambda: prefect_server.events(PROMOTED, "facedata.trained"), "the promotion's event", 60
        )
        _check_run(ended(), worker, prefect_server)
    finally:
        prefect_server.send("DELETE", f"/deployments/{deployed['id']}")
    _check_files(workspace, run)


def _check_run(runs: list[dict[str, Any]], worker: Any, server: Any) -> None:
    assert [run["state_name"] for run in runs] == ["Completed"], worker.log.read_text()
    (ended,) = runs
    assert ended["parameters"]["version"] == "trained-v0002"
    assert ended["parameters"]["manifest"].endswith("trained-v0002/manifest.json")
    assert ended["created_by"]["type"] == "AUTOMATION"
    said = worker.log.read_text()
    assert "training ended early: " in said
    assert "starting again from the checkpoint of step" in said

    (event,) = server.events(PROMOTED, "facedata.trained")
    assert (event["payload"]["model"], event["payload"]["version"]) == (
        "trained-m0001",
        "trained-v0002",
    )
    assert event["payload"]["metrics"]["tar"]["pairs"] > 0

    wanted = {"flow_run_id": {"any_": [ended["id"]]}}
    artifacts = {one["key"]: one for one in server.ask("/artifacts/filter", artifacts=wanted)}
    assert artifacts["training-trained-v0002-tiny"]["data"] == 100.0
    assert f"step {STEPS} of {STEPS}" in artifacts["training-trained-v0002-tiny"]["description"]
    assert artifacts["model-trained-m0001"]["data"].startswith("# trained-m0001")


def _check_files(workspace: Path, run: Path) -> None:
    lines = [json.loads(line) for line in (run / "progress.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines]
    assert steps[-1] == STEPS
    assert sorted(set(steps)) == list(range(1, STEPS + 1))
    card = json.loads((workspace / "models" / "trained-m0001" / "model_card.json").read_text())
    manifest = json.loads((workspace / "versions/trained-v0002/manifest.json").read_text())
    assert (card["version"], card["digest"]) == ("trained-v0002", manifest["digest"])
    assert card["steps"] == STEPS
    assert json.loads((run / "settled.json").read_text()) == {"model": "trained-m0001"}
    current = json.loads((workspace / "models" / "trained.json").read_text())
    assert current["model"] == "trained-m0001"
    assert sorted(path.name for path in (workspace / "models").iterdir()) == [
        "trained-m0001",
        "trained.json",
    ]
    assert ranks_of(run / "config.yaml") == []
