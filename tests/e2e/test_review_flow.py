"""From an answer to a new version with nobody at the keyboard: the flows of ``prefect.yaml`` on a
real Prefect server with a real worker, the questions on a real Label Studio."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OPENED, COMPLETED = "facedata.review.opened", "facedata.review.completed"
RELEASED = "facedata.version.released"
BAD = ("FAILED", "CRASHED")
TOMORROW = {
    "type": "SCHEDULED",
    "state_details": {"scheduled_time": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
}
"""A state in which no worker takes a run."""


@dataclass
class Deployed:
    """The deployments of ``prefect.yaml`` for one recipe."""

    server: Any
    file: Path
    ids: dict[str, str]

    def deploy(self, name: str) -> None:
        self.server.run("deploy", "--name", name, "--prefect-file", str(self.file), cwd=ROOT)
        self.ids[name] = self.server.send("GET", f"/deployments/name/{name}/{name}")["id"]

    def start(self, name: str, **options: Any) -> str:
        """Ask for a run of a deployment; returns its id."""
        path = f"/deployments/{self.ids[name]}/create_flow_run"
        return str(self.server.send("POST", path, json=options)["id"])

    def set_state(self, run: str, state: str) -> None:
        body = {"state": {"type": state}, "force": state != "PENDING"}
        answer = self.server.send("POST", f"/flow_runs/{run}/set_state", json=body)
        assert answer["status"] == "ACCEPT", answer

    def runs(self, name: str) -> dict[str, dict[str, Any]]:
        """All runs of a deployment that were not cancelled, by id, oldest first."""
        wanted = {"deployments": {"id": {"any_": [self.ids[name]]}}, "sort": "START_TIME_ASC"}
        found = self.server.ask("/flow_runs/filter", **wanted)
        return {run["id"]: run for run in found if run["state_type"] != "CANCELLED"}

    def remove(self) -> None:
        for deployment in self.ids.values():
            self.server.send("DELETE", f"/deployments/{deployment}")


@pytest.fixture
def deployed(prefect_server: Any, asked: Any, tmp_path: Path) -> Iterator[tuple[Deployed, Any]]:
    """``prefect.yaml`` as it is, but for the recipe, its events and a shorter interval."""
    review = asked("by-schedule")
    text = (ROOT / "prefect.yaml").read_text("utf-8")
    project = yaml.safe_load(text.replace("facedata.*", "facedata.by-schedule"))
    for one in project["deployments"]:
        one["parameters"] = {"recipe": str(review.recipe), "workspace": str(review.workspace)}
        one["schedules"] = [{"interval": 10}] if one["name"] == "review" else []
    file = tmp_path / "prefect.yaml"
    file.write_text(yaml.safe_dump(project), "utf-8")
    made = Deployed(prefect_server, file, {})
    yield made, review
    made.remove()


def versions(review: Any) -> list[dict[str, Any]]:
    found = sorted((review.workspace / "versions").glob("*/manifest.json"))
    return [json.loads(path.read_text("utf-8")) for path in found]


def test_answers_become_a_version_by_themselves(
    deployed: tuple[Deployed, Any],
    prefect_server: Any,
    label_studio: Any,
    start_worker: Callable[..., Any],
    wait_for: Callable[..., None],
) -> None:
    flows, review = deployed
    resource = f"facedata.{review.name}"
    # The token is in the worker's environment alone.
    worker = start_worker(LABEL_STUDIO_API_KEY=label_studio.token)
    flows.deploy("build")
    first = flows.start("build")

    def is_done(run: str) -> bool:
        state = flows.runs("build")[run]["state_type"]
        assert state not in BAD, worker.log.read_text()
        return bool(state == "COMPLETED")

    wait_for(lambda: is_done(first), f"the first build (see {worker.log})", 180)
    wait_for(lambda: prefect_server.events(OPENED, resource), "the event of the batch", 60)
    (opened,) = prefect_server.events(OPENED, resource)
    questions = review.questions("pairs-0001")
    assert opened["payload"] == {"batch": "pairs-0001", "questions": len(questions)}
    assert [one["version"] for one in versions(review)] == ["by-schedule-v0001"]

    # A build is at work and has fetched its answers; the people's come after that.
    at_work = flows.start("build", state=TOMORROW)
    flows.set_state(at_work, "PENDING")
    flows.set_state(at_work, "RUNNING")
    same = {pair for pair in questions.values() if review.is_same(pair)}
    assert same
    for key, task in review.tasks().items():
        review.answer(task, "same" if questions[key] in same else "different")
    flows.deploy("review")
    wait_for(lambda: prefect_server.events(COMPLETED, resource), f"the end ({worker.log})", 180)

    def triggered() -> dict[str, dict[str, Any]]:
        return {run: one for run, one in flows.runs("build").items() if run not in (first, at_work)}

    wait_for(
        lambda: [run["state_name"] for run in triggered().values()] == ["AwaitingConcurrencySlot"],
        "the release to wait for the build that is at work",
        120,
    )
    assert len(versions(review)) == 1
    flows.set_state(at_work, "COMPLETED")
    ((release, run),) = triggered().items()
    assert run["created_by"]["type"] == "AUTOMATION"
    wait_for(lambda: is_done(release), f"the release (see {worker.log})", 180)

    before, after = versions(review)
    assert after["version"] == "by-schedule-v0002"
    gone = set(before["identities"]) - set(after["identities"])
    assert len(gone) == len(same)
    assert all(len(gone & set(pair)) == 1 for pair in same)
    kept = {name: before["identities"][name] for name in after["identities"]}
    assert after["identities"] == kept
    wait_for(lambda: len(prefect_server.events(RELEASED, resource)) == 2, "the second release", 60)

    # Later pulls find the batch closed: it is told of once, and asks for one release.
    pulls = len(flows.runs("review"))
    wait_for(lambda: len(flows.runs("review")) > pulls + 1, "two more pulls", 90)
    (completed,) = prefect_server.events(COMPLETED, resource)
    assert completed["payload"] == {"batch": "pairs-0001", "decisions": len(questions)}
    assert len(triggered()) == 1
    assert [
        one["state_name"] for one in flows.runs("review").values() if one["state_type"] in BAD
    ] == [], worker.log.read_text()
