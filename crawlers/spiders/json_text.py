"""JSON from the web: any bytes, read with bounds."""

from __future__ import annotations

import json
from typing import Any

from crawlers.spiders.links import one_line


class NotJsonError(ValueError):
    """The bytes are no JSON; the message says why."""


def parse_json(text: bytes | str) -> Any:
    """Parse JSON.

    Raises:
        NotJsonError: when it is none, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise NotJsonError(f"not JSON: {one_line(error)}") from error
    except RecursionError as error:
        raise NotJsonError("not JSON that can be read: nested too deeply") from error


def text_in(value: Any, limit: int = 2000) -> str | None:
    """Return a JSON string or number as one line of text, ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return one_line(value, limit) or None
