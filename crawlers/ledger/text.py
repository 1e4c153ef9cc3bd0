"""Text as a database can hold it."""

from __future__ import annotations


def storable(row: tuple[object, ...]) -> tuple[object, ...]:
    """Return a row in which half surrogate pairs, which are no text, are written as escapes."""
    for value in row:
        if isinstance(value, str) and not value.isascii():
            return tuple(_escaped(value) for value in row)
    return row


def _escaped(value: object) -> object:
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
