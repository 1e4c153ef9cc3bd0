"""RecordIO sets: an independent reader, and MXNet itself where there is one, find what is in them.

The reader here works the other way round than the importer: it takes the whole file as words and
finds records by their first word, which the format keeps out of all data. MXNet 1.9.1 runs in an
environment of its own (with numpy 1.23.5), of which ``WINNOW_MXNET`` names the Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest

from cleaning.export import recordio
from cleaning.export.recordio import export_recordio, frame, range_record
from cleaning.export.released import ReleasedVersion
from crawlers.importers.class_names import ClassNames, load_class_names
from crawlers.importers.listing import Import
from crawlers.importers.recordio import find_recordio
from facedata.errors import IntegrityError, RequestError
from facedata.location import read_location
from facedata.records import ImageRecord
from facedata.storage import Storage
from facedata.versions import read_manifest

PEOPLE = {"Zoë O’Malley": (7, 3), "Li Wei": (2, 1), "..": (4, 2)}
"""Class indices with gaps, as later versions have them."""

Release = Callable[..., Path]
Read = tuple[tuple[float, ...], bytes]


def open_version(workspace: Path) -> ReleasedVersion:
    storage = Storage(workspace)
    return ReleasedVersion(storage, read_manifest(storage, "set-v0001"))


def read_by_words(rec: Path) -> dict[int, Read]:
    """Number of record → its labels and image."""
    data = rec.read_bytes()
    words = np.frombuffer(data, "<u4")
    starts = np.flatnonzero(words == 0xCED7230A).tolist()
    records: list[bytes] = []
    for start in starts:
        kind, length = words[start + 1] >> 29, words[start + 1] & (2**29 - 1)
        part = data[start * 4 + 8 : start * 4 + 8 + int(length)]
        if kind in (0, 1):
            records.append(part)
        else:
            records[-1] += b"\x0a\x23\xd7\xce" + part
    found = {}
    for content in records:
        flag, label, number, _ = struct.unpack("<IfQQ", content[:24])
        labels = struct.unpack(f"<{flag}f", content[24 : 24 + 4 * flag]) if flag else (label,)
        found[number] = (labels, content[24 + 4 * flag :])
    return found


MXNET_READER = """
import json, sys
import mxnet as mx
path = sys.argv[1]
reader = mx.recordio.MXIndexedRecordIO(path + "/train.idx", path + "/train.rec", "r")
found = {}
for key in reader.keys:
    header, image = mx.recordio.unpack(reader.read_idx(key))
    labels = [header.label] if isinstance(header.label, float) else header.label.tolist()
    found[key] = [labels, image.hex()]
    if image:
        assert mx.image.imdecode(image).shape == (112, 112, 3)
print(json.dumps(found))
"""
MXNET_WRITER = """
import json, sys
import mxnet as mx
path, records = sys.argv[1], json.load(sys.stdin)
writer = mx.recordio.MXIndexedRecordIO(path + "/train.idx", path + "/train.rec", "w")
for number, labels, image in records:
    label = labels[0] if len(labels) == 1 else labels
    header = mx.recordio.IRHeader(0, label, number, 0)
    writer.write_idx(number, mx.recordio.pack(header, bytes.fromhex(image)))
writer.close()
"""


@pytest.fixture(scope="module")
def mxnet() -> Callable[..., str]:
    """Runs a program in MXNet's own environment."""
    python = os.environ.get("WINNOW_MXNET", "")
    if not python:
        pytest.skip(
            "WINNOW_MXNET is not set: make an environment with mxnet==1.9.1 and numpy==1.23.5 "
            "and name its python"
        )

    def run(program: str, *arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [python, "-W", "ignore", "-c", program, *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def read_by_mxnet(rec: Path, run: Callable[..., str]) -> dict[int, Read]:
    found = json.loads(run(MXNET_READER, str(rec.parent)))
    return {int(n): (tuple(labels), bytes.fromhex(image)) for n, (labels, image) in found.items()}


def imported(rec: Path, classes: ClassNames) -> list[ImageRecord]:
    given = Import(source="back", classes=classes)
    [file] = find_recordio(str(rec))
    rows = list(file.list_rows(given, None))
    assert not given.notes.counts
    return rows


def check_set(found: dict[int, Read], version: ReleasedVersion) -> None:
    """The set is what insightface's training code expects, with the version's very bytes."""
    assert sorted(found) == list(range(10))
    assert found[0] == ((7.0, 10.0), b"")
    assert [found[n][0] for n in (7, 8, 9)] == [(1.0, 2.0), (2.0, 4.0), (4.0, 7.0)]
    assert [found[n][0] for n in range(1, 7)] == [(0.0,), (1.0,), (1.0,), (2.0,), (2.0,), (2.0,)]
    assert [found[n][1] for n in range(1, 7)] == [image.data for _, image in version.images()]


@pytest.mark.parametrize("image_format", ["png", "jpg"])
def test_written_read_independently_and_back(
    released: Release, tmp_path: Path, image_format: str
) -> None:
    version = open_version(released(PEOPLE, image_format))
    assert export_recordio(version, tmp_path / "out") == {
        "images": 6,
        "identities": 3,
        "records": 10,
    }
    found = read_by_words(tmp_path / "out/train.rec")
    check_set(found, version)

    names = load_class_names(tmp_path / "out/identities.csv", "back")
    rows = imported(tmp_path / "out/train.rec", names)
    assert [read_location(row.location) for row in rows] == [
        image.data for _, image in version.images()
    ]
    assert [row.claimed_identity for row in rows] == [
        person.identity for person, _ in version.images()
    ]


def test_mxnet_reads_what_is_written(
    released: Release, tmp_path: Path, mxnet: Callable[..., str]
) -> None:
    version = open_version(released(PEOPLE, "jpg"))
    export_recordio(version, tmp_path / "out")
    check_set(read_by_mxnet(tmp_path / "out/train.rec", mxnet), version)


def test_what_mxnet_writes_is_imported(tmp_path: Path, mxnet: Callable[..., str]) -> None:
    """Also images in which MXNet's own word stands, at each distance from its place."""
    word = struct.pack("<I", 0xCED7230A)
    images = [b"x" * before + word * 3 + b"y" * before for before in range(9)]
    records = [
        (0, [10.0, 11.0], ""),
        *((n, [n % 2, 1.0], i.hex()) for n, i in enumerate(images, 1)),
    ]
    mxnet(MXNET_WRITER, str(tmp_path), given=json.dumps([*records, (10, [1.0, 10.0], "")]))
    rows = imported(tmp_path / "train.rec", ClassNames(source="ms"))
    assert [read_location(row.location) for row in rows] == images
    assert [row.image_id for row in rows] == [hashlib.sha256(i).hexdigest() for i in images]
    assert [row.claimed_identity for row in rows] == [f"ms:{n % 2}" for n in range(1, 10)]
    # And the frames are the same, byte for byte.
    pieces = [
        struct.pack("<IfQQ", 2, 0.0, n, 0) + struct.pack("<2f", *labels) + bytes.fromhex(image)
        for n, labels, image in [*records, (10, [1.0, 10.0], "")]
    ]
    assert (tmp_path / "train.rec").read_bytes() == b"".join(map(frame, pieces))


def test_the_files_beside_it(released: Release, tmp_path: Path) -> None:
    version = open_version(released(PEOPLE))
    export_recordio(version, tmp_path / "out")
    out = tmp_path / "out"
    assert (out / "property").read_text() == "3,112,112\n"
    assert (out / "identities.csv").read_text("utf-8") == (
        "label,identity,class_index,images\n0,Li Wei,2,1\n1,..,4,2\n2,Zoë O’Malley,7,3\n"
    )
    lines = (out / "train.lst").read_text().splitlines()
    assert [line.split("\t")[2] for line in lines] == ["0", "1", "1", "2", "2", "2"]
    assert lines[0].split("\t")[:2] == ["1", f"0/{next(version.images())[1].key}.png"]
    offsets = [line.split("\t") for line in (out / "train.idx").read_text().splitlines()]
    assert [int(number) for number, _ in offsets] == list(range(10))
    data = (out / "train.rec").read_bytes()
    assert {data[int(offset) : int(offset) + 4] for _, offset in offsets} == {b"\x0a\x23\xd7\xce"}


def test_the_same_version_gives_the_same_bytes(released: Release, tmp_path: Path) -> None:
    version = open_version(released(PEOPLE))
    for name in ("one", "two"):
        export_recordio(version, tmp_path / name)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one == two
    assert sorted(one) == ["identities.csv", "property", "train.idx", "train.lst", "train.rec"]


def test_a_version_on_an_object_store(released: Release, tmp_path: Path) -> None:
    workspace = released(PEOPLE)
    memory = fsspec.filesystem("memory")
    memory.put(str(workspace / "versions"), f"/{workspace.name}/versions", recursive=True)
    storage = Storage(f"memory://{workspace.name}")
    far = ReleasedVersion(storage, read_manifest(storage, "set-v0001"))
    export_recordio(far, tmp_path / "far")
    export_recordio(open_version(workspace), tmp_path / "near")
    for path in (tmp_path / "near").iterdir():
        assert path.read_bytes() == (tmp_path / "far" / path.name).read_bytes()


def test_nothing_is_left_of_an_export_that_failed(released: Release, tmp_path: Path) -> None:
    workspace = released(PEOPLE)
    version = open_version(workspace)
    shard = workspace / "versions/set-v0001/shards/train-000002.tar"
    shard.unlink()
    with pytest.raises(Exception, match=r"train-000002\.tar: cannot be read"):
        export_recordio(version, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_shard_is_refused_before_anything_is_written(released: Release) -> None:
    workspace = released(PEOPLE)
    shard = workspace / "versions/set-v0001/shards/train-000001.tar"
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"train-000001\.tar: content is not what"):
        open_version(workspace)


def test_a_folder_that_is_there_is_left_alone(released: Release, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(RequestError, match="is there already; give --to a folder that is not"):
        export_recordio(open_version(released(PEOPLE)), tmp_path / "out")
    assert (tmp_path / "out/mine.txt").read_text() == "mine"


def test_more_records_than_float32_numbers_are_refused(
    released: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordio, "_MOST_RECORDS", 9)
    with pytest.raises(RequestError, match="10 records, and insightface's layout numbers 9"):
        export_recordio(open_version(released(PEOPLE)), tmp_path / "out")


def test_a_record_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordio, "_LENGTH_BITS", 4)
    assert len(frame(b"x" * 15)) == 24
    with pytest.raises(IntegrityError, match="a record of 16 bytes; at most 15 fit"):
        frame(b"x" * 16)


def test_the_largest_number_is_exact() -> None:
    largest = (1 << 24) - 1
    assert struct.unpack("<ff", range_record(0, 1, largest)[24:]) == (1.0, largest)
