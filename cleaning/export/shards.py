"""WebDataset shards: tar files of ``<key>.jpg``, ``<key>.cls`` and ``<key>.json``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice
from typing import BinaryIO

from cleaning.export.crop_image import to_jpeg
from cleaning.export.samples import Sample
from facedata.errors import IntegrityError

_TRAINING_QUALITY = 95
# A key ends at its first dot, and a USTAR name has 100 bytes.
_KEY = re.compile(r"[A-Za-z0-9_-]{1,90}\Z")


class ImageFormat(StrEnum):
    """How crops are stored: JPEG of quality 95 without chroma subsampling, or PNG unchanged."""

    JPG = "jpg"
    PNG = "png"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardConfig:
    """How samples are cut into shards: at most ``max_images`` each."""

    max_images: int = 10_000
    image_format: ImageFormat = ImageFormat.JPG


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardInfo:
    """One written shard; ``name`` is relative to the version, ``sha256`` in hex."""

    name: str
    images: int
    size_bytes: int
    sha256: str


OpenShard = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a name relative to the version for writing bytes."""


def write_shards(
    samples: Iterable[Sample], config: ShardConfig, open_shard: OpenShard
) -> list[ShardInfo]:
    """Write samples in the order given, as ``shards/train-000000.tar`` and so on.

    The same samples give the same bytes: fixed owners and times, sorted JSON. One sample is in
    memory at a time. Without samples there is no shard.

    Raises:
        IntegrityError: when a key is unusable or comes twice in a shard, or a crop is no image.
    """
    written: list[ShardInfo] = []
    for number, shard in enumerate(_cut(samples, config.max_images)):
        name = f"shards/train-{number:06d}.tar"
        with open_shard(name) as stream:
            written.append(_write_shard(name, shard, config.image_format, stream))
    return written


def _cut(samples: Iterable[Sample], size: int) -> Iterator[Iterator[Sample]]:
    """Cut a stream into streams of ``size``; each must be consumed before the next."""
    stream = iter(samples)
    for first in stream:
        yield chain([first], islice(stream, size - 1))


def _write_shard(
    name: str, samples: Iterable[Sample], image_format: ImageFormat, stream: BinaryIO
) -> ShardInfo:
    # It loads torch where that is installed, which only those who write shards should wait for.
    import webdataset

    sink = _DigestingStream(stream)
    seen: set[str] = set()
    tar = webdataset.TarWriter(sink, user="winnow", group="winnow", mtime=0, encoder=False)
    for sample in samples:
        if not _KEY.match(sample.key) or sample.key in seen:
            raise IntegrityError(
                f"{name}: key {sample.key!r} comes twice or is not made of 1 to 90 letters, "
                "digits, '-' and '_'; this is a defect, please report it"
            )
        seen.add(sample.key)
        tar.write(_files(sample, image_format))
    tar.close()
    return ShardInfo(
        name=name, images=len(seen), size_bytes=sink.size, sha256=sink.digest.hexdigest()
    )


def _files(sample: Sample, image_format: ImageFormat) -> dict[str, str | bytes]:
    crop = sample.crop
    if image_format is ImageFormat.JPG:
        crop = to_jpeg(crop, quality=_TRAINING_QUALITY)
    facts = json.dumps(dict(sample.facts), ensure_ascii=False, sort_keys=True, allow_nan=False)
    return {
        "__key__": sample.key,
        image_format.value: crop,
        "cls": str(sample.class_index).encode(),
        "json": facts.encode(),
    }


class _DigestingStream:
    """Passes bytes on while counting and hashing them; as much of a file as tarfile needs."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)
