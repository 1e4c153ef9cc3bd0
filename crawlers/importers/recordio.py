"""Import of insightface's training sets: ``train.rec`` with ``train.idx``, read without MXNet.

A record is MXNet's image header (flag, label, two numbers; a flag above 0 counts labels that
follow it) and an encoded image, whose first label is its class. In insightface's layout record 0
holds no image but how far the images go, and behind them one record per class says which images
are its own. Other image records, such as those of ``im2rec``, are read the same way.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np

from crawlers.importers.listing import (
    Import,
    ImportFile,
    LeftOut,
    find_files,
    opened,
    short_names,
    state_of,
)
from crawlers.importers.record_file import BrokenFrame, Frame, cut_front, read_frames
from crawlers.importers.record_index import RecordIndex, read_index
from facedata.errors import SourceError
from facedata.location import range_location
from facedata.records import ImageRecord

_HEADER = struct.Struct("<IfQQ")
_LABEL_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """MXNet's image header: how many labels follow it, the labels, the record's own number."""

    flag: int
    labels: tuple[float, ...]
    number: int
    size: int
    """Bytes before the image."""


def parse_header(data: bytes) -> ImageHeader | None:
    """Read the header at the front of a record's data; None when they are too short for it."""
    if len(data) < _HEADER.size:
        return None
    flag, label, number, _ = _HEADER.unpack_from(data)
    size = _HEADER.size + _LABEL_BYTES * flag
    if len(data) < size:
        return None
    labels = np.frombuffer(data, dtype="<f4", count=flag, offset=_HEADER.size) if flag else (label,)
    return ImageHeader(
        flag=flag, labels=tuple(float(value) for value in labels[:2]), number=number, size=size
    )


def find_recordio(pattern: str) -> list[ImportFile]:
    """The ``.rec`` files that a source names.

    Raises:
        SourceError: when there is none, or one is missing.
    """
    files = find_files(pattern, ".rec")
    return [_import_file(file, name) for file, name in zip(files, short_names(files), strict=True)]


def index_of(file: str) -> str | None:
    """Where the ``.idx`` of a ``.rec`` lies, or None when there is none."""
    index = f"{file.removesuffix('.rec')}.idx"
    try:
        state_of(index)
    except SourceError:
        return None
    return index


def _import_file(file: str, name: str) -> ImportFile:
    index = index_of(file)
    return ImportFile(
        location=file,
        state=state_of(file, *([index] if index else [])),
        settings={"kind": "recordio", "version": 1, "name": name},
        list_rows=partial(_list_rows, file, name, index),
    )


def _list_rows(
    file: str, name: str, index: str | None, given: Import, _copy: BinaryIO | None
) -> Iterator[ImageRecord]:
    with opened(file) as stream:
        size = stream.seek(0, 2)
        entries = read_index(index, size) if index else None
        listing = _Listing(file=file, name=name, given=given, index=entries)
        try:
            for frame in read_frames(stream, size):
                if isinstance(frame, Frame):
                    yield from listing.rows_of(frame)
                else:
                    listing.note_broken(frame)
        except SourceError as error:
            raise SourceError(f"{file}: {error}") from error
    listing.note_missing()


@dataclass(slots=True)
class _Listing:
    """One file being listed; ``images_end`` is the first number that is no image's."""

    file: str
    name: str
    given: Import
    index: RecordIndex | None
    images_end: float = field(default=0.0)

    def rows_of(self, frame: Frame) -> Iterator[ImageRecord]:
        """The row of a record; none when it is no image."""
        header = parse_header(frame.data)
        if header is None:
            problem = f"{len(frame.data)} bytes are no image record"
            self.note_broken(BrokenFrame(offset=frame.offset, problem=problem))
            return
        key = header.number
        if self.index is not None:
            listed = self.index.take(frame.offset)
            key = header.number if listed is None else listed
        image = memoryview(frame.data)[header.size :]
        if self._is_range(header, key, len(image)):
            return
        label = header.labels[0]
        where = f"record {key}"
        if not (math.isfinite(label) and label >= 0 and label == int(label)):
            self.given.notes.leave_out(LeftOut.NO_IDENTITY, f"{where}: label {label}")
            return
        identity = self.given.identity(partial(self.given.classes.of_number, int(label)), where)
        if identity is not None:
            yield ImageRecord(
                image_id=hashlib.sha256(image).hexdigest(),
                source=self.given.source,
                source_uri=f"{self.name}/{key}",
                claimed_identity=identity,
                location=range_location(cut_front(frame.ranges, header.size), self.file),
                size_bytes=len(image),
            )

    def _is_range(self, header: ImageHeader, key: int, image_bytes: int) -> bool:
        """Whether a record says which others belong together, as insightface's record 0 does."""
        if image_bytes or header.flag != 2:
            return False
        if key == 0:
            self.images_end = header.labels[0]
        return not 0 < key < self.images_end

    def note_broken(self, frame: BrokenFrame) -> None:
        """Count a place that is no record, so that the index's missing records leave it out."""
        why = LeftOut.TOO_LARGE if frame.too_large else LeftOut.DAMAGED
        number = self.index.take(frame.offset) if self.index else None
        where = f"byte {frame.offset}" if number is None else f"record {number}"
        self.given.notes.leave_out(why, f"{where}: {frame.problem}")

    def note_missing(self) -> None:
        """Count the records that the index lists and that were not found."""
        missing, first = self.index.missing() if self.index else (0, None)
        if missing:
            what = f"record {first}, which {PurePosixPath(self.name).stem}.idx lists"
            self.given.notes.leave_out(LeftOut.DAMAGED, what, missing)


def count_recordio(pattern: str) -> dict[str, int]:
    """What a source holds at a glance: files, bytes, and records where there is an index."""
    counts = {"files": 0, "bytes": 0, "records": 0}
    for file in find_files(pattern, ".rec"):
        with opened(file) as stream:
            size = stream.seek(0, 2)
        index = index_of(file)
        counts["files"] += 1
        counts["bytes"] += size
        counts["records"] += len(read_index(index, size)) if index else 0
    return counts if counts["records"] else dict(list(counts.items())[:2])
