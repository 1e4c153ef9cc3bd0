"""Evaluation sets as files: ``.bin`` sets, or CSVs of pairs with their photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facedata.errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSet:
    """``path`` is a ``.bin`` file, or a CSV of pairs whose images lie below ``photos``.

    ``name`` is what reports call it, and no other set beside it.
    """

    path: Path
    photos: Path | None
    name: str


def open_sets(paths: Sequence[Path], photos: Path | None = None) -> tuple[EvaluationSet, ...]:
    """Evaluation sets by their files, each with a name of its own.

    Raises:
        RequestError: one is named twice, or ``open_set`` refuses it.
    """
    sets = [open_set(path, photos) for path in paths]
    files = [path.resolve() for path in paths]
    twice = next((file for index, file in enumerate(files) if file in files[:index]), None)
    if twice is not None:
        raise RequestError(f"evaluation set {twice}: named twice; name it once")
    # A link keeps its own name: it may point to a file that is named after its content.
    names = distinct_names([path.parent.resolve() / path.name for path in paths])
    return tuple(replace(one, name=name) for one, name in zip(sets, names, strict=True))


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The names of distinct files without endings, or with so many of their folders as tell them
    apart."""
    names = [path.stem for path in paths]
    parts = 0
    while len(set(names)) < len(names):
        parts += 1
        names = [str(Path(*path.parts[-parts:])) for path in paths]
    return names


def open_set(path: Path, photos: Path | None = None) -> EvaluationSet:
    """An evaluation set by its file; photos lie beside a CSV unless ``photos`` says where.

    Raises:
        RequestError: the file or the folder is missing, or the file is of no known kind.
    """
    if path.suffix not in {".bin", ".csv"}:
        raise RequestError(f"evaluation set {path}: give a .bin file, or a .csv of pairs")
    if not path.is_file():
        raise RequestError(f"evaluation set {path}: no such file; check the path")
    if path.suffix == ".bin":
        return EvaluationSet(path=path, photos=None, name=path.stem)
    folder = photos or path.parent
    if not folder.is_dir():
        raise RequestError(f"photos {folder}: no such folder; give the one that {path} starts from")
    return EvaluationSet(path=path, photos=folder, name=path.stem)
