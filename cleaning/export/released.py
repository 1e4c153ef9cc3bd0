"""The images of a released version in order of class, read out of its shards one at a time."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facedata.errors import IntegrityError, StorageError
from facedata.location import ByteRange, open_file, range_location, read_location
from facedata.storage import Storage
from facedata.versions import Manifest, ShardEntry

_ROW = np.dtype(
    [("class", "<i8"), ("key", "S96"), ("suffix", "S4"), ("shard", "<i4"), ("at", "<i8", 2)]
)
_IMAGES = ("jpg", "png")
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An identity of a version: its class index there, and its label among those without gaps."""

    identity: str
    class_index: int
    label: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedImage:
    """One aligned face as it was released: encoded, ``suffix`` jpg or png."""

    key: str
    suffix: str
    data: bytes


class ReleasedVersion:
    """A version's people by class index, and their images by key.

    The shards are read once to check them and to note where the images lie, 120 bytes for each;
    the images are read again one by one.
    """

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        """Check and index all shards.

        Raises:
            IntegrityError: when a shard is not what the manifest says.
            StorageError: when one cannot be read.
        """
        folder = f"versions/{manifest.version}"
        self.version = manifest.version
        self._files = [storage.url(f"{folder}/{shard.path}") for shard in manifest.shards]
        rows = [
            _index_shard(file, number, shard)
            for number, (file, shard) in enumerate(zip(self._files, manifest.shards, strict=True))
        ]
        joined = np.concatenate([np.zeros(0, _ROW), *rows])
        self._rows = joined[np.lexsort((joined["key"], joined["class"]))]
        self.people = _people(manifest, self._rows["class"])

    def __len__(self) -> int:
        return len(self._rows)

    def images(self) -> Iterator[tuple[Person, ReleasedImage]]:
        """Yield every image with its person, in order of class index and key.

        Raises:
            StorageError: when an image cannot be read.
        """
        person_of = {person.class_index: person for person in self.people}
        for row in self._rows:
            offset, length = (int(value) for value in row["at"])
            place = ByteRange(offset=offset, length=length)
            image = ReleasedImage(
                key=row["key"].decode(),
                suffix=row["suffix"].decode(),
                data=read_location(range_location([place], self._files[row["shard"]])),
            )
            yield person_of[int(row["class"])], image


def _people(manifest: Manifest, classes: NDArray[np.int64]) -> list[Person]:
    """The people in order of class index; label is that order."""
    found, counts = np.unique(classes, return_counts=True)
    images = dict(zip(found.tolist(), counts.tolist(), strict=True))
    named = sorted((index, identity) for identity, index in manifest.identities.items())
    if sorted(images) != [index for index, _ in named]:
        raise IntegrityError(
            f"version {manifest.version}: its shards hold {len(images)} classes, its manifest "
            f"names {len(named)} others; release the version again"
        )
    return [
        Person(identity=identity, class_index=index, label=label, images=images[index])
        for label, (index, identity) in enumerate(named)
    ]


def _index_shard(file: str, number: int, shard: ShardEntry) -> NDArray[Any]:
    try:
        with open_file(file) as stream:
            digest = hashlib.sha256()
            while piece := stream.read(_READ_BYTES):
                digest.update(piece)
            if digest.hexdigest() != shard.sha256:
                raise IntegrityError(
                    f"{file}: content is not what the manifest says; release the version again"
                )
            stream.seek(0)
            with tarfile.open(fileobj=stream, mode="r:") as tar:
                return _index_members(tar, number, file)
    except OSError as error:
        raise StorageError(f"{file}: cannot be read ({error.strerror or error})") from error
    except (tarfile.TarError, ValueError) as error:
        raise IntegrityError(f"{file}: not a shard ({error}); release the version again") from error


def _index_members(tar: tarfile.TarFile, number: int, file: str) -> NDArray[Any]:
    classes: dict[str, int] = {}
    images: dict[str, tuple[str, tuple[int, int]]] = {}
    for member in tar:
        key, _, suffix = member.name.partition(".")
        if suffix == "cls":
            stream = tar.extractfile(member)
            classes[key] = int(stream.read()) if stream else -1
        elif suffix in _IMAGES:
            images[key] = (suffix, (member.offset_data, member.size))
    if classes.keys() != images.keys():
        raise IntegrityError(
            f"{file}: {len(images)} images and {len(classes)} classes do not belong together; "
            "release the version again"
        )
    rows = [
        (classes[key], key.encode(), suffix.encode(), number, place)
        for key, (suffix, place) in images.items()
    ]
    return np.array(rows, dtype=_ROW)
