"""One set of pairs, judged: a report for programs (JSON) and for people (lines)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
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
    """Two image names per pair, whether they show one person, and folds if the file has them."""

    image_a: tuple[str, ...]
    image_b: tuple[str, ...]
    same: NDArray[np.bool_]
    folds: Int64 | None


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

    Raises ``RequestError`` naming the line that cannot be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            header = tuple(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"{path}: cannot be read: {error}; give a CSV of pairs") from error
    if any(column not in header for column in _COLUMNS):
        raise RequestError(
            f"{path}: columns are {', '.join(header) or 'none'}; needed are {', '.join(_COLUMNS)}"
        )
    for line, row in enumerate(rows, start=2):
        _check_row(path, line, row)
    return PairList(
        image_a=tuple(row["image_a"] for row in rows),
        image_b=tuple(row["image_b"] for row in rows),
        same=np.array([_SAME[row["same"].lower()] for row in rows], dtype=np.bool_),
        folds=np.array([int(row["fold"]) for row in rows]) if "fold" in header else None,
    )


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
    if not row["image_a"] or not row["image_b"]:
        raise RequestError(f"{path}, line {line}: an image is missing; name two")
    if (row["same"] or "").lower() not in _SAME:
        raise RequestError(f"{path}, line {line}: same is {row['same']!r}; write 1 or 0")
    if "fold" in row and not (row["fold"] or "").isdecimal():
        raise RequestError(f"{path}, line {line}: fold is {row['fold']!r}; write a whole number")


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
        f"{point.threshold:.4f}, {point.false_accepts:,} false accepts"
    )
