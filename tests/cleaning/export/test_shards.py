from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pytest
import webdataset

from cleaning.export.samples import Sample
from cleaning.export.shards import ImageFormat, ShardConfig, write_shards
from facedata.errors import IntegrityError


class Folder:
    """A folder in memory that shards are written to."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        stream = io.BytesIO()
        yield stream
        self.files[name] = stream.getvalue()


@pytest.fixture(scope="module")
def samples(face_crop) -> list[Sample]:
    return [
        Sample(
            key=f"{number:032x}-0",
            crop=face_crop(number),
            class_index=number % 3,
            facts={"url": None, "identity": "Zoë O’Malley", "box": [1.0, 2.5], "det_score": 0.9},
        )
        for number in range(7)
    ]


def test_names_sizes_and_digests(samples) -> None:
    folder = Folder()
    shards = write_shards(samples, ShardConfig(max_images=3), folder.open)
    assert [(shard.name, shard.images) for shard in shards] == [
        ("shards/train-000000.tar", 3),
        ("shards/train-000001.tar", 3),
        ("shards/train-000002.tar", 1),
    ]
    assert list(folder.files) == [shard.name for shard in shards]
    for shard in shards:
        data = folder.files[shard.name]
        assert (shard.size_bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_tar_members_are_reproducible(samples) -> None:
    folder = Folder()
    write_shards(samples[:1], ShardConfig(), folder.open)
    [data] = folder.files.values()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        facts = tar.extractfile(members[2]).read()
    key = samples[0].key
    assert [member.name for member in members] == [f"{key}.cls", f"{key}.jpg", f"{key}.json"]
    assert {
        (member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode)
        for member in members
    } == {(0, 0, 0, "winnow", "winnow", 0o444)}
    assert facts.decode() == (
        '{"box": [1.0, 2.5], "det_score": 0.9, "identity": "Zoë O’Malley", "url": null}'
    )
    again = Folder()
    write_shards(iter(samples[:1]), ShardConfig(), again.open)
    assert again.files == folder.files


def test_webdataset_reads_them(samples, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    shards = write_shards(
        samples, ShardConfig(max_images=4), lambda name: (tmp_path / name).open("wb")
    )
    urls = [str(tmp_path / shard.name) for shard in shards]
    read = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert [item["__key__"] for item in read] == [sample.key for sample in samples]
    assert [item["cls"] for item in read] == [0, 1, 2, 0, 1, 2, 0]
    for item, sample in zip(read, samples, strict=True):
        assert item["json"] == dict(sample.facts)
        original = cv2.imdecode(np.frombuffer(sample.crop, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert item["jpg"].shape == (112, 112, 3)
        assert np.abs(item["jpg"].astype(int) - original).mean() < 2


def test_jpeg_has_no_chroma_subsampling(samples) -> None:
    folder = Folder()
    write_shards(samples[:1], ShardConfig(), folder.open)
    with tarfile.open(fileobj=io.BytesIO(folder.files["shards/train-000000.tar"])) as tar:
        jpeg = tar.extractfile(f"{samples[0].key}.jpg").read()
    frame = jpeg.index(b"\xff\xc0")
    components = jpeg[frame + 10 : frame + 19]
    assert [components[i + 1] for i in (0, 3, 6)] == [0x11, 0x11, 0x11]


def test_png_passes_unchanged(samples) -> None:
    folder = Folder()
    write_shards(samples[:1], ShardConfig(image_format=ImageFormat.PNG), folder.open)
    with tarfile.open(fileobj=io.BytesIO(folder.files["shards/train-000000.tar"])) as tar:
        assert tar.extractfile(f"{samples[0].key}.png").read() == samples[0].crop


@pytest.mark.parametrize(("count", "images"), [(0, []), (3, [3]), (6, [3, 3])])
def test_no_empty_shard(samples, count: int, images: list[int]) -> None:
    folder = Folder()
    shards = write_shards(samples[:count], ShardConfig(max_images=3), folder.open)
    assert [shard.images for shard in shards] == images


@pytest.mark.parametrize("key", ["", "a.b", "a/b", "a" * 91, "ä"])
def test_unusable_keys_are_refused(samples, key: str) -> None:
    bad = Sample(key=key, crop=samples[0].crop, class_index=0, facts={})
    with pytest.raises(IntegrityError, match=r"^shards/train-000000\.tar: key "):
        write_shards([bad], ShardConfig(), Folder().open)


def test_a_key_twice_is_refused(samples) -> None:
    with pytest.raises(IntegrityError, match="comes twice"):
        write_shards([samples[0], samples[0]], ShardConfig(), Folder().open)


def test_a_broken_crop_is_refused() -> None:
    broken = Sample(key="k", crop=b"broken", class_index=0, facts={})
    with pytest.raises(IntegrityError, match="face crop of 6 bytes is not an image"):
        write_shards([broken], ShardConfig(), Folder().open)


def test_memory_does_not_grow_with_the_shard(samples, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    crop = samples[0].crop + bytes(100_000)  # PNG ends before; 100 KB each
    stream = (
        Sample(key=str(number), crop=bytes(crop), class_index=0, facts=json.loads("{}"))
        for number in range(200)
    )
    tracemalloc.start()
    config = ShardConfig(image_format=ImageFormat.PNG)
    write_shards(stream, config, lambda name: (tmp_path / name).open("wb"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000
