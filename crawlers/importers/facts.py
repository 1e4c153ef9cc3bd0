"""What a set says about an image beside it: whom it shows, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crawlers.identity_name import normalise_identity
from crawlers.importers.class_names import ClassNames
from facedata.errors import SourceError

_LONGEST = 8192
_COLUMNS = {
    "url": ("url",),
    "page_url": ("page_url",),
    "licence": ("licence", "license"),
    "fetched_at": ("fetched_at",),
}
PROVENANCE_KEYS = tuple(key for keys in _COLUMNS.values() for key in keys)
"""Names under which a set may say where an image came from."""


def json_facts(text: bytes) -> dict[str, Any]:
    """The values of a JSON object; nothing when the text is not one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def provenance_in(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an ``ImageRecord`` that say where an image came from, as far as known."""
    found = {}
    for column, keys in _COLUMNS.items():
        values = (facts.get(key) for key in keys)
        text = next((value for value in values if isinstance(value, str) and value), None)
        if text is not None and len(text) <= _LONGEST:
            found[column] = text.encode("utf-8", "replace").decode()
    return found


def identity_in(value: Any, classes: ClassNames, *, numeric: bool = False) -> str:
    """The identity that a value names: a class number, or the name itself.

    With ``numeric`` a text of digits is a class number too.

    Raises:
        SourceError: when it can be neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise SourceError(f"{type(value).__name__} {str(value)[:80]!r} is no identity")
    if isinstance(value, int):
        return classes.of_number(value)
    return classes.of_text(value) if numeric else normalise_identity(value, where=classes.source)
