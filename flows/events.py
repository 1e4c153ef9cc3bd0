"""Events that Winnow tells a Prefect server, for automations and other systems to act on.

The only module that knows how an event is sent; the names are those of the project's contract.
Every event has the resource id ``facedata.<name>``, the data set's name; inside a flow run it is
related to that run.

Nothing is sent unless an API is configured (``PREFECT_API_URL``, a profile): the temporary server
that Prefect starts for a run without one has nobody to tell. A call returns when the server has
the event, so a process that ends right afterwards loses nothing. A server that cannot be reached
costs a warning in the log, never the work: the workspace is the truth, the event only news of it.
"""

from __future__ import annotations

from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.events import Event, RelatedResource, Resource
from prefect.logging import get_logger
from prefect.runtime import flow_run
from prefect.settings import get_current_settings

VERSION_RELEASED = "facedata.version.released"
REVIEW_OPENED = "facedata.review.opened"
REVIEW_COMPLETED = "facedata.review.completed"
MODEL_PROMOTED = "facedata.model.promoted"

_TIMEOUT_SECONDS = 10.0


def emit_released(name: str, version: str, manifest: str) -> bool:
    """Tell the Prefect server that a version was released.

    The payload is ``version`` and ``manifest`` (the manifest's path or URL).

    Returns:
        Whether a server has the event.
    """
    event = _event(VERSION_RELEASED, name, {"version": version, "manifest": manifest})
    return _send(event, version, "the version itself is complete")


def emit_review_opened(name: str, batch: str, questions: int) -> bool:
    """Tell the Prefect server that a batch waits for answers.

    The payload is ``batch`` (its name) and ``questions`` (how many it has).

    Returns:
        Whether a server has the event.
    """
    event = _event(REVIEW_OPENED, name, {"batch": batch, "questions": questions})
    return _send(event, batch, "the batch itself is open")


def emit_review_completed(name: str, batch: str, decisions: int) -> bool:
    """Tell the Prefect server that a batch is answered.

    The payload is ``batch`` (its name) and ``decisions`` (how many came of it).

    Returns:
        Whether a server has the event.
    """
    event = _event(REVIEW_COMPLETED, name, {"batch": batch, "decisions": decisions})
    return _send(event, batch, "its decisions are recorded")


def emit_model_promoted(name: str, model: str, version: str, metrics: dict[str, Any]) -> bool:
    """Tell the Prefect server that a model is the data set's current one.

    The payload is ``model``, the ``version`` that it was trained on, and the ``metrics`` by which
    it was promoted.

    Returns:
        Whether a server has the event.
    """
    payload = {"model": model, "version": version, "metrics": metrics}
    return _send(_event(MODEL_PROMOTED, name, payload), model, "the model itself is promoted")


def _event(kind: str, name: str, payload: dict[str, Any]) -> Event:
    return Event(
        event=kind,
        resource=Resource(
            {"prefect.resource.id": f"facedata.{name}", "prefect.resource.name": name}
        ),
        related=_run_resources(),
        payload=payload,
    )


def _run_resources() -> list[RelatedResource]:
    if not flow_run.id:
        return []
    return [
        RelatedResource(
            {
                "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
                "prefect.resource.role": "flow-run",
                "prefect.resource.name": flow_run.name or "",
            }
        )
    ]


def _send(event: Event, subject: str, still_true: str) -> bool:
    """Post one event and wait for the answer; a failure is told with what holds all the same.

    ``prefect.events.emit_event`` only queues an event; whether it ever arrives cannot be known,
    and without a server it starts one.
    """
    if get_current_settings().api.url is None:
        return False
    try:
        with get_client(httpx_settings={"timeout": _TIMEOUT_SECONDS}, sync_client=True) as client:
            body = [event.model_dump(mode="json")]
            client.request("POST", "/events", json=body).raise_for_status()
    except (httpx.HTTPError, RuntimeError) as error:
        # RuntimeError is the client's "failed to reach API" and "incompatible versions".
        get_logger("winnow.events").warning(
            "%s of %s was not sent: %s; %s", event.event, subject, error, still_true
        )
        return False
    return True
