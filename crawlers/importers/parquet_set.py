"""Import of Hugging Face data sets as Parquet: a column of images, and one of labels.

An image is a struct of ``bytes`` and ``path``, or plain bytes. In a Parquet file it is compressed
together with its neighbours and has no place of its own, so the bytes are copied once into one
file of the workspace, and rows say where in that they begin. Names of classes are in the file's
``huggingface`` metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from crawlers.identity_name import shown
from crawlers.importers.facts import PROVENANCE_KEYS, identity_in, provenance_in
from crawlers.importers.listing import (
    MAX_IMAGE_BYTES,
    Import,
    ImportFile,
    LeftOut,
    find_files,
    short_names,
    state_of,
)
from crawlers.importers.parquet_file import opened_parquet
from facedata.errors import SourceError, StorageError
from facedata.location import ByteRange, range_location
from facedata.records import ImageRecord

COPY = "images.pack"
"""Name of the copy in locations, until it is known where it lies."""
_BATCH_ROWS = 16
_MAX_COLUMN_BYTES = 8 << 30
"""Largest column of images in one row group, by the file's own account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of the columns that hold images and labels."""

    image: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A Parquet file: where it lies, what rows call it, and its columns."""

    location: str
    name: str
    columns: Columns


def find_parquet(pattern: str, columns: Columns) -> list[ImportFile]:
    """The Parquet files that a source names.

    Raises:
        SourceError: when there is none, or one is missing.
    """
    files = find_files(pattern, ".parquet")
    return [
        ImportFile(
            location=file,
            state=state_of(file),
            settings={
                "kind": "parquet",
                "version": 1,
                "name": name,
                "columns": [columns.image, columns.label],
            },
            list_rows=partial(_list_rows, _File(location=file, name=name, columns=columns)),
            copies=True,
        )
        for file, name in zip(files, short_names(files), strict=True)
    ]


def _list_rows(file: _File, given: Import, copy: BinaryIO | None) -> Iterator[ImageRecord]:
    if copy is None:
        raise SourceError(f"{file.location}: its images need a copy; this is a defect")
    with opened_parquet(file.location) as table:
        yield from _read_rows(file, table, given, copy)


def _read_rows(
    file: _File, table: pq.ParquetFile, given: Import, copy: BinaryIO
) -> Iterator[ImageRecord]:
    wanted = _checked_columns(table, file)
    names = _class_names(table.schema_arrow, file.columns.label)
    if names and not given.classes.names:
        given = replace(given, classes=replace(given.classes, names=names))
    number, offset = 0, 0
    for batch in table.iter_batches(_BATCH_ROWS, columns=wanted, use_threads=False):
        for row in batch.to_pylist():
            record = _row(file, number, row, given)
            number += 1
            if record is None:
                continue
            data = _image_bytes(row[file.columns.image]) or b""
            place = ByteRange(offset=offset, length=append_image(copy, data))
            offset += place.length
            yield replace(record, location=range_location([place], COPY))


def append_image(copy: BinaryIO, data: bytes) -> int:
    """Append an image to the copy that a listing makes; returns its length in bytes."""
    try:
        return copy.write(data)
    except OSError as error:
        raise StorageError(
            f"the copy of the images cannot be written ({error.strerror or error}); "
            "free space and run again"
        ) from error


def _row(file: _File, number: int, row: dict[str, Any], given: Import) -> ImageRecord | None:
    """The record of a row, without its location; None, noted, when it is left out."""
    where = f"row {number}"
    data = _image_bytes(row[file.columns.image])
    if data is None:
        given.notes.leave_out(LeftOut.NO_IMAGE, f"{where} has no bytes")
        return None
    if len(data) > MAX_IMAGE_BYTES:
        given.notes.leave_out(LeftOut.TOO_LARGE, f"{where} has {len(data)} bytes")
        return None
    label = row[file.columns.label]
    identity = given.identity(partial(identity_in, label, given.classes), where)
    if identity is None:
        return None
    return ImageRecord(
        image_id=hashlib.sha256(data).hexdigest(),
        source=given.source,
        source_uri=f"{file.name}/{number}",
        claimed_identity=identity,
        location="",
        size_bytes=len(data),
        **provenance_in(row),
    )


def _image_bytes(value: Any) -> bytes | None:
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else None


def _checked_columns(table: pq.ParquetFile, file: _File) -> list[str]:
    """The columns to be read, after checking that they are there and what they hold."""
    schema, columns = table.schema_arrow, file.columns
    for key, name in (("image", columns.image), ("label", columns.label)):
        if schema.names.count(name) != 1:
            raise SourceError(
                f"{shown(file.location)}: no column {name!r}; set {key} to one of "
                f"{', '.join(schema.names[:20])}"
            )
    if not _holds_images(schema.field(columns.image).type):
        raise SourceError(
            f"{shown(file.location)}: column {columns.image!r} is "
            f"{schema.field(columns.image).type}; an image is bytes, or a struct with bytes"
        )
    for group in range(table.metadata.num_row_groups):
        size = table.metadata.row_group(group).total_byte_size
        if not 0 <= size <= _MAX_COLUMN_BYTES:
            raise SourceError(
                f"{shown(file.location)}: row group {group} has {size} bytes, more than "
                f"{_MAX_COLUMN_BYTES}; write it in smaller row groups"
            )
    also = [name for name in schema.names if name in PROVENANCE_KEYS]
    return list(dict.fromkeys([columns.image, columns.label, *also]))


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_images(kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: pa.Schema, label: str) -> dict[int, str]:
    """The names that the Hugging Face metadata give to the classes of a column."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = metadata["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(names, list):
        return {}
    return {index: name for index, name in enumerate(names) if isinstance(name, str) and name}


def count_parquet(pattern: str, columns: Columns) -> dict[str, int]:
    """What a source holds at a glance: files and images.

    Raises:
        SourceError: when one is no Parquet file, or has not these columns.
    """
    counts = {"files": 0, "images": 0}
    for location in find_files(pattern, ".parquet"):
        with opened_parquet(location) as table:
            _checked_columns(table, _File(location=location, name=location, columns=columns))
            counts["images"] += table.metadata.num_rows
        counts["files"] += 1
    return counts
