"""Files of a workspace on any fsspec file system, written whole or not at all.

Paths are POSIX and relative to the root; one that is absolute or climbs out with ``..`` is
refused. On a local disk a file is written in ``tmp/`` and renamed (``facedata.local_files``);
object stores put whole objects. Nothing here deletes outside the root.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facedata.errors import IntegrityError, StorageError, WorkspaceError
from facedata.local_files import is_abandoned, open_whole
from facedata.records import R, from_parquet, read_parquet, to_parquet
from facedata.transport import connection_errors, credential_errors, one_line

TEMPORARY = "tmp"
"""Folder below a local root where files are written before they are whole."""
_PIECE = 1 << 24


class Storage:
    """The files below one root, a local folder or an fsspec URL such as ``s3://bucket/set``."""

    def __init__(self, root: str | Path) -> None:
        # Another process may have written: listings are never taken from memory.
        self._fs, self._root = fsspec.core.url_to_fs(str(root), use_listings_cache=False)
        self.root = str(root)
        self.is_local = "file" in _protocols(self._fs)

    def __repr__(self) -> str:
        return f"Storage({self.root!r})"

    def path(self, relative: str) -> str:
        """The full path of a relative one, on the file system of the root.

        Raises:
            StorageError: when the path would leave the root.
        """
        pure = PurePosixPath(relative)
        if pure.is_absolute() or ".." in pure.parts or "\\" in relative or "\0" in relative:
            raise StorageError(f"path {relative!r} leaves {self.root}; use a path below it")
        return f"{self._root.rstrip('/')}/{pure}" if pure.parts else self._root

    def local_path(self, relative: str) -> Path:
        """The path on the local disk.

        Raises:
            WorkspaceError: when the root is not local.
        """
        if not self.is_local:
            raise WorkspaceError(f"{self.root}: this step needs a folder on a local disk")
        return Path(self.path(relative))

    def url(self, relative: str) -> str:
        """The path as others address it: a local path, or an fsspec URL."""
        full = self.path(relative)
        return full if self.is_local else str(self._fs.unstrip_protocol(full))

    def sign(self, relative: str, seconds: int) -> str:
        """An http(s) address at which anybody can fetch a file for so many seconds.

        Nothing is asked of the store: whether the file is there shows when it is fetched.
        Credentials that end earlier end the address with them.

        Raises:
            WorkspaceError: when the file system has no signed addresses, as a local disk, or there
                are no credentials to sign with.
        """
        full = self.path(relative)
        try:
            with self._errors("sign an address of", relative):
                return str(_signing(self._fs).sign(full, expiration=seconds))
        except NotImplementedError as error:
            raise WorkspaceError(
                f"cannot sign an address of {self.url(relative)}: {_protocols(self._fs)[0]} "
                "storage has none; put the workspace on an object store such as s3://, "
                "or serve its files another way"
            ) from error

    def exists(self, relative: str) -> bool:
        """Whether a file or folder is there.

        Raises:
            StorageError: when that cannot be found out.
        """
        # Over HTTP fsspec would take a server that fails for one without the file.
        options = {"strict": True} if "http" in _protocols(self._fs) else {}
        with self._errors("look up", relative):
            return bool(self._fs.exists(self.path(relative), **options))

    def read(self, relative: str) -> bytes:
        """The bytes of a file.

        Raises:
            StorageError: when it is missing or cannot be read.
        """
        with self._errors("read", relative):
            data: bytes = self._fs.cat_file(self.path(relative))
            return data

    def chunks(self, relative: str, size: int) -> Iterator[bytes]:
        """The first ``size`` bytes of a large file, in pieces; fewer where it ends before.

        Raises:
            StorageError: when it is missing or cannot be read.
        """
        full = self.path(relative)
        for start in range(0, size, _PIECE):
            stop = min(start + _PIECE, size)
            with self._errors("read", relative):
                piece: bytes = self._fs.cat_file(full, start=start, end=stop)
            if len(piece) > stop - start:  # a server without ranges has sent the whole file
                yield piece[start:size]
                return
            yield piece

    def write(self, relative: str, data: bytes) -> None:
        """Write a file whole or not at all, replacing what was there.

        Raises:
            WorkspaceError: when the root may not be written to.
            StorageError: when the disk is full or the connection failed.
        """
        with self._errors("write", relative):
            full = self.path(relative)
            if not self.is_local:
                self._fs.pipe_file(full, data)
                return
            with open_whole(Path(full), Path(self.path(TEMPORARY))) as stream:
                stream.write(data)

    @contextmanager
    def open_write(self, relative: str) -> Iterator[BinaryIO]:
        """A stream to write a large file through; the file is there once the block ends well."""
        with self._errors("write", relative):
            full = self.path(relative)
            if not self.is_local:
                with self._fs.open(full, "wb") as stream:
                    yield stream
                return
            with open_whole(Path(full), Path(self.path(TEMPORARY))) as stream:
                yield stream

    def append(self, relative: str, data: bytes) -> None:
        """Append to a file and flush it to disk; on object stores the file is written anew."""
        with self._errors("append to", relative):
            full = self.path(relative)
            if not self.is_local:
                old = self._fs.cat_file(full) if self._fs.exists(full) else b""
                self._fs.pipe_file(full, old + data)
                return
            Path(full).parent.mkdir(parents=True, exist_ok=True)
            with Path(full).open("ab") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())

    def names(self, relative: str) -> list[str]:
        """Sorted names directly below a folder; empty when it is not there."""
        with self._errors("list", relative):
            full = self.path(relative)
            if not self._fs.exists(full):
                return []
            found = {
                str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in self._fs.ls(full, False)
            }
            return sorted(found)

    def size(self, relative: str) -> int:
        """Size of a file in bytes."""
        with self._errors("measure", relative):
            return int(self._fs.size(self.path(relative)))

    def remove(self, relative: str) -> None:
        """Remove a file or a folder with all below it; nothing happens when it is not there."""
        with self._errors("remove", relative):
            full = self.path(relative)
            if self._fs.exists(full):
                self._fs.rm(full, recursive=True)
                self._fs.invalidate_cache()

    def remove_abandoned(self, relative: str) -> None:
        """Remove half-written files whose process is gone, and their local folder when empty."""
        names = self.names(relative)
        gone = [name for name in names if is_abandoned(name)]
        for name in gone:
            self.remove(f"{relative}/{name}")
        if len(gone) == len(names):
            self.remove(relative)

    def write_records(self, relative: str, record_type: type[R], rows: list[R]) -> None:
        """Write records as a Parquet file."""
        self.write(relative, to_parquet(record_type, rows))

    def read_records(self, relative: str, record_type: type[R]) -> list[R]:
        """Read records written by ``write_records``.

        Raises:
            IntegrityError: when the file is damaged, or holds another type of record.
        """
        return from_parquet(record_type, self.read(relative), self.url(relative))

    def read_columns(self, relative: str, columns: list[str]) -> pa.Table:
        """Some columns of a Parquet file, without reading the others.

        Raises:
            IntegrityError: when it is not a whole Parquet file.
        """
        with self._open_parquet(relative) as stream:
            return read_parquet(stream, columns)

    def read_rows_with(
        self, relative: str, columns: list[str], wanted: Collection[str]
    ) -> pa.Table:
        """Some columns of the row groups that hold rows of a Parquet file.

        ``wanted`` are values of the first of the columns; the rows around them come too.

        Raises:
            IntegrityError: when it is not a whole Parquet file.
        """
        with self._open_parquet(relative) as stream:
            file = pq.ParquetFile(stream, pre_buffer=False)
            values = file.read(columns[:1], use_threads=False).column(0).to_pylist()
            rows = [row for row, value in enumerate(values) if value in wanted]
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            groups = np.unique(np.searchsorted(np.cumsum(sizes), rows, "right"))
            return file.read_row_groups(groups.tolist(), columns, use_threads=False)

    @contextmanager
    def _open_parquet(self, relative: str) -> Iterator[BinaryIO]:
        with self._errors("read", relative):
            try:
                with self._fs.open(self.path(relative), "rb") as stream:
                    yield stream
            except pa.ArrowInvalid as error:
                raise IntegrityError(
                    f"{self.url(relative)}: not a whole Parquet file ({error}); "
                    "remove its folder and run again"
                ) from error

    @contextmanager
    def _errors(self, verb: str, relative: str) -> Iterator[None]:
        try:
            with connection_errors(), self._credentials(verb, relative):
                yield
        except OSError as error:
            raise _translated(error, verb, self.url(relative)) from error

    @contextmanager
    def _credentials(self, verb: str, relative: str) -> Iterator[None]:
        try:
            yield
        except credential_errors() as error:
            raise WorkspaceError(
                f"cannot {verb} {self.url(relative)}: no credentials for the store; set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            ) from error


def _translated(error: OSError, verb: str, where: str) -> WorkspaceError | StorageError:
    """The project's error for one of the file system, with a remedy."""
    if error.errno == errno.ENOSPC:
        return StorageError(f"cannot {verb} {where}: the disk is full; free space and run again")
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}:
        return WorkspaceError(
            f"cannot {verb} {where}: {error.strerror}; choose a workspace you may write to"
        )
    if isinstance(error, FileNotFoundError):
        return StorageError(f"cannot {verb} {where}: it is not there")
    return StorageError(f"cannot {verb} {where}: {error.strerror or one_line(error)}")


def _protocols(fs: Any) -> tuple[str, ...]:
    protocol = fs.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _signing(fs: Any) -> Any:
    """The file system that signs addresses for ``fs``.

    S3's older signature is still the client's choice for addresses, and buckets made since
    June 2020 refuse it.
    """
    if "s3" not in _protocols(fs):
        return fs
    options = dict(fs.storage_options)
    options["config_kwargs"] = {**options.get("config_kwargs", {}), "signature_version": "s3v4"}
    return type(fs)(**options)
