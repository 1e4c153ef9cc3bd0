"""Events that Winnow tells a Prefect server, for automations and other systems to act on.

The only module that knows how an event is sent; the names are those of the project's contract.
"""

from __future__ import annotations

import httpx
from prefect.client.orchestration import get_client
from prefect.events import Event, RelatedResource, Resource
from prefect.logging import get_logger
from prefect.runtime import flow_run
from prefect.settings import get_current_settings

VERSION_RELEASED = "facedata.version.released"

_TIMEOUT_SECONDS = 10.0


def emit_released(name: str, version: str, manifest: str) -> bool:
    """Tell the Prefect server that a version was released.

    The event has the resource id ``facedata.<name>`` and the payload ``version`` and ``manifest``
    (the manifest's path or URL); inside a flow run it is related to that run.

    Nothing is sent unless an API is configured (``PREFECT_API_URL``, a profile): the temporary
    server that Prefect starts for a run without one has nobody to tell. The call returns when
    the server has the event, so a process that ends right afterwards loses nothing. A server
    that cannot be reached costs a warning in the log, never the release: the manifest is the
    truth, the event only news of it.

    Returns:
        Whether a server has the event.
    """
    event = Event(
        event=VERSION_RELEASED,
        resource=Resource(
            {"prefect.resource.id": f"facedata.{name}", "prefect.resource.name": name}
        ),
        related=_run_resources(),
        payload={"version": version, "manifest": manifest},
    )
    return _send(event)


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


def _send(event: Event) -> bool:
    """Post one event and wait for the answer.

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
            "%s of %s was not sent: %s; the version itself is complete",
            event.event,
            event.payload["version"],
            error,
        )
        return False
    return True
