"""What questions to people are made from: the newest build's findings, found again by its stages.

The build notes in ``review/<dataset>/newest.json`` which stage results it rests on, so that
questions can be sent later, by another process, without building again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cleaning.stages import inter as inter_stage
from cleaning.stages import intra as intra_stage
from cleaning.stages.copies import CopyPair
from cleaning.stages.crops import CropReader
from cleaning.stages.exclusion import Exclusion, load_exclusion
from cleaning.stages.measured import Measured, load_measured
from cleaning.stages.photo_decisions import Judged, apply_measured, judge
from cleaning.stages.review_folder import ReviewFolder
from facedata.errors import IntegrityError, RequestError
from facedata.records import ImageRecord, LedgerRow
from facedata.review import CandidateRow, PairEvidence
from facedata.stages import StageResult, find_stage

_NEWEST = "newest.json"
_IMAGES = "images.parquet"
_MODEL_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Material:
    """The findings of one build; what is read from disk is read once, when it is needed.

    ``parts`` are the faces and embeddings of each partition, ``models`` the digests by file name,
    detector first.
    """

    folder: ReviewFolder
    ingested: StageResult
    parts: Sequence[tuple[StageResult, StageResult]]
    intra: StageResult
    inter: StageResult
    models: Mapping[str, str]
    exclude: StageResult | None = None
    """None when the recipe excludes no set."""

    @cached_property
    def images(self) -> list[ImageRecord]:
        """Every image that came in."""
        return self.folder.storage.read_records(self.ingested.path(_IMAGES), ImageRecord)

    @cached_property
    def judged(self) -> Judged:
        """The ledger before identities are merged, with people's decisions in grids of photos."""
        path = self.intra.path(intra_stage.LEDGER)
        rows = self.folder.storage.read_records(path, LedgerRow)
        return judge(rows, self.folder.photo_decisions(), self.measured)

    @cached_property
    def rows(self) -> list[LedgerRow]:
        """The same ledger, with the decisions of audits too."""
        return apply_measured(self.judged.rows, self.folder.photo_decisions(), self.measured)

    @cached_property
    def candidates(self) -> list[CandidateRow]:
        """The merge candidates."""
        path = self.inter.path(inter_stage.CANDIDATES)
        return self.folder.storage.read_records(path, CandidateRow)

    @cached_property
    def evidence(self) -> list[PairEvidence]:
        """What was measured about each merge candidate."""
        path = self.inter.path(inter_stage.EVIDENCE)
        return self.folder.storage.read_records(path, PairEvidence)

    @cached_property
    def copies(self) -> list[CopyPair]:
        """The photos that are one picture; none where an earlier Winnow did not list them."""
        if intra_stage.COPIES not in self.intra.files:
            return []
        path = self.intra.path(intra_stage.COPIES)
        return self.folder.storage.read_records(path, CopyPair)

    @cached_property
    def exclusion(self) -> Exclusion | None:
        """Who must be kept out; None when the recipe excludes no set."""
        return load_exclusion(self.folder.storage, self.exclude) if self.exclude else None

    @cached_property
    def excluded(self) -> frozenset[str]:
        """Identities that are out, but for those merged with them."""
        return frozenset(self.exclusion.identities()) if self.exclusion else frozenset()

    @cached_property
    def measured(self) -> Measured:
        """The measurements of all faces."""
        faces, embeddings = zip(*self.parts, strict=True)
        return load_measured(self.folder.storage, faces, embeddings)

    @cached_property
    def crops(self) -> CropReader:
        """The aligned crops."""
        return CropReader(self.folder.storage, [faces for faces, _ in self.parts])

    @property
    def held(self) -> Mapping[str, str]:
        """Identities that the cleaning held, with the reason."""
        held: Mapping[str, str] = self.intra.facts["held"]
        return held

    @property
    def cut(self) -> float:
        """The similarity to an identity's centre from which a photo is kept."""
        return float(self.intra.facts["calibration"]["readmit"])

    @property
    def doubtful(self) -> tuple[float, float]:
        """Similarities between which a photo is near the cut: half-way down to those of strangers,
        and half-way up to those of one person."""
        pairs = self.intra.facts["calibration"]["pairs"]
        strangers, same = pairs["different"]["location"], pairs["same_median"]
        return (self.cut + strangers) / 2, (self.cut + same) / 2

    @property
    def candidate_threshold(self) -> float:
        """The similarity from which two identities are a merge candidate."""
        return float(self.inter.facts["threshold"])

    @property
    def model(self) -> str:
        """The recogniser, as decisions name it: its file and the first digits of its digest."""
        name, digest = list(self.models.items())[-1]
        return f"{name} {digest[:_MODEL_DIGITS]}"


def note_newest(material: Material) -> None:
    """Note which stage results the newest build rests on."""
    noted: dict[str, Any] = {
        "ingest": _reference(material.ingested),
        "parts": [[_reference(stage) for stage in part] for part in material.parts],
        "intra": _reference(material.intra),
        "inter": _reference(material.inter),
        "exclude": _reference(material.exclude) if material.exclude else None,
        "models": dict(material.models),
    }
    folder = material.folder
    folder.storage.write(folder.path(_NEWEST), json.dumps(noted, indent=1).encode())


def find_newest(folder: ReviewFolder) -> Material:
    """Find the newest build's findings.

    Raises:
        RequestError: when there was no build yet.
        IntegrityError: when a stage that it rests on is gone.
    """
    path = folder.path(_NEWEST)
    if not folder.storage.exists(path):
        raise RequestError(
            f"workspace {folder.storage.root}: nothing of {folder.dataset!r} has been built yet; "
            "run `winnow build` with the recipe first"
        )
    noted = json.loads(folder.storage.read(path))
    parts = [(_found(folder, faces), _found(folder, vectors)) for faces, vectors in noted["parts"]]
    return Material(
        folder=folder,
        ingested=_found(folder, noted["ingest"]),
        parts=parts,
        intra=_found(folder, noted["intra"]),
        inter=_found(folder, noted["inter"]),
        models=noted["models"],
        exclude=_found(folder, noted["exclude"]) if noted.get("exclude") else None,
    )


def _reference(stage: StageResult) -> list[str]:
    return [stage.stage, stage.key]


def _found(folder: ReviewFolder, reference: Sequence[str]) -> StageResult:
    stage, key = reference
    found = find_stage(folder.storage, stage, key)
    if found is None:
        raise IntegrityError(
            f"workspace {folder.storage.root}: stages/{stage}/{key} is gone; "
            "run `winnow build` with the recipe again"
        )
    return found
