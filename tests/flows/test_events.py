"""Events on a real server, without a server, and with one that is gone."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.events import (
    REVIEW_COMPLETED,
    REVIEW_OPENED,
    VERSION_RELEASED,
    emit_released,
    emit_review_completed,
    emit_review_opened,
)

MANIFEST = "/somewhere/versions/people-v0001/manifest.json"


def wait_for_events(
    server: Any, resource_id: str, name: str = VERSION_RELEASED
) -> list[dict[str, Any]]:
    end = time.monotonic() + 60
    while not (found := server.events(name, resource_id)):
        assert time.monotonic() < end, f"no event about {resource_id}"
        time.sleep(0.25)
    return found


def test_the_server_has_the_event_as_the_contract_says(prefect_server: Any) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_server.api}):
        assert emit_released("told", "people-v0001", MANIFEST) is True

    (event,) = wait_for_events(prefect_server, "facedata.told")
    assert event["event"] == "facedata.version.released"
    assert event["resource"]["prefect.resource.id"] == "facedata.told"
    assert event["payload"] == {"version": "people-v0001", "manifest": MANIFEST}
    assert event["related"] == []


def test_the_server_has_what_a_review_tells(prefect_server: Any) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_server.api}):
        assert emit_review_opened("reviewed-events", "pairs-0001", 500) is True
        assert emit_review_completed("reviewed-events", "pairs-0001", 498) is True

    (opened,) = wait_for_events(prefect_server, "facedata.reviewed-events", REVIEW_OPENED)
    assert opened["event"] == "facedata.review.opened"
    assert opened["resource"]["prefect.resource.name"] == "reviewed-events"
    assert opened["payload"] == {"batch": "pairs-0001", "questions": 500}
    (completed,) = wait_for_events(prefect_server, "facedata.reviewed-events", REVIEW_COMPLETED)
    assert completed["event"] == "facedata.review.completed"
    assert completed["payload"] == {"batch": "pairs-0001", "decisions": 498}


def test_an_event_of_a_flow_run_names_the_run_and_survives_the_process_end(
    prefect_server: Any,
) -> None:
    program = (
        "import os\n"
        "from prefect import flow\n"
        "from flows.events import emit_released\n"
        "@flow\n"
        "def ship():\n"
        "    print(emit_released('inflow', 'inflow-v0002', 'm.json'), flush=True)\n"
        "    os._exit(0)\n"
        "ship()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=prefect_server.environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    (event,) = wait_for_events(prefect_server, "facedata.inflow")
    (run,) = event["related"]
    assert run["prefect.resource.role"] == "flow-run"
    assert run["prefect.resource.id"].startswith("prefect.flow-run.")


def test_without_a_server_nothing_is_sent_and_none_is_started() -> None:
    started = time.monotonic()

    assert emit_released("people", "people-v0001", MANIFEST) is False

    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("emit", "start", "end"),
    [
        (
            partial(emit_released, "people", "people-v0001", MANIFEST),
            "facedata.version.released of people-v0001 was not sent: ",
            "; the version itself is complete",
        ),
        (
            partial(emit_review_opened, "people", "pairs-0001", 500),
            "facedata.review.opened of pairs-0001 was not sent: ",
            "; the batch itself is open",
        ),
        (
            partial(emit_review_completed, "people", "pairs-0001", 498),
            "facedata.review.completed of pairs-0001 was not sent: ",
            "; its decisions are recorded",
        ),
    ],
)
def test_a_server_that_is_gone_costs_a_warning(
    emit: Callable[[], bool], start: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("prefect.winnow.events")
    logger.addHandler(caplog.handler)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        assert emit() is False
    logger.removeHandler(caplog.handler)

    (message,) = {record.getMessage() for record in caplog.records}
    assert message.startswith(start)
    assert message.endswith(end)
