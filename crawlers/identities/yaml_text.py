"""YAML as mappings, lists and texts, with the line of each mapping and without guessed types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

_MAX_DEPTH = 8
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

YamlValue: TypeAlias = "str | list[YamlValue] | YamlMapping"


@dataclass(frozen=True, slots=True)
class YamlMapping:
    """A mapping, and the line it begins in, counted from 1."""

    line: int
    values: dict[str, YamlValue]


def read_yaml_text(text: str) -> YamlValue:
    """Return a YAML document with every scalar as the text it is written as, null as ``""``.

    Nesting is limited and references (``*name``) are refused, so that a small file stays small.

    Raises:
        yaml.YAMLError: when it is not YAML.
        ValueError: when it is nested too deeply, has references or several documents, or one
            mapping has a key twice.
    """
    events = yaml.parse(text, Loader=yaml.CSafeLoader)
    for event in events:
        if isinstance(event, yaml.StreamEndEvent):
            return ""
        if isinstance(event, yaml.DocumentStartEvent):
            break
    value = _value(next(events), events, 0)
    after = [type(event) for event in events]
    if after != [yaml.DocumentEndEvent, yaml.StreamEndEvent]:
        raise ValueError("several documents; write one")
    return value


def _value(event: Any, events: Iterator[Any], depth: int) -> YamlValue:
    line = event.start_mark.line + 1
    if depth > _MAX_DEPTH:
        raise ValueError(f"line {line}: nested more than {_MAX_DEPTH} deep")
    if isinstance(event, yaml.ScalarEvent):
        plain = event.implicit[0]
        return "" if plain and event.value in _NULLS else str(event.value)
    if isinstance(event, yaml.SequenceStartEvent):
        return list(_items(events, yaml.SequenceEndEvent, depth))
    if isinstance(event, yaml.MappingStartEvent):
        return YamlMapping(line, _mapping(events, depth))
    raise ValueError(f"line {line}: a reference (*); write the value out")


def _items(events: Iterator[Any], end: type, depth: int) -> Iterator[YamlValue]:
    for event in events:
        if isinstance(event, end):
            return
        yield _value(event, events, depth + 1)


def _mapping(events: Iterator[Any], depth: int) -> dict[str, YamlValue]:
    values: dict[str, YamlValue] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        line = event.start_mark.line + 1
        key = _value(event, events, depth + 1)
        if not isinstance(key, str) or key in values:
            raise ValueError(f"line {line}: key {key!r} is there twice, or is no text"[:200])
        values[key] = _value(next(events), events, depth + 1)
    return values
