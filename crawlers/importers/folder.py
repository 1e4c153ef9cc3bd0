"""Import of an existing set that keeps one folder per person: ``<root>/<identity>/…/<image>``.

Other nestings are read with another ``IdentityRule``.

:func:`survey_folder` walks the names and says what it found and what it left out;
:func:`list_folder` reads the files and yields one ``ImageRecord`` each.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from crawlers.identity_name import normalise_identity, shown
from crawlers.importers.identity_rule import IdentityRule, identity_rule
from facedata.errors import SourceError
from facedata.location import file_location
from facedata.records import ImageRecord

_NOTE_SUFFIXES = frozenset({".txt", ".csv", ".tsv", ".json", ".md", ".xml"})
_SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini"})
_NAMES_IN_A_MESSAGE = 5
_READ_BYTES = 1 << 20
FIRST_FOLDER = identity_rule(1)


class Ignored(StrEnum):
    """Why something below the folder is not an image of the set."""

    HIDDEN = "hidden"
    """Its name begins with a dot, or a desktop left it (``Thumbs.db``)."""
    NOTE = "note"
    """Text beside the images: txt, csv, tsv, json, md, xml."""
    LINK_OUTSIDE = "link_outside"
    """A symbolic link that leaves the folder."""
    LINK_BROKEN = "link_broken"
    """A symbolic link to nothing, or one that leads back to a folder above itself."""
    SPECIAL = "special"
    """Neither a file nor a folder: a pipe, a socket, a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFile:
    """One file that counts as an image: its identity, its path, and its path below the source."""

    identity: str
    path: Path
    source_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSurvey:
    """What lies in a folder-per-person set, by names only.

    ``files`` is sorted by identity, then ``source_uri``. ``ignored`` counts what was left out,
    ``stray_files`` are in no person's folder, ``empty_people`` have no image, and
    ``merged_people`` are identities that more than one name leads to.
    """

    root: Path
    expected: str
    files: tuple[FolderFile, ...]
    ignored: Mapping[Ignored, int]
    stray_files: tuple[str, ...]
    empty_people: tuple[str, ...]
    merged_people: tuple[str, ...]

    def warnings(self) -> list[str]:
        """Return one line for each kind of thing that a person should know about."""
        lines = []
        if self.stray_files:
            lines.append(
                f"{self.root}: {_some(self.stray_files)} in no person's folder left out; "
                f"expected {self.expected}"
            )
        if self.empty_people:
            lines.append(f"{self.root}: no image for {_some(self.empty_people)}")
        if self.merged_people:
            lines.append(
                f"{self.root}: several names are the same after normalisation "
                f"and count as one person: {_some(self.merged_people)}"
            )
        lines += [
            f"{self.root}: {count} left out as {why.value}"
            for why, count in sorted(self.ignored.items())
        ]
        return lines


@dataclass(slots=True)
class _Walk:
    """The state of one walk: the resolved root, what was left out, and the folders at a depth."""

    root: Path
    depth: int | None
    ignored: Counter[Ignored] = field(default_factory=Counter)
    people: list[str] = field(default_factory=list)

    def files_below(self, folder: Path, above: frozenset[Path]) -> Iterator[Path]:
        """Yield the files below ``folder``; ``above`` holds the resolved folders passed through."""
        for entry in _entries(folder):
            path = folder / entry.name
            if (why := self.why_ignored(entry, above)) is not None:
                self.ignored[why] += 1
            elif entry.is_dir():
                if len(path.relative_to(self.root).parts) == self.depth:
                    self.people.append(entry.name)
                yield from self.files_below(path, above | {path.resolve()})
            else:
                yield path

    def why_ignored(self, entry: os.DirEntry[str], above: frozenset[Path]) -> Ignored | None:
        """Return why ``entry`` is left out, or ``None`` when it counts."""
        if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_NAMES:
            return Ignored.HIDDEN
        if entry.is_symlink() and (why := self._why_link_ignored(Path(entry.path), above)):
            return why
        if entry.is_dir():
            return None
        if not entry.is_file():
            return Ignored.SPECIAL
        return Ignored.NOTE if Path(entry.name).suffix.lower() in _NOTE_SUFFIXES else None

    def _why_link_ignored(self, link: Path, above: frozenset[Path]) -> Ignored | None:
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):
            return Ignored.LINK_BROKEN
        if not target.is_relative_to(self.root):
            return Ignored.LINK_OUTSIDE
        return Ignored.LINK_BROKEN if target in above else None


def survey_folder(path: Path, rule: IdentityRule = FIRST_FOLDER) -> FolderSurvey:
    """Walk ``path`` and say what it holds, without reading a file.

    Raises:
        SourceError: when ``path`` is missing, not a folder, unreadable, or without any image
            that ``rule`` gives to a person, or when a name cannot be an identity.
    """
    root = _checked_root(path)
    walk = _Walk(root, rule.depth)
    files: list[FolderFile] = []
    stray: list[str] = []
    names_of: dict[str, set[str]] = {}
    for file in walk.files_below(root, frozenset({root})):
        below = file.relative_to(root)
        name = rule.name_of(below.as_posix())
        if name is None:
            stray.append(portable_path(below))
            continue
        identity = normalise_identity(name, where=str(root))
        names_of.setdefault(identity, set()).add(name)
        files.append(FolderFile(identity=identity, path=file, source_uri=portable_path(below)))
    empty = {normalise_identity(name, where=str(root)) for name in walk.people} - set(names_of)
    survey = FolderSurvey(
        root=root,
        expected=rule.expected,
        files=tuple(sorted(files, key=lambda file: (file.identity, file.source_uri))),
        ignored=dict(walk.ignored),
        stray_files=tuple(sorted(stray)),
        empty_people=tuple(sorted(empty)),
        merged_people=tuple(sorted(name for name, names in names_of.items() if len(names) > 1)),
    )
    _check_not_empty(survey)
    return survey


def list_folder(
    path: Path, source: str, survey: FolderSurvey | None = None
) -> Iterator[ImageRecord]:
    """Yield one record per image file below ``path``, sorted by identity and path.

    Every file is listed, also an empty or broken one: whether it is a usable photo is for the
    faces stage to say. ``source`` names the source in the recipe. A ``survey`` of the same
    folder spares the second walk.

    Raises:
        SourceError: as :func:`survey_folder`, and when a file cannot be read.
    """
    for file in (survey or survey_folder(path)).files:
        image_id, size_bytes = _digest(file.path)
        yield ImageRecord(
            image_id=image_id,
            source=source,
            source_uri=file.source_uri,
            claimed_identity=file.identity,
            location=file_location(file.path),
            size_bytes=size_bytes,
        )


def portable_path(path: Path) -> str:
    """Return a relative path as text that any table can hold.

    POSIX separators; bytes that are no UTF-8 become ``%XX``, and ``%`` becomes ``%25`` so that
    two different paths never give the same text.
    """
    escaped = path.as_posix().replace("%", "%25")
    return "".join(f"%{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in escaped)


def _checked_root(path: Path) -> Path:
    try:
        root = path.resolve(strict=True)
    except FileNotFoundError as error:
        raise SourceError(f"folder {shown(str(path))} does not exist; check the path") from error
    except (OSError, RuntimeError) as error:
        raise SourceError(
            f"folder {shown(str(path))} cannot be reached ({error}); check the path"
        ) from error
    if not root.is_dir():
        raise SourceError(f"{shown(str(path))} is a file; give the folder that holds the people")
    return root


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise SourceError(
            f"folder {shown(str(folder))} cannot be read ({error.strerror}); check its permissions"
        ) from error


def _check_not_empty(survey: FolderSurvey) -> None:
    if survey.files:
        return
    if survey.stray_files:
        raise SourceError(
            f"folder {shown(str(survey.root))} has images in no person's folder "
            f"({_some(survey.stray_files)}) and none in one; expected {survey.expected}"
        )
    raise SourceError(
        f"folder {shown(str(survey.root))} has no image below it; expected {survey.expected}"
    )


def _digest(path: Path) -> tuple[str, int]:
    """Return the sha256 in hex and the number of bytes of a file, read in pieces."""
    digest = hashlib.sha256()
    size_bytes = 0
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_READ_BYTES):
                digest.update(piece)
                size_bytes += len(piece)
    except OSError as error:
        raise SourceError(
            f"image {shown(str(path))} cannot be read ({error.strerror}); "
            "make it readable or take it out of the folder"
        ) from error
    return digest.hexdigest(), size_bytes


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    few = ", ".join(shown(name) for name in listed[:_NAMES_IN_A_MESSAGE])
    more = len(listed) - _NAMES_IN_A_MESSAGE
    return f"{few} and {more} more" if more > 0 else few
