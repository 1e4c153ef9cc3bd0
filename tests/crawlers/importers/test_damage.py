"""Whatever happens to a set's bytes: listing ends, and what it lists can be read."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaning.export.recordio import frame, image_record, range_record
from crawlers.importers.class_names import ClassNames
from crawlers.importers.listing import Import, ImportFile
from crawlers.importers.recordio import find_recordio
from crawlers.importers.webdataset import find_webdataset
from facedata.errors import SourceError
from facedata.location import read_location

IMAGES = 5


def record_set() -> bytes:
    images = [image_record(n, n // 2, b"image %d" % n * n) for n in range(1, IMAGES + 1)]
    ranges = [range_record(IMAGES + 1, 1, 3), range_record(IMAGES + 2, 3, 6)]
    return b"".join(map(frame, [range_record(0, IMAGES + 1, IMAGES + 3), *images, *ranges]))


def tar_set() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for number in range(IMAGES):
            for suffix, data in (("jpg", b"image %d" % number), ("cls", b"1")):
                member = tarfile.TarInfo(f"{'long/' * 30 * (number % 2)}{number}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


SETS: dict[str, tuple[bytes, Callable[[str], list[ImportFile]]]] = {
    "rec": (record_set(), find_recordio),
    "tar": (tar_set(), lambda pattern: find_webdataset(pattern, None)),
}
CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=12),
            st.sampled_from([2**31, 2**29 - 1, 2**32 - 1, 0]).map(struct.Struct("<I").pack),
            st.just(b"77777777777\0"),
        ),
    ),
    max_size=4,
)


@pytest.mark.parametrize("kind", list(SETS))
@settings(max_examples=150, deadline=None)
@given(changes=CHANGES, cut=st.floats(0, 1))
def test_any_damage(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    changes: list[tuple[float, bytes]],
    cut: float,
) -> None:
    whole, find = SETS[kind]
    data = bytearray(whole)
    for place, wrong in changes:
        start = int(place * len(data))
        data[start : start + len(wrong)] = wrong
    path: Path = tmp_path_factory.mktemp("damaged") / f"set.{kind}"
    path.write_bytes(data[: int((0.3 + cut) * len(data))])
    shared = Import(source="s", classes=ClassNames(source="s"))
    [file] = find(str(path))
    try:
        rows = list(file.list_rows(shared, None))
    except SourceError:
        return
    for row in rows:
        content = read_location(row.location)
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (row.image_id, row.size_bytes)
    if not changes and cut >= 0.7:
        assert (len(rows), shared.notes.counts) == (IMAGES, {})
