"""Checks of ``winnow doctor``: the servers that a build may talk to, Prefect and Label Studio."""

from __future__ import annotations

import os

import httpx

from cleaning.review.label_studio import connect
from cleaning.review.label_studio_connection import TOKEN_VARIABLE
from facedata.errors import RequestError, ReviewError
from facedata.options import ReviewOptions
from flows.doctor_check import Check

_PREFECT_TIMEOUT_SECONDS = 3.0
_REVIEW_PATIENCE_SECONDS = 2.0
_ADDRESS_VARIABLE = "LABEL_STUDIO_URL"
"""Where the review server is, when it is not at the recipe's default: a recipe is not read here."""


def check_servers() -> list[Check]:
    """The servers that are in use here: Label Studio only where there is a token for it."""
    checks = [_prefect()]
    if token := os.environ.get(TOKEN_VARIABLE):
        address = os.environ.get(_ADDRESS_VARIABLE) or ReviewOptions().url
        checks.append(_label_studio(address, token))
    return checks


def _prefect() -> Check:
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is None:
        return Check(
            name="Prefect",
            status="ok",
            detail="no server configured; builds run without one, schedules and events need one",
        )
    try:
        httpx.get(f"{url}/health", timeout=_PREFECT_TIMEOUT_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        return Check(
            name="Prefect",
            status="fail",
            detail=f"no answer from {url}: {error}",
            remedy="start it (prefect server start), or unset PREFECT_API_URL to build without it",
        )
    return Check(name="Prefect", status="ok", detail=f"server at {url}")


def _label_studio(url: str, token: str) -> Check:
    """Whether the review server is there and lets us in."""
    try:
        server = connect(url, token, patience=_REVIEW_PATIENCE_SECONDS)
        release, account = server.version(), server.account()
    except (RequestError, ReviewError) as error:
        return Check(
            name="Label Studio",
            status="fail",
            detail=str(error),
            remedy=f"{_ADDRESS_VARIABLE} says where it is; unset {TOKEN_VARIABLE} to build "
            "without a review server",
        )
    detail = f"{release} at {url}, as {account}"
    return Check(name="Label Studio", status="ok", detail=detail)
