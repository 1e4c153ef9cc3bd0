"""What a model pack is worth on evaluation sets, and which pack a name means."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleaning.faces.pack import find_pack
from facedata.errors import RequestError
from facedata.models import model_folder, read_current
from facedata.storage import Storage
from facedata.versions import read_manifest
from flows.all_pairs import Compared, compare_all
from flows.evaluation_files import EvaluationSet, open_sets
from flows.evaluation_set import Sight
from flows.held_out import HeldOut, check_held_out, version_faces
from flows.identify import Identified, identify
from flows.job import pack_location
from flows.progress import Reporter
from training.evaluate.operating_point import OperatingPoint
from training.evaluate.pairs import FARS
from training.evaluate.report import PairReport, pair_report

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """How a pack does on a set; ``without_face`` are the photos in which it found none."""

    report: PairReport
    images: int
    without_face: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    repeated: int = 0
    identified: Identified | None = None
    compared: Compared | None = None

    def point(self, far: float) -> OperatingPoint | None:
        """The operating point at a rate that was asked for; None where it cannot be measured."""
        return self.report.points[far]

    def as_json(self) -> Answer:
        """Plain numbers."""
        missing = list(self.without_face)
        found = {**self.report.as_json(), "images": self.images, "without_face": missing}
        found |= {"copies": list(self.copies), "repeated_pairs": self.repeated}
        if self.identified is not None:
            found["identification"] = self.identified.as_json()
        if self.compared is not None:
            found["all_pairs"] = self.compared.as_json()
        return found

    def lines(self) -> list[str]:
        """One line per figure."""
        found = self.report.lines()
        if self.without_face:
            found.append(
                f"{len(self.without_face)} of {self.images} photos without a face, first "
                f"{self.without_face[0]}: their pairs count as not accepted"
            )
        if self.copies:
            found.append(
                f"{len(self.copies)} photos are copies of others, first {self.copies[0]}: 1:N and "
                "N:N use each content once"
            )
        if self.repeated:
            found.append(f"{self.repeated} pairs are listed again, and count each time")
        for further in (self.identified, self.compared):
            found += further.lines() if further else []
        return found


def evaluate_sets(
    sight: Sight,
    sets: Sequence[EvaluationSet],
    false_accept_rate: float | None = None,
    *,
    identification: bool = False,
    all_pairs: bool = False,
    reporter: Reporter | None = None,
) -> list[Evaluated]:
    """Measure a pack on every set, at the usual rates and the one given; 1:N and N:N if asked for.

    Raises:
        RequestError: a set cannot be read, or a photo of it is missing.
        ModelError: the pack cannot be used.
    """
    fars = sorted({*FARS, false_accept_rate or FARS[0]}, reverse=True)
    found = []
    for chosen in sets:
        seen = sight.look(chosen)
        report = pair_report(seen.name, seen.scored, fars)
        found.append(
            Evaluated(
                report=report,
                images=seen.images,
                without_face=seen.without_face,
                copies=seen.copies,
                repeated=seen.repeated,
                identified=identify(seen) if identification else None,
                compared=compare_all(seen, reporter) if all_pairs else None,
            )
        )
    return found


def find_model(model: str, storage: Storage | None) -> Path:
    """The folder of a pack: a folder, ``demo``, an insightface pack, or, in a workspace, the name
    of a model or of a data set, whose current model is meant.

    Raises:
        ModelError: there is no such model.
    """
    if storage is not None and storage.is_local and Path(model).name == model:
        current = read_current(storage, model)
        folder = storage.local_path(model_folder(current.model if current else model))
        if folder.is_dir():
            return folder
    return find_pack(pack_location(model), download=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What ``winnow evaluate`` is asked for beside the model.

    ``photos`` is for the CSVs among ``sets``; ``workspace`` is where model names are looked up and
    aligned faces are kept, without it they are forgotten. ``flip`` adds the mirrored face, as
    published results do and cleaning does not; ``identification`` also searches 1:N, ``all_pairs``
    compares every photo with every other. ``version`` of the workspace is one in which nobody of
    the sets should be.
    """

    sets: tuple[Path, ...]
    photos: Path | None = None
    workspace: str | None = None
    flip: bool = False
    identification: bool = False
    all_pairs: bool = False
    version: str | None = None


def evaluate(model: str, options: EvaluateOptions) -> Answer:
    """Measure a model and return what was found, as JSON values and as lines.

    Raises:
        RequestError: a set, a photo or the model is missing or not usable.
    """
    sets = open_sets(options.sets, options.photos)
    workspace = None if options.workspace is None else Storage(options.workspace)
    with ExitStack() as stack:
        reporter = stack.enter_context(Reporter())
        cache = workspace or Storage(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = find_model(model, workspace)
        sight = Sight(folder, cache, flip=options.flip, reporter=reporter)
        measured = evaluate_sets(
            sight,
            sets,
            identification=options.identification,
            all_pairs=options.all_pairs,
            reporter=reporter,
        )
        held_out = _look_for_people(options.version, workspace, sight, sets)
    return {
        "model": model,
        "folder": str(folder),
        "flip": options.flip,
        "sets": [one.as_json() for one in measured],
        "held_out": [one.as_json() for one in held_out],
        "lines": [
            *(line for one in measured for line in one.lines()),
            *(line for one in held_out for line in one.lines()),
        ],
    }


def _look_for_people(
    version: str | None, workspace: Storage | None, sight: Sight, sets: Sequence[EvaluationSet]
) -> list[HeldOut]:
    """Whether people of the sets are in a version; nothing where none is asked about."""
    if version is None:
        return []
    if workspace is None:
        raise RequestError(f"version {version}: give the workspace that holds it with -w")
    manifest = read_manifest(workspace, version)
    faces = version_faces(workspace, manifest, sight)
    return [check_held_out(sight.look(one), faces, manifest) for one in sets]
