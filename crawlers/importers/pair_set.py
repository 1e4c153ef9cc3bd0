"""Import of insightface's ``.bin`` sets of pairs; for sets to be excluded, since nobody has a name.

The two images of a pair that shows one person are one identity, and every other image is one by
itself: all that such a set says about who is who.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from crawlers.identity_name import shown
from crawlers.importers.listing import Import, ImportFile, find_files, short_names, state_of
from crawlers.importers.parquet_set import COPY, append_image
from facedata.errors import SourceError
from facedata.location import ByteRange, is_remote, path_of, range_location
from facedata.pair_file import read_pairs
from facedata.records import ImageRecord


def find_pair_sets(pattern: str) -> list[ImportFile]:
    """The ``.bin`` files that a source names.

    Raises:
        SourceError: when there is none, one is missing, or it is not on a local disk.
    """
    files = find_files(pattern, ".bin")
    remote = next((file for file in files if is_remote(file)), None)
    if remote is not None:
        raise SourceError(f"{shown(remote)}: sets of pairs are read whole; copy it to a local disk")
    return [
        ImportFile(
            location=file,
            state=state_of(file),
            settings={"kind": "bin", "version": 1, "name": name},
            list_rows=partial(_list_rows, file, name),
            copies=True,
        )
        for file, name in zip(files, short_names(files), strict=True)
    ]


def _list_rows(file: str, name: str, given: Import, copy: BinaryIO | None) -> Iterator[ImageRecord]:
    if copy is None:
        raise SourceError(f"{file}: its images need a copy; this is a defect")
    pairs = read_pairs(path_of(file))
    offset = 0
    for number, data in enumerate(pairs.images):
        person = number - number % 2 if pairs.same[number // 2] else number
        place = ByteRange(offset=offset, length=append_image(copy, data))
        offset += place.length
        yield ImageRecord(
            image_id=hashlib.sha256(data).hexdigest(),
            source=given.source,
            source_uri=f"{name}/{number}",
            claimed_identity=f"{given.source}:{name}/{person}",
            location=range_location([place], COPY),
            size_bytes=len(data),
        )
