"""Storage: whole files or none, inside the root only, clear errors."""

import os
import subprocess
from pathlib import Path

import pytest

from facedata.errors import IntegrityError, StorageError, WorkspaceError
from facedata.records import LedgerRow
from facedata.storage import Storage, read_location


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return Storage(tmp_path / "work")
    return Storage(f"memory://{tmp_path}")


def row(**changes: object) -> LedgerRow:
    values = {
        "image_id": "ab" * 32,
        "source": "folder",
        "source_uri": "a/1.jpg",
        "claimed_identity": "Zoë",
        "identity": None,
        "outcome": "dropped",
        "reason": "no_face",
        "face_id": None,
        "det_score": None,
        "similarity": None,
    }
    return LedgerRow(**{**values, **changes})  # type: ignore[arg-type]


def test_bytes_come_back(storage: Storage) -> None:
    storage.write("a/b/c.bin", b"one")
    storage.write("a/b/c.bin", b"two")
    assert storage.read("a/b/c.bin") == b"two"
    assert storage.size("a/b/c.bin") == 3
    assert storage.names("a") == ["b"]
    assert storage.names("a/b") == ["c.bin"]
    assert storage.names("nothing/here") == []
    storage.remove("a")
    assert not storage.exists("a/b/c.bin")


def test_records_come_back(storage: Storage) -> None:
    rows = [row(), row(image_id="cd" * 32, identity="Zoë", similarity=0.5)]
    storage.write_records("ledger.parquet", LedgerRow, rows)
    assert storage.read_records("ledger.parquet", LedgerRow) == rows


def write_torn(storage: Storage, path: str) -> None:
    with storage.open_write(path) as stream:
        stream.write(b"1")
        raise IntegrityError("the data behind it is damaged")


def test_a_stream_that_fails_leaves_no_file(storage: Storage) -> None:
    with storage.open_write("a/whole.tar") as stream:
        stream.write(b"12")
    assert storage.read("a/whole.tar") == b"12"
    with pytest.raises(IntegrityError):
        write_torn(storage, "a/torn.tar")
    if storage.is_local:
        assert storage.names("a") == ["whole.tar"]


def test_bytes_are_appended(storage: Storage) -> None:
    storage.append("log/x.jsonl", b"1\n")
    storage.append("log/x.jsonl", b"2\n")
    assert storage.read("log/x.jsonl") == b"1\n2\n"


@pytest.mark.parametrize("path", ["../up", "a/../../up", "/etc/passwd", "a\\b", "nul\0"])
def test_no_path_leaves_the_root(storage: Storage, path: str) -> None:
    with pytest.raises(StorageError, match="use a path below it"):
        storage.write(path, b"")


def test_a_torn_parquet_file_is_named(storage: Storage) -> None:
    storage.write("ledger.parquet", b"PAR1 torn")
    with pytest.raises(IntegrityError, match=r"ledger.parquet: not a whole Parquet file"):
        storage.read_records("ledger.parquet", LedgerRow)


def test_a_missing_file_is_named(storage: Storage) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*none.bin"):
        storage.read("none.bin")


def test_a_file_in_the_way_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file")
    with pytest.raises(WorkspaceError, match="choose a workspace you may write to"):
        Storage(tmp_path / "work").write("a", b"x")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=False
    )
    if mount.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        storage = Storage(tmp_path)
        storage.write("small.bin", b"x")
        with pytest.raises(StorageError, match="the disk is full; free space and run again"):
            storage.write("big.bin", b"x" * 1_000_000)
        assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["small.bin"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only disk needs root")
def test_a_read_only_disk_is_a_wrong_workspace(tmp_path: Path) -> None:
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)], check=False
    )
    if mount.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(WorkspaceError, match="choose a workspace you may write to"):
            Storage(tmp_path).write("a.bin", b"x")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("name", [b"plain.jpg", b"a::b #1 %41.jpg", b"caf\xe9.jpg"])
def test_a_location_is_read_whatever_its_name(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"photo")
    text = str(path)
    location = text if text.isprintable() and text.isascii() else path.as_uri()
    assert read_location(location) == b"photo"


def test_a_missing_location_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none.jpg: cannot be read"):
        read_location(str(tmp_path / "none.jpg"))
