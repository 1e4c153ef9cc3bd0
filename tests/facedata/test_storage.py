"""Storage: whole files or none, inside the root only, clear errors."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from facedata.errors import IntegrityError, StorageError, WorkspaceError
from facedata.records import LedgerRow
from facedata.storage import Storage


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


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """URL of an empty bucket on a real S3 server that refuses strangers.

    Servers of one process share their buckets: this name is used nowhere else.
    """
    s3fs = pytest.importorskip("s3fs")
    moto_server = pytest.importorskip("moto.server")
    with pytest.MonkeyPatch.context() as environment:
        server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        server.start()
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            environment.setenv(name, value)
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("storage-tests")
        yield "s3://storage-tests"
        server.stop()
        # A later test with another server must not get a file system that knows this one.
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("name", ["1.jpg", "Zoë 张 #1?.jpg", '100% "it\'s" a+b&c=d.jpg', "%41.jpg"])
def test_a_signed_address_gives_a_stranger_the_file(name: str, bucket: str) -> None:
    storage = Storage(f"{bucket}/the work")
    storage.write(f"crops/{name}", b"photo")
    address = httpx.URL(storage.sign(f"crops/{name}", 90))
    assert httpx.get(address).raise_for_status().content == b"photo"
    assert httpx.get(address.copy_with(query=None)).status_code == 403


def test_a_signed_address_is_for_so_long_and_of_the_kind_that_every_bucket_takes(
    bucket: str,
) -> None:
    parameters = httpx.URL(Storage(bucket).sign("1.jpg", 90)).params
    assert parameters["X-Amz-Expires"] == "90"
    assert parameters["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"


def test_a_storage_that_cannot_sign_says_so(storage: Storage) -> None:
    with pytest.raises(WorkspaceError) as caught:
        storage.sign("crops/1.jpg", 90)
    kind = "file" if storage.is_local else "memory"
    assert str(caught.value) == (
        f"cannot sign an address of {storage.url('crops/1.jpg')}: {kind} storage has none; put "
        "the workspace on an object store such as s3://, or serve its files another way"
    )
    with pytest.raises(StorageError, match="use a path below it"):
        storage.sign("../up", 90)


def test_an_object_store_without_credentials_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    storage = Storage("s3://bucket/set")
    for verb, act in (
        ("read", lambda: storage.read("a")),
        ("write", lambda: storage.write("a", b"")),
        ("sign an address of", lambda: storage.sign("a", 60)),
    ):
        with pytest.raises(WorkspaceError) as caught:
            act()
        assert str(caught.value) == (
            f"cannot {verb} s3://bucket/set/a: no credentials for the store; set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("503", "503, message='Service Unavailable'"),
        ("cut", "Response payload is not completed"),
        ("404", "it is not there"),
    ],
)
def test_a_server_that_fails_is_one_clear_line(
    fault: str, problem: str, file_server: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    storage = Storage(file_server.url)
    for verb, act in (
        ("read", lambda: storage.read("a.bin")),
        ("read", lambda: list(storage.chunks("a.bin", 10))),
        ("measure", lambda: storage.size("a.bin")),
    ):
        if (fault, verb) == ("cut", "measure"):
            continue
        file_server.faults = [fault, fault]
        with pytest.raises(StorageError) as caught:
            act()
        assert str(caught.value).startswith(f"cannot {verb} {file_server.url}/a.bin: {problem}")
        assert "\n" not in str(caught.value)


def test_a_server_that_fails_is_no_missing_file(file_server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    storage = Storage(file_server.url)
    assert storage.exists("a.bin")
    assert not storage.exists("b.bin")
    file_server.faults = ["503"]
    with pytest.raises(StorageError, match=r"cannot look up .*503"):
        storage.exists("a.bin")


def test_a_server_that_is_gone_is_one_clear_line(file_server: Any) -> None:
    file_server.stop()
    with pytest.raises(StorageError, match=r"cannot read http.*/a\.bin: Cannot connect to host"):
        Storage(file_server.url).read("a.bin")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_large_file_comes_in_pieces(
    ranges: bool, file_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facedata.storage._PIECE", 4)
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    file_server.ranges = ranges
    for root in (tmp_path, file_server.url):
        pieces = list(Storage(root).chunks("a.bin", 10))
        assert b"".join(pieces) == b"0123456789"
    assert pieces == ([b"0123", b"4567", b"89"] if ranges else [b"0123456789"])
    assert len(file_server.asked) == len(pieces)


def test_an_object_store_that_is_gone_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    s3fs = pytest.importorskip("s3fs")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for name, value in {
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageError, match=r"cannot read s3://sets/a: Could not connect to the"):
        Storage("s3://sets").read("a")
    s3fs.S3FileSystem.clear_instance_cache()
