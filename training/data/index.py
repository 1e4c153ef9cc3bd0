"""Where the images of a shard lie in its tar file, and which class each has."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from facedata.errors import IntegrityError

IMAGE_SUFFIXES = ("jpg", "png")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardIndex:
    """Arrays (samples,) in the order of the tar file.

    ``offsets`` (int64) and ``sizes`` (int32) are the image's bytes in the file; ``labels`` (int64)
    are class indices.
    """

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int32]
    labels: NDArray[np.int64]

    def to_bytes(self) -> bytes:
        """The index as an ``.npz`` file."""
        stream = io.BytesIO()
        np.savez(stream, offsets=self.offsets, sizes=self.sizes, labels=self.labels)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> ShardIndex:
        """Read what ``to_bytes`` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(offsets=arrays["offsets"], sizes=arrays["sizes"], labels=arrays["labels"])


@dataclass(slots=True)
class _Found:
    """What has been found of one sample; -1 until then."""

    offset: int = -1
    size: int = -1
    label: int = -1


def index_shard(stream: BinaryIO, name: str) -> ShardIndex:
    """Read the headers and class files of a shard; images are skipped.

    Raises:
        IntegrityError: when it is no tar file, or a sample lacks its image or its class.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            samples = _samples(tar, name)
    except tarfile.TarError as error:
        raise IntegrityError(
            f"shard {name}: not a whole tar file ({error}); fetch it again"
        ) from error
    for key, found in samples.items():
        if found.offset < 0 or found.label < 0:
            missing = "image" if found.offset < 0 else "class"
            raise IntegrityError(
                f"shard {name}: sample {key!r} has no {missing}; release the version again"
            )
    values = samples.values()
    return ShardIndex(
        offsets=np.array([found.offset for found in values], dtype=np.int64),
        sizes=np.array([found.size for found in values], dtype=np.int32),
        labels=np.array([found.label for found in values], dtype=np.int64),
    )


def _samples(tar: tarfile.TarFile, name: str) -> dict[str, _Found]:
    samples: dict[str, _Found] = {}
    for member in tar:
        key, _, suffix = member.name.partition(".")
        found = samples.setdefault(key, _Found())
        if suffix in IMAGE_SUFFIXES:
            found.offset, found.size = member.offset_data, member.size
        elif suffix == "cls":
            found.label = _label(tar, member, name)
    return samples


def _label(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> int:
    content = tar.extractfile(member)
    text = content.read() if content else b""
    if not text.isdigit():
        raise IntegrityError(
            f"shard {name}: {member.name} holds {text[:20]!r}, not a class index; "
            "release the version again"
        )
    return int(text)
