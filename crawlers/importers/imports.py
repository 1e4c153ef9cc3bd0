"""Importers of existing sets: which one reads a source, and its rows, listed once per file.

Listing reads every byte, for the digests. What a file gave is stored under the file's state, so a
listing that was stopped goes on at the file it had reached, and the next build lists only files
that changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from crawlers.importers.class_names import ClassNames, load_class_names
from crawlers.importers.img2dataset import find_img2dataset
from crawlers.importers.listing import Import, ImportFile
from crawlers.importers.pair_set import find_pair_sets
from crawlers.importers.parquet_set import COPY, Columns, count_parquet, find_parquet
from crawlers.importers.recordio import count_recordio, find_recordio
from crawlers.importers.webdataset import find_webdataset
from facedata.errors import IntegrityError
from facedata.records import ImageRecord, to_parquet
from facedata.sources import ExcludedSource, Source
from facedata.stages import StageOutput, StageResult, run_stage, stage_key
from facedata.storage import Storage

STAGE = "import"
STAGE_VERSION = 2
ROWS = "rows.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One file's images, and what was left out of it: cause → count, and a line for each."""

    rows: list[ImageRecord]
    left_out: dict[str, int]
    warnings: list[str]


def _recordio(source: Source) -> list[ImportFile]:
    return find_recordio(source.recordio.path) if source.recordio else []


def _webdataset(source: Source) -> list[ImportFile]:
    given = source.webdataset
    return find_webdataset(given.urls, given.identity) if given else []


def _img2dataset(source: Source) -> list[ImportFile]:
    given = source.img2dataset
    return find_img2dataset(given.path, given.identity) if given else []


def _parquet(source: Source) -> list[ImportFile]:
    given = source.parquet
    return find_parquet(given.path, Columns(image=given.image, label=given.label)) if given else []


def _bin(source: Source) -> list[ImportFile]:
    given = source.bin if isinstance(source, ExcludedSource) else None
    return find_pair_sets(given.path) if given else []


IMPORTERS: dict[str, Callable[[Source], list[ImportFile]]] = {
    "recordio": _recordio,
    "webdataset": _webdataset,
    "img2dataset": _img2dataset,
    "parquet": _parquet,
    "bin": _bin,
}
"""Kind of source → the files of one."""


def list_import(storage: Storage, name: str, source: Source) -> Iterator[Listed]:
    """List a source of one of ``IMPORTERS``, file by file.

    Raises:
        SourceError: when a file is missing, or not of the format.
        StorageError, WorkspaceError: when a listing cannot be stored.
    """
    classes = class_names(name, source)
    for file in IMPORTERS[source.kind](source):
        yield _listed(storage, file, classes)


def class_names(name: str, source: Source) -> ClassNames:
    """The names of a source's classes: from the file that the recipe names, or none.

    Raises:
        SourceError: when that file is not usable.
    """
    path: str | None = getattr(getattr(source, source.kind), "names", None)
    return load_class_names(Path(path), name) if path else ClassNames(source=name)


def count_import(source: Source) -> dict[str, int]:
    """What a source holds at a glance, without listing it.

    Raises:
        SourceError: when a file is missing, or not of the format.
    """
    if source.recordio is not None:
        return count_recordio(source.recordio.path)
    if source.parquet is not None:
        columns = Columns(image=source.parquet.image, label=source.parquet.label)
        return count_parquet(source.parquet.path, columns)
    return {"files": len(IMPORTERS[source.kind](source))}


def _listed(storage: Storage, file: ImportFile, classes: ClassNames) -> Listed:
    names = sorted(classes.names.items())
    settings = {**file.settings, "source": classes.source, "names": names}
    key = stage_key(STAGE, STAGE_VERSION, settings, {"state": file.state})
    result = run_stage(storage, STAGE, key, lambda: _list(storage, key, file, classes))
    return Listed(
        rows=_placed(storage, result, file),
        left_out=dict(result.facts["left_out"]),
        warnings=list(result.facts["warnings"]),
    )


def _list(storage: Storage, key: str, file: ImportFile, classes: ClassNames) -> StageOutput:
    given = Import(source=classes.source, classes=classes)
    if file.copies:
        with storage.open_write(_copy_path(key)) as stream:
            rows = list(file.list_rows(given, stream))
    else:
        rows = list(file.list_rows(given, None))
    notes = given.notes
    return StageOutput(
        files={ROWS: to_parquet(ImageRecord, rows)},
        counts={"images": len(rows)},
        facts={"left_out": dict(notes.counts), "warnings": notes.lines(file.location)},
    )


def _placed(storage: Storage, result: StageResult, file: ImportFile) -> list[ImageRecord]:
    """The rows with the copy's place: a workspace may have moved since they were listed."""
    rows = storage.read_records(result.path(ROWS), ImageRecord)
    if not file.copies:
        return rows
    if not storage.exists(_copy_path(result.key)):
        raise IntegrityError(
            f"{storage.url(result.folder)}: {COPY} is missing; remove the folder and run again"
        )
    place = storage.url(_copy_path(result.key))
    return [replace(row, location=row.location.removesuffix(COPY) + place) for row in rows]


def _copy_path(key: str) -> str:
    return f"stages/{STAGE}/{key}/{COPY}"
