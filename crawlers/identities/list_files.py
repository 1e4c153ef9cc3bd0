"""The files that a list of people may be in, as rows of text: CSV, YAML and Parquet.

All values are text here, whatever the format makes of them: an id ``007`` keeps its zeros, and a
person called ``No`` is not the value false.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import yaml

from crawlers.identities.yaml_text import YamlMapping, read_yaml_text
from crawlers.identity_name import shown
from crawlers.importers.parquet_file import opened_parquet
from facedata.errors import SourceError

ALIASES_SEPARATOR = "|"
_MAX_ROWS = 10_000_000
_MAX_BYTES = 1 << 30
# YAML is read some fifty times slower than CSV.
_MAX_YAML_BYTES = 32 << 20
_YAML_KEYS = ("author", "purpose", "people")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry: ``place`` says where it is in the file; every column has a text."""

    place: str
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFile:
    """The content of a file; ``sha256`` in hex is of its bytes."""

    rows: Sequence[Row]
    columns: Sequence[str]
    sha256: str
    author: str | None = None
    purpose: str | None = None


def read_list_file(path: Path) -> ListFile:
    """Read a file in the format that its name ends with.

    Raises:
        SourceError: when it is missing, too large, of another format, or not of its form.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise SourceError(
            f"identity list {path} ends in {suffix or 'nothing'!r}; "
            f"give one of {', '.join(_READERS)}"
        )
    limit, reader = _READERS[suffix]
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, io.SEEK_END)
            if size > limit:
                raise SourceError(
                    f"identity list {path} has {size} bytes; at most {limit} are read of a "
                    f"{suffix} file: split it, or write it in another format"
                )
            stream.seek(0)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            return reader(stream, path, sha256)
    except OSError as error:
        raise SourceError(
            f"identity list {path} cannot be read ({error.strerror}); check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"identity list {path} is not UTF-8; save it as UTF-8 {suffix[1:].upper()}"
        ) from error


def _read_csv(stream: IO[bytes], path: Path, sha256: str) -> ListFile:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        reader = csv.DictReader(text, strict=True)
        header = [name.strip() for name in reader.fieldnames or []]
        if len(set(header)) < len(header):
            raise SourceError(
                f"identity list {path} has two columns of one name: {header}; rename one"
            )
        reader.fieldnames = header
        rows = []
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if None in cells:
                raise SourceError(
                    f"{place}: more cells than the header has columns; quote the commas"
                )
            # A short row leaves its last columns without a text.
            texts = {name: (cell or "").strip() for name, cell in cells.items()}
            rows.append(Row(place=place, cells=texts))
            _check_count(len(rows), path)
    except csv.Error as error:
        raise SourceError(f"identity list {path} is not a CSV file: {error}") from error
    return ListFile(rows=rows, columns=header, sha256=sha256)


def _read_yaml(stream: IO[bytes], path: Path, sha256: str) -> ListFile:
    try:
        content = read_yaml_text(stream.read().decode("utf-8-sig"))
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise
        problem = " ".join(str(error).split())
        raise SourceError(f"identity list {path} is not valid YAML: {problem}") from error
    entries = content.values.get("people") if isinstance(content, YamlMapping) else None
    if not isinstance(content, YamlMapping) or not isinstance(entries, list):
        raise SourceError(
            f"identity list {path} has no list under the key 'people'; "
            f"its keys are {', '.join(_YAML_KEYS)}"
        )
    if unknown := sorted(content.values.keys() - set(_YAML_KEYS)):
        raise SourceError(
            f"identity list {path} has the unknown key {unknown[0]!r}; "
            f"allowed: {', '.join(_YAML_KEYS)}"
        )
    if not entries:
        raise SourceError(
            f"identity list {path} has nobody under the key 'people'; list the people"
        )
    _check_count(len(entries), path)
    given = [_yaml_cells(entry, path) for entry in entries]
    columns = list(dict.fromkeys(name for _, cells in given for name in cells))
    return ListFile(
        rows=[
            Row(place=place, cells={name: cells.get(name, "") for name in columns})
            for place, cells in given
        ],
        columns=columns,
        sha256=sha256,
        author=_yaml_text(content.values.get("author", ""), "author", str(path)),
        purpose=_yaml_text(content.values.get("purpose", ""), "purpose", str(path)),
    )


def _yaml_cells(entry: Any, path: Path) -> tuple[str, dict[str, str]]:
    if not isinstance(entry, YamlMapping):
        raise SourceError(
            f"identity list {path}: people has {shown(str(entry))}, which is no mapping; "
            "write it as - identity: …"
        )
    place = f"{path}:{entry.line}"
    cells = {}
    for name, value in entry.values.items():
        if name == "aliases" and isinstance(value, list):
            cells[name] = _joined(value, place)
        else:
            cells[name] = _yaml_text(value, name, place).strip()
    return place, cells


def _yaml_text(value: Any, key: str, place: str) -> str:
    if not isinstance(value, str):
        raise SourceError(f"{place}: {key} is no plain text; write one value")
    return value


def _joined(aliases: Sequence[Any], place: str) -> str:
    for alias in aliases:
        if not isinstance(alias, str) or ALIASES_SEPARATOR in alias:
            raise SourceError(
                f"{place}: alias {shown(str(alias))} is no name; give each as text without "
                f"{ALIASES_SEPARATOR}"
            )
    return ALIASES_SEPARATOR.join(aliases)


def _read_parquet(_: IO[bytes], path: Path, sha256: str) -> ListFile:
    with opened_parquet(str(path)) as parquet:
        _check_count(parquet.metadata.num_rows, path)
        schema = parquet.schema_arrow
        if len(set(schema.names)) < len(schema.names):
            raise SourceError(
                f"identity list {path} has two columns of one name: {schema.names}; rename one"
            )
        table = parquet.read()
    texts = {
        name: _parquet_texts(table.column(name), name, path)
        for name in schema.names
        if not name.startswith("__index_level_")
    }
    metadata = schema.metadata or {}
    return ListFile(
        rows=[
            Row(place=f"{path} row {number}", cells=dict(zip(texts, cells, strict=True)))
            for number, cells in enumerate(zip(*texts.values(), strict=True), start=1)
        ],
        columns=list(texts),
        sha256=sha256,
        author=metadata.get(b"author", b"").decode("utf-8"),
        purpose=metadata.get(b"purpose", b"").decode("utf-8"),
    )


def _parquet_texts(column: pa.ChunkedArray, name: str, path: Path) -> list[str]:
    """A column's values as text; whole numbers that pandas made floating ones lose their ``.0``."""
    kind = column.type
    if name == "aliases" and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        values = column.to_pylist()
        return [
            _joined(aliases or (), f"{path} row {row}") for row, aliases in enumerate(values, 1)
        ]
    if pa.types.is_floating(kind):
        return [_number_text(value) for value in column.to_pylist()]
    try:
        return [(text or "").strip() for text in column.cast(pa.string()).to_pylist()]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceError(
            f"identity list {path}: column {name!r} holds {kind}, which is no text; "
            "write it as text or leave it out"
        ) from error


def _number_text(value: float | None) -> str:
    if value is None or value != value:
        return ""
    return str(int(value)) if value.is_integer() else repr(value)


def _check_count(rows: int, path: Path) -> None:
    if rows > _MAX_ROWS:
        raise SourceError(
            f"identity list {path} has more than {_MAX_ROWS} rows; split it into several sources"
        )


_READERS: dict[str, tuple[int, Callable[[IO[bytes], Path, str], ListFile]]] = {
    ".csv": (_MAX_BYTES, _read_csv),
    ".yaml": (_MAX_YAML_BYTES, _read_yaml),
    ".yml": (_MAX_YAML_BYTES, _read_yaml),
    ".parquet": (_MAX_BYTES, _read_parquet),
}
"""What a file may end with → most bytes, and how it is read."""
