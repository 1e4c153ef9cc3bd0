"""One set of pairs, judged: a report for programs (JSON) and for people (lines)."""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facedata.errors import RequestError
from training.evaluate.all_pairs import AllPairs
from training.evaluate.identification import OpenSetPoint, RankRate
from training.evaluate.operating_point import OperatingPoint
from training.evaluate.pairs import (
    FARS,
    Accuracy,
    Int64,
    ScoredPairs,
    ValidationRate,
    accuracy,
    tar_at_far,
    validation_rate,
)

VAL_FAR = 1e-3
_FEW = 30
"""Fewer errors than this tell a rate badly (Doddington's rule of 30)."""
_FOLD_DIGITS = 9
_COLUMNS = ("image_a", "image_b", "same")
_SAME = {"1": True, "0": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReport:
    """How a recogniser does on one set of pairs; ``val`` and points are None where unmeasured."""

    name: str
    genuine: int
    impostors: int
    accuracy: Accuracy
    val: ValidationRate | None
    points: dict[float, OperatingPoint | None]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers; rates that the pairs cannot measure are null."""
        val = self.val
        return {
            "name": self.name,
            "genuine": self.genuine,
            "impostors": self.impostors,
            "accuracy": {"mean": self.accuracy.mean, "std": self.accuracy.std},
            "val_at_far": None
            if val is None
            else {"far": val.far, "mean": val.mean, "std": val.std, "measured": val.measured_far},
            "tar_at_far": points_as_json(self.points),
        }

    def lines(self) -> list[str]:
        """One line per figure."""
        found = [f"{self.name}: {self.genuine:,} same and {self.impostors:,} different pairs"]
        found.append(f"accuracy {self.accuracy.mean:.4%} ± {self.accuracy.std:.4%}")
        if self.val is not None:
            found.append(f"VAL@FAR {self.val.far:g} {self.val.mean:.4%} ± {self.val.std:.4%}")
        return found + point_lines(self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairList:
    """Two image names per pair, whether they show one person, and folds if the file has them.

    ``repeated`` counts pairs that the file lists again: LFW's list does, and published figures
    count them each time.
    """

    image_a: tuple[str, ...]
    image_b: tuple[str, ...]
    same: NDArray[np.bool_]
    folds: Int64 | None
    repeated: int


def pair_report(name: str, pairs: ScoredPairs, fars: Sequence[float] = FARS) -> PairReport:
    """All figures of one set of scored pairs."""
    return PairReport(
        name=name,
        genuine=int(np.sum(pairs.same)),
        impostors=int(np.sum(~pairs.same)),
        accuracy=accuracy(pairs),
        val=validation_rate(pairs, VAL_FAR),
        points=tar_at_far(pairs, fars),
    )


def read_pairs_csv(path: Path) -> PairList:
    """Read columns ``image_a``, ``image_b``, ``same`` (1 or 0, true or false), perhaps ``fold``.

    Names are normalised, so that ``./a.jpg`` is ``a.jpg``.

    Raises ``RequestError`` naming the line that cannot be read, pairs a photo with itself, or
    contradicts another.
    """
    header, rows = _read_rows(path)
    if any(column not in header for column in _COLUMNS):
        raise RequestError(
            f"{path}: columns are {', '.join(header) or 'none'}; needed are {', '.join(_COLUMNS)}"
        )
    if not rows:
        raise RequestError(f"{path}: it lists no pair; write one on each line")
    for line, row in rows:
        _check_row(path, line, row)
    names = [[posixpath.normpath(row[side]) for _, row in rows] for side in _COLUMNS[:2]]
    same = [_SAME[row["same"].lower()] for _, row in rows]
    lines = [line for line, _ in rows]
    return PairList(
        image_a=tuple(names[0]),
        image_b=tuple(names[1]),
        same=np.array(same, dtype=np.bool_),
        folds=np.array([int(row["fold"]) for _, row in rows]) if "fold" in header else None,
        repeated=_count_repeated(path, zip(*names, same, lines, strict=True)),
    )


def _read_rows(path: Path) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    """The header, and rows with the line that each ends on."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            header = tuple(reader.fieldnames or ())
            return header, [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"{path}: cannot be read: {error}; give a CSV of pairs") from error


def _count_repeated(path: Path, pairs: Iterable[tuple[str, str, bool, int]]) -> int:
    """How many pairs were listed before, either way round."""
    known: dict[tuple[str, ...], tuple[bool, int]] = {}
    repeated = 0
    for first, second, same, line in pairs:
        if first == second:
            raise RequestError(
                f"{path}, line {line}: {first} is paired with itself; name two photos"
            )
        before = known.setdefault(tuple(sorted((first, second))), (same, line))
        if before[0] != same:
            raise RequestError(
                f"{path}, lines {before[1]} and {line}: {first} and {second} are one person in one "
                "and two in the other; leave the wrong one out"
            )
        repeated += before[1] != line
    return repeated


def points_as_json(points: Mapping[float, OperatingPoint | None]) -> dict[str, Any]:
    """By FAR as text: the shares, their intervals and the counts; null where not measured."""
    return {f"{far:g}": None if point is None else _point(point) for far, point in points.items()}


def point_lines(points: Mapping[float, OperatingPoint | None]) -> list[str]:
    """One line per FAR."""
    return [_point_line(far, point) for far, point in points.items()]


def all_pairs_as_json(result: AllPairs) -> dict[str, Any]:
    """An N:N evaluation as plain numbers."""
    return {
        "genuine": result.genuine,
        "impostors": result.impostors,
        "pairs_without_face": result.missing,
        "tar_at_far": points_as_json(result.points),
    }


def identification_as_json(
    ranks: Mapping[int, RankRate], points: Mapping[float, OpenSetPoint | None]
) -> dict[str, Any]:
    """A 1:N evaluation as plain numbers: closed set by rank, open set by FPIR."""
    return {
        "rank": {
            str(rank): {"rate": found.rate, "interval": list(found.interval)}
            for rank, found in ranks.items()
        },
        "fnir_at_fpir": {
            f"{fpir:g}": None if point is None else _open_point(point)
            for fpir, point in points.items()
        },
    }


def _check_row(path: Path, line: int, row: Mapping[str, str | None]) -> None:
    for name in (row["image_a"], row["image_b"]):
        if name and "\0" in name:
            raise RequestError(f"{path}, line {line}: {name!r} holds a zero byte; leave it out")
    if not row["image_a"] or not row["image_b"]:
        raise RequestError(f"{path}, line {line}: an image is missing; name two")
    if (row["same"] or "").lower() not in _SAME:
        raise RequestError(f"{path}, line {line}: same is {row['same']!r}; write 1 or 0")
    fold = row.get("fold", "0") or ""
    if not (fold.isdecimal() and len(fold) <= _FOLD_DIGITS):
        raise RequestError(
            f"{path}, line {line}: fold is {fold[:40]!r}; write a whole number of up to "
            f"{_FOLD_DIGITS} digits"
        )


def _point(point: OperatingPoint) -> dict[str, Any]:
    return {
        "tar": point.tar,
        "tar_interval": list(point.tar_interval),
        "measured_far": point.measured_far,
        "far_interval": list(point.far_interval),
        "threshold": point.threshold,
        "true_accepts": point.true_accepts,
        "false_accepts": point.false_accepts,
    }


def _open_point(point: OpenSetPoint) -> dict[str, Any]:
    return {
        "fnir": point.fnir,
        "fnir_interval": list(point.fnir_interval),
        "measured_fpir": point.measured_fpir,
        "threshold": point.threshold,
        "misses": point.misses,
        "false_positives": point.false_positives,
    }


def _point_line(far: float, point: OperatingPoint | None) -> str:
    if point is None:
        return f"TAR@FAR {far:g} not measured: too few different pairs"
    low, high = point.tar_interval
    return (
        f"TAR@FAR {far:g} {point.tar:.4%} ({low:.4%} to {high:.4%}) at similarity "
        f"{point.threshold:.4f}, {point.false_accepts:,} false accepts{_warning(point)}"
    )


def _warning(point: OperatingPoint) -> str:
    return ": few to go by" if point.false_accepts < _FEW else ""
