"""Who the classes of a set are: sets for training number their people and often name none."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from crawlers.identity_name import normalise_identity, shown
from facedata.errors import SourceError

_COLUMNS = ("label", "identity")
_LST_FIELDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassNames:
    """The names of a source's classes.

    A class without a name is called ``<source>:<number>``: class 7 of one set is not class 7 of
    another. With ``complete`` every class must have a name.
    """

    source: str
    names: Mapping[int, str] = field(default_factory=dict)
    complete: bool = False

    def of_number(self, number: int) -> str:
        """The identity of a class.

        Raises:
            SourceError: when it is negative, as for images without a label, or a complete list
                does not have it.
        """
        if number < 0:
            raise SourceError(f"class {number} stands for no class")
        name = self.names.get(number)
        if name is None and self.complete:
            raise SourceError(f"class {number} has no name; add it to the list of names")
        return normalise_identity(name or f"{self.source}:{number}", where=self.source)

    def of_text(self, text: str) -> str:
        """The identity of a class label written as text: a number, or the name itself.

        Raises:
            SourceError: when it cannot be a name.
        """
        stripped = text.strip()
        if stripped.isascii() and stripped.isdecimal() and len(stripped) < len(str(1 << 63)):
            return self.of_number(int(stripped))
        return normalise_identity(text, where=self.source)


def load_class_names(path: Path, source: str) -> ClassNames:
    """Read names from a CSV with the columns ``label`` and ``identity``, or a ``.lst`` file.

    A line of ``.lst`` has tab-separated fields, among them a class number and an image's path;
    the folder that the image is in names the class. Both orders are read: flag, path, label
    (insightface) and index, label, path (MXNet).

    Raises:
        SourceError: when it cannot be read, or a line is not of that form.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = _lst_rows(stream, path) if path.suffix == ".lst" else _csv_rows(stream, path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"names {shown(str(path))} cannot be read ({error}); give a CSV with the columns "
            "label and identity, or a .lst file"
        ) from error
    return ClassNames(source=source, names=rows, complete=True)


def _csv_rows(stream: TextIO, path: Path) -> dict[int, str]:
    reader = csv.DictReader(stream)
    if not set(_COLUMNS) <= set(reader.fieldnames or ()):
        raise SourceError(
            f"names {shown(str(path))}: columns are {reader.fieldnames}; needed: label, identity"
        )
    names: dict[int, str] = {}
    for row in reader:
        _add(names, row["label"], row["identity"], f"{path} line {reader.line_num}")
    return names


def _lst_rows(stream: TextIO, path: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for number, line in enumerate(stream, start=1):
        fields = line.rstrip("\r\n").split("\t")
        where = f"{path} line {number}"
        if len(fields) < _LST_FIELDS:
            raise SourceError(f"names {where}: {len(fields)} fields; needed: at least 3, with tabs")
        # The field that is a path tells the two orders apart.
        at_end = "/" in fields[-1] or not _is_number(fields[2])
        label, image = (fields[1], fields[-1]) if at_end else (fields[2], fields[1])
        _add(names, label, Path(image).parent.name, where)
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _add(names: dict[int, str], label: str | None, name: str | None, where: str) -> None:
    try:
        number = float(label or "")
        if number != int(number):
            raise ValueError(label)
    except (ValueError, OverflowError) as error:
        raise SourceError(
            f"names {where}: label {label!r} is no class number; give whole numbers from 0"
        ) from error
    identity = normalise_identity(name or "", where=f"names {where}")
    if names.setdefault(int(number), identity) != identity:
        raise SourceError(
            f"names {where}: class {int(number)} is {names[int(number)]!r} and {identity!r}; "
            "give each class one name"
        )
