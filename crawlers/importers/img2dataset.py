"""Import of what img2dataset left: tars or folders of images, each with a table of addresses.

Its output is ``00000.tar`` (format ``webdataset``) or a folder ``00000`` (format ``files``) beside
``00000.parquet``, which has a row per address, also of those that were never fetched.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from crawlers.identity_name import shown
from crawlers.importers.facts import PROVENANCE_KEYS, identity_in, provenance_in
from crawlers.importers.listing import (
    MAX_IMAGE_BYTES,
    Import,
    ImportFile,
    LeftOut,
    find_files,
    opened,
    short_names,
    state_of,
)
from crawlers.importers.parquet_file import opened_parquet
from crawlers.importers.webdataset import IMAGE_SUFFIXES, Tar, list_tar
from facedata.errors import SourceError
from facedata.location import is_remote
from facedata.records import ImageRecord

_SUCCESS = "success"
_DEFAULT_IDENTITY = ("identity", "caption")
_MAX_ROWS = 1_000_000
"""Most addresses in one table; img2dataset itself writes 10,000."""

Facts = dict[str, dict[str, Any]]
"""Key of a sample → what the table says of it."""


def find_img2dataset(path: str, identity: str | None) -> list[ImportFile]:
    """The tables that a folder holds, each with its images.

    Raises:
        SourceError: when there is none, or one has no images beside it.
    """
    tables = find_files(path, ".parquet")
    columns = (identity,) if identity else _DEFAULT_IDENTITY
    return [
        _import_file(table, name.removesuffix(".parquet"), columns)
        for table, name in zip(tables, short_names(tables), strict=True)
    ]


def _import_file(table: str, name: str, columns: tuple[str, ...]) -> ImportFile:
    beside = table.removesuffix(".parquet")
    settings = {"kind": "img2dataset", "version": 1, "name": name, "identity": columns}
    if not is_remote(beside) and Path(beside).is_dir():
        files = _image_files(Path(beside))
        return ImportFile(
            location=table,
            state=f"{state_of(table)}-{_state_of_folder(files)}",
            settings=settings,
            list_rows=partial(_list_folder, table, files, name, columns),
        )
    tar = f"{beside}.tar"
    return ImportFile(
        location=table,
        state=state_of(table, tar),
        settings=settings,
        list_rows=partial(_list_tar, table, tar, name, columns),
    )


def _list_tar(
    table: str,
    tar: str,
    name: str,
    columns: tuple[str, ...],
    given: Import,
    _copy: BinaryIO | None,
) -> Iterator[ImageRecord]:
    facts = _read_table(table, columns, given)
    order = tuple(f"json.{column}" for column in columns)
    yield from list_tar(Tar(file=tar, name=f"{name}.tar", identity=order, facts=facts), given)


def _list_folder(
    table: str,
    files: list[os.DirEntry[str]],
    name: str,
    columns: tuple[str, ...],
    given: Import,
    _copy: BinaryIO | None,
) -> Iterator[ImageRecord]:
    facts = _read_table(table, columns, given)
    for entry in files:
        own = facts.get(Path(entry.name).stem, {})
        identity = _identity_of(own, columns, given, entry.name)
        if identity is None:
            continue
        with opened(entry.path) as stream:
            data = stream.read(MAX_IMAGE_BYTES + 1)
        if len(data) > MAX_IMAGE_BYTES:
            given.notes.leave_out(LeftOut.TOO_LARGE, entry.name)
            continue
        yield ImageRecord(
            image_id=hashlib.sha256(data).hexdigest(),
            source=given.source,
            source_uri=f"{name}/{entry.name}",
            claimed_identity=identity,
            location=entry.path,
            size_bytes=len(data),
            **provenance_in(own),
        )


def _identity_of(
    facts: Mapping[str, Any], columns: tuple[str, ...], given: Import, where: str
) -> str | None:
    for column in columns:
        if (value := facts.get(column)) not in (None, ""):
            return given.identity(partial(identity_in, value, given.classes), where)
    given.notes.leave_out(LeftOut.NO_IDENTITY, f"{where} has none of {', '.join(columns)}")
    return None


def _image_files(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        images = [
            entry
            for entry in entries
            if entry.name.rpartition(".")[2].lower() in IMAGE_SUFFIXES
            and entry.is_file(follow_symlinks=False)
        ]
    return sorted(images, key=lambda entry: entry.name)


def _state_of_folder(files: list[os.DirEntry[str]]) -> str:
    digest = hashlib.sha256()
    for entry in files:
        facts = entry.stat(follow_symlinks=False)
        digest.update(repr((entry.path, facts.st_size, facts.st_mtime_ns)).encode())
    return digest.hexdigest()


def _read_table(file: str, columns: tuple[str, ...], given: Import) -> Facts:
    """Read the facts about fetched addresses, and count those that were not."""
    facts: Facts = {}
    for row in _rows(file, columns):
        if row.get("status", _SUCCESS) != _SUCCESS:
            given.notes.leave_out(LeftOut.NOT_FETCHED, shown(str(row.get("url"))))
        else:
            facts[str(row.pop("key"))] = row
    return facts


def _rows(file: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    with opened_parquet(file) as table:
        known = set(table.schema_arrow.names)
        if "key" not in known or not known & set(columns):
            raise SourceError(
                f"{shown(file)}: columns are {sorted(known)}; needed: key and one of "
                f"{', '.join(columns)}"
            )
        if table.metadata.num_rows > _MAX_ROWS:
            raise SourceError(
                f"{shown(file)}: {table.metadata.num_rows} rows; at most {_MAX_ROWS} are read, "
                "write smaller shards"
            )
        wanted = known & {"key", "status", *PROVENANCE_KEYS, *columns}
        rows: list[dict[str, Any]] = table.read(sorted(wanted), use_threads=False).to_pylist()
        return rows
