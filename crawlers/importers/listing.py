"""What all importers of existing sets share: how a file is opened, and what was left out of it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import fsspec

from crawlers.identity_name import shown
from crawlers.importers.class_names import ClassNames
from facedata.errors import SourceError, StorageError
from facedata.location import is_remote, open_file, path_of
from facedata.records import ImageRecord

MAX_IMAGE_BYTES = 64 << 20
"""Largest encoded image taken from a file that holds many; as large as one that is decoded."""
MAX_FILES = 100_000
"""Most files one source may name."""
_ALTERNATIVES = re.compile(r"\{([^{}]*(?:,|\.\.)[^{}]*)\}")
_NUMBERS = re.compile(r"(\d+)\.\.(\d+)")


class LeftOut(StrEnum):
    """Why something in a set did not become an image of the build."""

    DAMAGED = "damaged"
    """Its bytes do not follow the file's format."""
    TOO_LARGE = "too_large"
    """More bytes than an image may have."""
    NO_IMAGE = "no_image"
    """A sample without an image."""
    NO_IDENTITY = "no_identity"
    """An image that does not say whom it shows."""
    NOT_FETCHED = "not_fetched"
    """An address that the set's own table says was never fetched."""


@dataclass(slots=True)
class Notes:
    """What was left out of one file: counts by cause, and the first of each."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def leave_out(self, why: LeftOut, what: str, count: int = 1) -> None:
        """Count something left out; ``what`` says which and what was found."""
        self.counts[why.value] += count
        self.first.setdefault(why.value, what)

    def lines(self, file: str) -> list[str]:
        """One line for each cause."""
        return [
            f"{file}: {count} left out as {why}, the first: {self.first[why]}"
            for why, count in sorted(self.counts.items())
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What the rows of a source have in common."""

    source: str
    classes: ClassNames
    notes: Notes = field(default_factory=Notes)

    def identity(self, named: Callable[[], str], where: str) -> str | None:
        """The identity that ``named`` gives, or None, noted, when that is no usable name."""
        try:
            return named()
        except SourceError as error:
            self.notes.leave_out(LeftOut.NO_IDENTITY, f"{where}: {error}")
            return None


ListRows = Callable[[Import, BinaryIO | None], Iterator[ImageRecord]]
"""Lists a file's images; those of a file that must be copied are appended to the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFile:
    """One file of a set, listed at a time.

    ``state`` changes when the file does, ``settings`` is all else that its rows depend on. With
    ``copies`` the images' bytes cannot be addressed where they are and are copied once.
    """

    location: str
    state: str
    settings: dict[str, Any]
    list_rows: ListRows
    copies: bool = False


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """Open a file of a set.

    Raises:
        SourceError: when it, or a part of it, cannot be read.
        StorageError: when it is remote and the connection failed, which may pass.
    """
    try:
        with open_file(file) as stream:
            if is_remote(file):
                _check_ranges(stream, file)
            yield stream
    except OSError as error:
        problem = f"{shown(file)} cannot be read ({error.strerror or error})"
        if is_remote(file) and not isinstance(error, FileNotFoundError | PermissionError):
            raise StorageError(f"{problem}; run again, what is listed is kept") from error
        raise SourceError(f"{problem}; check the path") from error


def _check_ranges(stream: BinaryIO, file: str) -> None:
    """Read the last byte, for which a server must know ranges."""
    try:
        stream.seek(max(0, stream.seek(0, 2) - 1))
        stream.read(1)
        stream.seek(0)
    except ValueError as error:
        raise SourceError(
            f"{shown(file)}: its server sends whole files only; copy it to a disk or an object "
            "store"
        ) from error


def state_of(*files: str) -> str:
    """Digest of where files lie and of what changes with their content: size, time or tag.

    Raises:
        SourceError: when one is missing.
    """
    found = []
    for file in files:
        fs, path = _file_system(file)
        try:
            info = fs.info(path)
        except OSError as error:
            raise SourceError(
                f"{shown(file)} cannot be found ({error.strerror or error}); check the path"
            ) from error
        found.append([file, sorted((key, str(value)) for key, value in info.items())])
    return hashlib.sha256(repr(found).encode("utf-8", "surrogatepass")).hexdigest()


def find_files(pattern: str, suffix: str = "") -> list[str]:
    """The files that a path or URL names, sorted: ``{000..099}``, ``{a,b}``, ``*``, or a folder.

    Of a folder these are the files in it that end in ``suffix``.

    Raises:
        SourceError: when there is none, or there are too many.
    """
    found: list[str] = []
    for name in dict.fromkeys(_expand(pattern)):
        fs, path = _file_system(name)
        if suffix and fs.isdir(path):
            listed = [str(entry) for entry in fs.ls(path, detail=False)]
            listed = [entry for entry in listed if entry.endswith(suffix)]
        elif "*" in path:
            listed = [str(entry) for entry in fs.glob(path)]
        else:
            found.append(name)
            continue
        named = sorted(listed)
        found += [str(fs.unstrip_protocol(entry)) for entry in named] if is_remote(name) else named
    if not found or len(found) > MAX_FILES:
        raise SourceError(
            f"{shown(pattern)} names {len(found)} files; give a path, a folder or a pattern "
            f"of 1 to {MAX_FILES}"
        )
    return found


def short_names(files: list[str]) -> list[str]:
    """The files' names below the folder that all of them are in."""
    parents = [PurePosixPath(file).parent.parts for file in files]
    shared = 0
    while all(len(parts) > shared and parts[shared] == parents[0][shared] for parts in parents):
        shared += 1
    return ["/".join(PurePosixPath(file).parts[shared:]) for file in files]


def _file_system(file: str) -> tuple[Any, str]:
    """The fsspec file system that a path or URL is on, and the path there."""
    try:
        fs, path = fsspec.core.url_to_fs(file if is_remote(file) else str(path_of(file)))
    except (ValueError, ImportError) as error:
        raise SourceError(
            f"{shown(file)}: no such kind of place, or its package is not installed ({error})"
        ) from error
    return fs, path


def _expand(pattern: str) -> Iterator[str]:
    """Expand ``{000..099}`` and ``{a,b}``, from the left."""
    match = _ALTERNATIVES.search(pattern)
    if match is None:
        yield pattern
        return
    before, after = pattern[: match.start()], pattern[match.end() :]
    for middle in _alternatives(match[1], pattern):
        yield from _expand(f"{before}{middle}{after}")


def _alternatives(text: str, pattern: str) -> list[str]:
    numbers = _NUMBERS.fullmatch(text)
    if numbers is None:
        return text.split(",")
    first, last = int(numbers[1]), int(numbers[2])
    if not 0 <= last - first < MAX_FILES:
        raise SourceError(
            f"{shown(pattern)}: {{{text}}} is not a rising range of at most {MAX_FILES} numbers"
        )
    return [str(number).zfill(len(numbers[1])) for number in range(first, last + 1)]
