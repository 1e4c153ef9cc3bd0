"""Shards as the release stage writes them, and damaged ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from facedata.errors import IntegrityError
from training.data.index import ShardIndex, index_shard


def tar_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def test_every_image_of_a_released_shard_is_found(tmp_path: Path, make_version) -> None:
    manifest = make_version(tmp_path, {"Ada": 0, "Bea": 3}, images=4, shard_images=100)
    path = tmp_path / "versions" / manifest.version / manifest.shards[0].path

    data = path.read_bytes()

    index = index_shard(data, "shard")

    assert sorted(index.labels.tolist()) == [0] * 4 + [3] * 4
    with tarfile.open(path) as tar:
        images = [tar.extractfile(one).read() for one in tar if one.name.endswith(".jpg")]
        keys = [one.name for one in tar.getmembers() if one.name.endswith(".cls")]
    spans = zip(index.offsets.tolist(), index.sizes.tolist(), strict=True)
    assert [data[offset : offset + size] for offset, size in spans] == images
    assert index.labels.tolist() == [int(key.split("-")[1]) for key in keys]


def test_the_files_of_a_sample_come_in_any_order() -> None:
    index = index_shard(tar_of({"a.png": b"xyz", "a.json": b"{}", "a.cls": b"12"}), "shard")

    assert index.labels.tolist() == [12]
    assert index.sizes.tolist() == [3]


def test_an_index_is_read_back_as_it_was() -> None:
    index = index_shard(tar_of({"a.cls": b"1", "a.jpg": b"x", "b.cls": b"2", "b.jpg": b"yz"}), "s")

    again = ShardIndex.from_bytes(index.to_bytes())

    assert again.labels.tolist() == [1, 2]
    assert again.offsets.tolist() == index.offsets.tolist()
    assert again.sizes.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a.jpg": b"x"}, "sample 'a' has no class"),
        ({"a.cls": b"1"}, "sample 'a' has no image"),
        ({"a.cls": b"-1", "a.jpg": b"x"}, r"a.cls holds b'-1', not a class index"),
    ],
)
def test_an_incomplete_sample_is_named(files: dict[str, bytes], problem: str) -> None:
    with pytest.raises(IntegrityError, match=problem):
        index_shard(tar_of(files), "shard")


def test_what_is_no_tar_file_is_named() -> None:
    with pytest.raises(IntegrityError, match=r"shard x\.tar: not a tar file of plain files at"):
        index_shard(b"nonsense" * 200, "x.tar")


def test_a_file_that_was_cut_off_is_named() -> None:
    data = tar_of({"a.cls": b"1", "a.jpg": b"x" * 2000})

    with pytest.raises(IntegrityError, match=r"shard x\.tar: ends before its end at byte 3000"):
        index_shard(data[:3000], "x.tar")


def test_a_folder_in_a_shard_is_refused() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo("folder")
        member.type = tarfile.DIRTYPE
        tar.addfile(member)

    with pytest.raises(IntegrityError, match="not a tar file of plain files at byte 0"):
        index_shard(stream.getvalue(), "x")


@pytest.mark.parametrize("keep", [0, 1, 100, 400])
def test_an_index_that_was_cut_off_is_named(keep: int) -> None:
    data = index_shard(tar_of({"a.cls": b"1", "a.jpg": b"x"}), "s").to_bytes()

    with pytest.raises(IntegrityError, match="index of a shard: damaged"):
        ShardIndex.from_bytes(data[:keep])


def test_an_index_with_a_changed_byte_is_named() -> None:
    data = bytearray(index_shard(tar_of({"a.cls": b"1", "a.jpg": b"x"}), "s").to_bytes())
    data[200] ^= 1

    with pytest.raises(IntegrityError, match="index of a shard: damaged"):
        ShardIndex.from_bytes(bytes(data))
