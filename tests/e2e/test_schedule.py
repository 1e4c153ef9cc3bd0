"""A scheduled build on a real Prefect server, picked up and run by a real worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EVENT = "facedata.version.released"


def deploy(server: Any, recipe: Path, workspace: Path) -> dict[str, Any]:
    """Deploy ``build`` from ``prefect.yaml``, due every ten seconds as well as by its cron."""
    parameters = json.dumps({"recipe": str(recipe), "workspace": str(workspace)})
    server.run("deploy", "--name", "build", "--interval", "10", "--params", parameters, cwd=ROOT)
    found: dict[str, Any] = server.send("GET", "/deployments/name/build/build")
    return found


def pause(server: Any, deployment: str) -> None:
    server.send("PATCH", f"/deployments/{deployment}", json={"paused": True})


def test_a_scheduled_build_releases_a_version_and_says_so(
    prefect_server: Any,
    start_worker: Callable[..., Any],
    wait_for: Callable[..., None],
    write_recipe: Any,
    photos: Path,
    tmp_path: Path,
) -> None:
    worker = start_worker()
    workspace = tmp_path / "work"
    recipe = write_recipe(photos, name="nightly")
    deployed = deploy(prefect_server, recipe, workspace)
    deployment = str(deployed["id"])
    assert deployed["work_pool_name"] == "winnow"
    assert deployed["global_concurrency_limit"]["limit"] == 1
    assert {one["schedule"].get("cron") for one in deployed["schedules"]} == {"0 3 * * *", None}

    def runs(*states: str) -> list[dict[str, Any]]:
        wanted = {"state": {"type": {"any_": list(states)}}}
        found: list[dict[str, Any]] = prefect_server.ask(
            "/flow_runs/filter",
            flow_runs=wanted,
            deployments={"id": {"any_": [deployment]}},
            sort="START_TIME_ASC",
        )
        return found

    ended = ("COMPLETED", "FAILED", "CRASHED")
    try:
        wait_for(lambda: runs(*ended), f"a scheduled run (see {worker.log})", 180)
        wait_for(lambda: prefect_server.events(EVENT, "facedata.nightly"), "the event", 60)
    finally:
        pause(prefect_server, deployment)

    assert [run["state_name"] for run in runs("FAILED", "CRASHED")] == [], worker.log.read_text()
    first = runs("COMPLETED")[0]
    assert first["auto_scheduled"] is True
    assert first["created_by"]["type"] == "SCHEDULE"
    assert first["work_pool_name"] == "winnow"
    assert sorted(path.name for path in (workspace / "versions").iterdir()) == ["nightly-v0001"]

    (event,) = prefect_server.events(EVENT, "facedata.nightly")
    manifest = workspace / "versions" / "nightly-v0001" / "manifest.json"
    assert event["payload"] == {"version": "nightly-v0001", "manifest": str(manifest)}
    assert json.loads(manifest.read_text())["version"] == "nightly-v0001"
    assert f"prefect.flow-run.{first['id']}" in {
        related["prefect.resource.id"] for related in event["related"]
    }
