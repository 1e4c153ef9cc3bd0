"""Append-only logs: frozen dataclasses as JSON lines, one row each, checked when read back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import MISSING, Field, asdict, fields
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from facedata.errors import IntegrityError


class Row(Protocol):
    """A frozen dataclass of text, numbers and tuples of text."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


T = TypeVar("T", bound=Row)


def to_lines(rows: Iterable[Row]) -> bytes:
    """Write rows as JSON lines, ready to be appended to a log."""
    lines = [json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) for row in rows]
    return "".join(line + "\n" for line in lines).encode()


def from_lines(row_type: type[T], data: bytes, origin: str) -> list[T]:
    """Read a log, oldest row first; fields that have a default may be absent from old rows.

    Raises:
        IntegrityError: when a line is not such a row; ``origin`` and the line's number are named.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise IntegrityError(_bad_line(origin, number, "is not UTF-8")) from error
    adapter = TypeAdapter(row_type)
    # Not splitlines(): a name may hold one of the rarer Unicode line separators.
    return [
        _row(row_type, adapter, line, f"{origin} line {number}")
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def _row(row_type: type[T], adapter: TypeAdapter[T], line: str, where: str) -> T:
    known = {field.name for field in fields(row_type)}
    needed = {
        field.name
        for field in fields(row_type)
        if field.default is MISSING and field.default_factory is MISSING
    }
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise IntegrityError(_bad(where, f"is not JSON ({error})")) from error
    if not isinstance(row, dict) or not needed <= set(row) <= known:
        raise IntegrityError(_bad(where, f"does not have the fields {sorted(known)}"))
    try:
        return adapter.validate_python(row, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise IntegrityError(_bad(where, f"has a wrong {key}: {first['msg']}")) from error


def _bad_line(origin: str, number: int, problem: str) -> str:
    return _bad(f"{origin} line {number}", problem)


def _bad(where: str, problem: str) -> str:
    return f"{where} {problem}; restore the line from a copy of the log"
