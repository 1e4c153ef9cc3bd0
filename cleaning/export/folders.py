"""A version as one folder per person, under names that any disk takes."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from cleaning.export.released import Person, ReleasedVersion
from cleaning.export.whole_folder import IDENTITIES, whole_folder, write_identities

_REFUSED = frozenset('<>:"/\\|?*%')
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
)
_LONGEST = 180
"""Bytes of a folder's name; with what is appended it stays below the 255 that disks allow."""


def folder_name(identity: str) -> str:
    """A folder's name for an identity in any script, the identity itself as far as possible.

    What a disk somewhere does not take is written as ``%XX``; a long name is cut and ends in the
    beginning of its digest.
    """
    name = unicodedata.normalize("NFC", identity)
    escaped = "".join(_escaped(character) for character in name)
    if escaped.startswith("."):
        escaped = f"%2E{escaped[1:]}"
    if escaped.endswith((".", " ")):
        escaped = f"{escaped[:-1]}{_percent(escaped[-1])}"
    if escaped.partition(".")[0].rstrip().casefold() in _DEVICES:
        escaped = f"{_percent(escaped[0])}{escaped[1:]}"
    raw = escaped.encode("utf-8")
    if len(raw) <= _LONGEST:
        return escaped
    digest = hashlib.sha256(raw).hexdigest()[:8]
    return f"{raw[:_LONGEST].decode('utf-8', 'ignore')}~{digest}"


def folder_names(people: Iterable[Person]) -> dict[int, str]:
    """Class index → folder; names that differ only in case get the class index appended."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for person in people:
        name = folder_name(person.identity)
        while _folded(name) in taken:
            name = f"{name}~{person.class_index}"
        taken.add(_folded(name))
        names[person.class_index] = name
    return names


def export_folders(version: ReleasedVersion, to: Path) -> dict[str, int]:
    """Write a version as one folder per person in a new folder and count what it holds.

    ``identities.csv`` says who is in which folder; an image keeps its bytes.

    Raises:
        RequestError: when the folder is there already.
        IntegrityError, StorageError: when a shard is damaged or cannot be read, or the folder
            cannot be written.
    """
    names = folder_names(version.people)
    with whole_folder(to) as folder:
        for person in version.people:
            (folder / names[person.class_index]).mkdir()
        for person, image in version.images():
            path = folder / names[person.class_index] / f"{image.key}.{image.suffix}"
            path.write_bytes(image.data)
        named = ((names[person.class_index], person) for person in version.people)
        write_identities(folder / IDENTITIES, "folder", named)
    return {"images": len(version), "identities": len(version.people)}


def _escaped(character: str) -> str:
    refused = character in _REFUSED or unicodedata.category(character) in _REFUSED_CATEGORIES
    return _percent(character) if refused else character


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name.casefold())
