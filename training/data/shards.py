"""Reading samples out of a version's shards, wherever they lie.

Shards on a local disk are read in place. Remote ones are downloaded whole into a cache when the
first of their samples is asked for: some requests instead of ten thousand, and the sha256 is
checked on the way. What is read is one image at a known offset, so that any order costs the same.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facedata.errors import IntegrityError, StorageError, WorkError
from facedata.storage import Storage
from training.data.cache import ShardCache
from training.data.index import ShardIndex, index_shard
from training.data.released import TrainingSet

_CHUNK = 1 << 22
_SHARDS_OPEN = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadConfig:
    """How shards are read.

    ``cache`` is a folder on a local disk for indices and downloaded shards, of which at most
    ``cache_bytes`` are kept. A read that fails is tried ``attempts`` times in all, after
    ``wait_seconds``, twice that, and so on.
    """

    cache: Path
    cache_bytes: int = 200 * 10**9
    attempts: int = 5
    wait_seconds: float = 1.0


class _AlteredError(IntegrityError):
    """A download is not what the manifest says; perhaps something went wrong on the way."""


class ShardStore:
    """The shards of one version; belongs to one process, a copy in another opens its own files."""

    def __init__(self, training_set: TrainingSet, config: ReadConfig) -> None:
        self.training_set = training_set
        self._config = config
        self._storage: Storage | None = None
        self._cache = ShardCache(config.cache / "shards", config.cache_bytes)
        self._descriptors: OrderedDict[int, int] = OrderedDict()
        self._indices: dict[int, ShardIndex] = {}

    def __getstate__(self) -> tuple[TrainingSet, ReadConfig]:
        return self.training_set, self._config

    def __setstate__(self, state: tuple[TrainingSet, ReadConfig]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def close(self) -> None:
        """Close every open shard."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def read(self, shard: int, row: int) -> tuple[bytes, int]:
        """The encoded image and the class index of a sample.

        Raises:
            StorageError: when the shard cannot be read, after all attempts.
            IntegrityError: when it is not the shard that the manifest names, also when it is
                downloaded again.
            RequestError: when the cache cannot be used.
        """
        return self._patiently(shard, lambda: self._read(shard, row))

    def classes_seen(self, shards: Iterable[int], threads: int) -> NDArray[np.bool_]:
        """Check shards against their sha256 and return which classes they hold, (classes,) bool.

        Raises:
            StorageError: when a shard cannot be read, after all attempts.
            IntegrityError: when one differs from the manifest.
        """
        seen = np.zeros(self.training_set.classes, dtype=np.bool_)
        with ThreadPoolExecutor(max_workers=threads) as pool:
            for labels in pool.map(self._checked_labels, shards):
                seen[labels] = True
        return seen

    def _checked_labels(self, shard: int) -> NDArray[np.int64]:
        return self._patiently(shard, lambda: self._check(shard))

    def _check(self, shard: int) -> NDArray[np.int64]:
        descriptor = self._open(shard)
        with os.fdopen(descriptor, "rb") as stream:
            if self._open_storage().is_local:
                for _ in self._compared(shard, iter(lambda: stream.read(_CHUNK), b"")):
                    pass
            return self._index_of(shard, descriptor).labels

    def _read(self, shard: int, row: int) -> tuple[bytes, int]:
        descriptor = self._descriptor(shard)
        index = self._indices[shard]
        size = int(index.sizes[row])
        data = os.pread(descriptor, size, int(index.offsets[row]))
        if len(data) != size:
            raise OSError(f"it ends after {len(data)} of {size} bytes of image {row}")
        return data, int(index.labels[row])

    def _descriptor(self, shard: int) -> int:
        """The open file of a shard, whose index is in memory as well."""
        if shard not in self._descriptors:
            descriptor = self._open(shard)
            try:
                self._indices[shard] = self._index_of(shard, descriptor)
            except (OSError, WorkError):
                os.close(descriptor)
                raise
            self._descriptors[shard] = descriptor
            while len(self._descriptors) > _SHARDS_OPEN:
                forgotten, descriptor = self._descriptors.popitem(last=False)
                os.close(descriptor)
                del self._indices[forgotten]
        self._descriptors.move_to_end(shard)
        return self._descriptors[shard]

    def _close(self, shard: int) -> None:
        descriptor = self._descriptors.pop(shard, None)
        if descriptor is not None:
            os.close(descriptor)

    def _patiently(self, shard: int, work: Callable[[], T]) -> T:
        """Do ``work``, again and again while file system or network fail, and say so at last."""
        wait = self._config.wait_seconds
        for left in range(self._config.attempts - 1, -1, -1):
            try:
                return work()
            except (OSError, StorageError, _AlteredError) as error:
                self._close(shard)
                if not left:
                    raise self._final(shard, error) from error
            time.sleep(wait)
            wait *= 2
        raise StorageError(f"shard {self._url(shard)}: no attempt to read it was allowed")

    def _final(self, shard: int, error: Exception) -> WorkError:
        if isinstance(error, _AlteredError):
            return IntegrityError(str(error))
        return StorageError(
            f"shard {self._url(shard)}: cannot be read after {self._config.attempts} attempts "
            f"({error}); put it back, or check the connection, and start again to resume"
        )

    def _open_storage(self) -> Storage:
        if self._storage is None:
            self._storage = Storage(self.training_set.workspace)
        return self._storage

    def _relative(self, shard: int) -> str:
        return f"{self.training_set.folder}/{self.training_set.shards[shard].path}"

    def _url(self, shard: int) -> str:
        return self._open_storage().url(self._relative(shard))

    def _open(self, shard: int) -> int:
        """The descriptor of a shard on a local disk; remote ones are downloaded."""
        storage = self._open_storage()
        if storage.is_local:
            return os.open(storage.local_path(self._relative(shard)), os.O_RDONLY)
        entry = self.training_set.shards[shard]
        return self._cache.open(entry, lambda: self._download(shard))

    def _download(self, shard: int) -> Iterator[bytes]:
        # Connections do not outlive a fork: this process makes its own.
        storage = Storage(self.training_set.workspace)
        size = self.training_set.shards[shard].size_bytes
        try:
            yield from self._compared(shard, storage.chunks(self._relative(shard), size))
        except IntegrityError as error:
            raise _AlteredError(str(error)) from error

    def _compared(self, shard: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass a shard's content on, and raise after the last piece if it is another one."""
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
            yield chunk
        expected = self.training_set.shards[shard].sha256
        if digest.hexdigest() != expected:
            raise IntegrityError(
                f"shard {self._url(shard)}: sha256 is {digest.hexdigest()}, the manifest says "
                f"{expected}; restore the shard, or release the version again"
            )

    def _index_of(self, shard: int, descriptor: int) -> ShardIndex:
        """The index of a shard, made once and kept in the cache."""
        name = f"index/{self.training_set.shards[shard].sha256}.npz"
        index = _kept_index(self._config.cache / name)
        if index is None:
            index = self._read_headers(shard, descriptor)
            Storage(self._config.cache).write(name, index.to_bytes())
        self._check_index(shard, index)
        return index

    def _read_headers(self, shard: int, descriptor: int) -> ShardIndex:
        size, expected = os.fstat(descriptor).st_size, self.training_set.shards[shard].size_bytes
        if size != expected:
            raise IntegrityError(
                f"shard {self._url(shard)}: is {size} bytes, the manifest says {expected}; "
                "restore the shard, or release the version again"
            )
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
            return index_shard(data, self._url(shard))

    def _check_index(self, shard: int, index: ShardIndex) -> None:
        entry = self.training_set.shards[shard]
        if len(index.labels) != entry.images:
            raise IntegrityError(
                f"shard {self._url(shard)}: holds {len(index.labels)} images, the manifest says "
                f"{entry.images}; restore the shard, or release the version again"
            )
        highest = int(index.labels.max(initial=-1))
        if highest >= self.training_set.classes:
            raise IntegrityError(
                f"shard {self._url(shard)}: class {highest} is beyond the manifest's "
                f"{self.training_set.classes} classes; release the version again"
            )


def _kept_index(path: Path) -> ShardIndex | None:
    """An index in the cache; None when it is not there, or damaged: it can be made again."""
    try:
        return ShardIndex.from_bytes(path.read_bytes())
    except (FileNotFoundError, IntegrityError):
        return None
