"""A version as a RecordIO training set in insightface's layout, written without MXNet.

``train.rec`` holds records numbered from 0: record 0 says where the images end and the people
begin, then come the images person by person, then one record per person with the numbers of their
images. ``train.idx`` says where each record begins, ``train.lst`` lists the images, ``property``
is ``<classes>,112,112``, and ``identities.csv`` says who the labels are.
Sources: dmlc-core ``include/dmlc/recordio.h``; MXNet ``recordio.pack``; insightface ``face2rec2``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cleaning.export.released import Person, ReleasedVersion
from cleaning.export.whole_folder import IDENTITIES, whole_folder, write_identities
from facedata.errors import IntegrityError, RequestError

CROP_SIZE = 112
_MAGIC = 0xCED7230A
_FRAME = struct.Struct("<II")
_IMAGE_HEADER = struct.Struct("<IfQQ")
_WORD = 4
_LENGTH_BITS = 29
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_MOST_RECORDS = 1 << 24
"""Numbers of records are stored as float32, which tells whole numbers apart up to here."""


def frame(data: bytes) -> bytes:
    """One record as it stands in the file: in parts where data look like a record's beginning.

    Raises:
        IntegrityError: when the data are longer than a record can be.
    """
    if len(data) >> _LENGTH_BITS:
        raise IntegrityError(
            f"a record of {len(data)} bytes; at most {(1 << _LENGTH_BITS) - 1} fit"
        )
    words = np.frombuffer(data, dtype="<u4", count=len(data) // _WORD)
    cuts = [int(index) * _WORD for index in np.flatnonzero(words == _MAGIC)]
    starts, ends = [0, *(cut + _WORD for cut in cuts)], [*cuts, len(data)]
    kinds = [_FIRST, *[_MIDDLE] * (len(cuts) - 1), _LAST] if cuts else [_WHOLE]
    framed = bytearray()
    for kind, start, end in zip(kinds, starts, ends, strict=True):
        framed += _FRAME.pack(_MAGIC, kind << _LENGTH_BITS | end - start)
        framed += data[start:end] + bytes((start - end) % _WORD)
    return bytes(framed)


def image_record(number: int, label: int, image: bytes) -> bytes:
    """The data of an image's record."""
    return _IMAGE_HEADER.pack(0, label, number, 0) + image


def range_record(number: int, first: int, end: int) -> bytes:
    """The data of a record without an image that names the records from ``first`` to ``end``."""
    return _IMAGE_HEADER.pack(2, 0.0, number, 0) + struct.pack("<ff", first, end)


@dataclass(slots=True)
class _Writer:
    """Appends records to a ``.rec`` and their places to its ``.idx``."""

    rec: BinaryIO
    idx: BinaryIO
    offset: int = field(default=0)

    def write(self, number: int, data: bytes) -> None:
        framed = frame(data)
        self.rec.write(framed)
        self.idx.write(f"{number}\t{self.offset}\n".encode())
        self.offset += len(framed)


def export_recordio(version: ReleasedVersion, to: Path) -> dict[str, int]:
    """Write a version as a RecordIO set in a new folder and count what it holds.

    Labels are 0 to n - 1 in order of class index; an image keeps its bytes. The same version
    gives the same bytes.

    Raises:
        RequestError: when the folder is there already, or the version has too many images.
        IntegrityError, StorageError: when a shard is damaged or cannot be read, or the folder
            cannot be written.
    """
    records = 1 + len(version) + len(version.people)
    if records > _MOST_RECORDS:
        raise RequestError(
            f"version {version.version}: {records} records, and insightface's layout numbers "
            f"{_MOST_RECORDS}; export it as folders, or train from its shards"
        )
    with whole_folder(to) as folder:
        _write_set(version, folder)
        classes = len(version.people)
        (folder / "property").write_text(f"{classes},{CROP_SIZE},{CROP_SIZE}\n", "ascii")
        labelled = ((str(person.label), person) for person in version.people)
        write_identities(folder / IDENTITIES, "label", labelled)
    return {"images": len(version), "identities": len(version.people), "records": records}


def _write_set(version: ReleasedVersion, folder: Path) -> None:
    first_person = 1 + len(version)
    with (
        (folder / "train.rec").open("wb") as rec,
        (folder / "train.idx").open("wb") as idx,
        (folder / "train.lst").open("wb") as lst,
    ):
        writer = _Writer(rec, idx)
        writer.write(0, range_record(0, first_person, first_person + len(version.people)))
        for number, (person, image) in enumerate(version.images(), start=1):
            writer.write(number, image_record(number, person.label, image.data))
            name = f"{person.label}/{image.key}.{image.suffix}"
            lst.write(f"1\t{name}\t{person.label}\n".encode())
        _write_people(writer, version.people, first_person)


def _write_people(writer: _Writer, people: Sequence[Person], number: int) -> None:
    first = 1
    for person in people:
        writer.write(number, range_record(number, first, first + person.images))
        number += 1
        first += person.images
