"""The steps of a build: what each Prefect task calls. No Prefect here, and no arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version as package_version
from typing import Any, Self

from cleaning.faces.config import FacesConfig
from cleaning.review.pairs_csv import Reading
from cleaning.stages import inter as inter_stage
from cleaning.stages import intra as intra_stage
from cleaning.stages.copies import CopyPair
from cleaning.stages.crops import CropReader
from cleaning.stages.embeddings import embed_partition
from cleaning.stages.exclude import Excluded
from cleaning.stages.exclusion import load_exclusion, worth_asking
from cleaning.stages.faces import measure_partition as measure_faces
from cleaning.stages.material import Material, note_newest
from cleaning.stages.measured import Measured, load_measured
from cleaning.stages.photo_decisions import Judged, judge
from cleaning.stages.release import Released, release_version
from cleaning.stages.review import ReviewInput, page_url, take_in_answers, write_pages
from cleaning.stages.review_folder import ReviewFolder
from cleaning.stages.version_folder import ReleaseInput
from crawlers import ingest as ingest_stage
from facedata.errors import ReviewError
from facedata.partitions import partition_images
from facedata.records import ImageRecord, LedgerRow
from facedata.review import CandidateRow
from facedata.stages import StageResult
from facedata.versions import IdentityListFacts
from flows import review_server
from flows.crawl_sources import crawl_sources
from flows.job import Job
from flows.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Some images: id → where the bytes lie, and which of them are aligned faces."""

    locations: dict[str, str]
    aligned: frozenset[str]

    def __len__(self) -> int:
        return len(self.locations)


Part = tuple[StageResult, StageResult | None]
"""A partition's faces, and their embeddings when they were asked for."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A build after its partitions are measured; what it reads is read once."""

    job: Job
    ingested: StageResult
    parts: Sequence[tuple[StageResult, StageResult]]

    @classmethod
    def of(cls, job: Job, ingested: StageResult, parts: Sequence[Part]) -> Self:
        """A build whose partitions are all embedded."""
        embedded = [(faces, vectors) for faces, vectors in parts if vectors is not None]
        return cls(job=job, ingested=ingested, parts=embedded)

    @property
    def faces(self) -> list[StageResult]:
        """The faces stage's results, in order of partitions."""
        return [faces for faces, _ in self.parts]

    @cached_property
    def images(self) -> list[ImageRecord]:
        """Every image that came in."""
        path = self.ingested.path(ingest_stage.IMAGES)
        return self.job.storage().read_records(path, ImageRecord)

    @cached_property
    def measured(self) -> Measured:
        """What was measured on all images."""
        embeddings = [embedded for _, embedded in self.parts]
        return load_measured(self.job.storage(), self.faces, embeddings)

    def crops(self) -> CropReader:
        """The aligned crops."""
        return CropReader(self.job.storage(), self.faces)


def crawl(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Fetch what the recipe's sources name; what an earlier run fetched is not fetched again."""
    return crawl_sources(job, reporter)


def ingest(job: Job, reporter: Reporter) -> StageResult:
    """List every image of every source."""
    return ingest_stage.ingest(job.storage(), job.resolved, reporter.say)


def partition(job: Job, ingested: StageResult) -> list[Partition]:
    """The distinct images in partitions."""
    rows = job.storage().read_records(ingested.path(ingest_stage.IMAGES), ImageRecord)
    location = {row.image_id: row.location for row in rows}
    of_aligned = job.recipe.aligned_sources()
    aligned = {row.image_id for row in rows if row.source in of_aligned}
    return [
        Partition(
            locations={image_id: location[image_id] for image_id in part},
            aligned=frozenset(aligned.intersection(part)),
        )
        for part in partition_images(location)
    ]


def measure_partition(job: Job, part: Partition, embed: bool, threads: int) -> Part:
    """Find and measure one partition's faces, and embed them when asked to."""
    options = job.recipe.faces
    config = FacesConfig(min_score=options.min_score, min_size=options.min_size, threads=threads)
    faces = measure_faces(job.storage(), part.locations, job.pack(), config, part.aligned)
    return faces, embed_partition(job.storage(), faces, job.pack(), threads) if embed else None


def intra(build: Build) -> StageResult:
    """Clean inside each identity."""
    given = intra_stage.IntraInput(
        recipe=build.job.recipe,
        claims=str(build.ingested.facts["claims"]),
        images=build.images,
        measured=build.measured,
        parts=build.parts,
    )
    return intra_stage.clean(build.job.storage(), given)


def judged_rows(build: Build, intra: StageResult, inter: StageResult | None = None) -> Judged:
    """The ledger with what people decided about photos; with ``inter``, as that stage saw it."""
    storage = build.job.storage()
    folder = ReviewFolder(storage=storage, dataset=build.job.recipe.name)
    return judge(
        storage.read_records(intra.path(intra_stage.LEDGER), LedgerRow),
        folder.photo_decisions(),
        build.measured,
        None if inter is None else inter.facts[inter_stage.SEEN],
    )


def inter(build: Build, intra: StageResult) -> StageResult:
    """Find merge candidates."""
    given = inter_stage.InterInput(
        intra=intra,
        judged=judged_rows(build, intra),
        measured=build.measured,
        options=build.job.recipe.inter,
        seed=build.job.recipe.seed,
        copies=build.job.storage().read_records(intra.path(intra_stage.COPIES), CopyPair),
    )
    return inter_stage.find_candidates(build.job.storage(), given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The results of the stages inside and between identities.

    ``exclude`` is None when the recipe excludes no set, ``is_server_down`` whether the review
    server could not be reached before them.
    """

    intra: StageResult
    inter: StageResult
    exclude: Excluded | None = None
    is_server_down: bool = False


def check_review(job: Job) -> None:
    """Check what the review needs before any work starts.

    Raises:
        RequestError: the review server's token is missing, faces cannot reach the browser, or
            the pairs with known answers cannot be read.
    """
    if job.recipe.review.backend == "label-studio":
        review_server.review_of(job.recipe, job.resolved, job.storage())
        review_server.read_controls(job.resolved)


def fetch_answers(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Fetch what people answered on the review server; one that fails does not stop a build."""
    if job.recipe.review.backend != "label-studio":
        return {}
    opened = review_server.review_of(job.recipe, job.resolved, job.storage())
    try:
        return review_server.pull(opened, reporter.say)
    except ReviewError as error:
        reporter.say(f"review: {error}; going on with the answers fetched so far")
        return {"unreachable": True}


def review(build: Build, found: Found, reading: Reading, reporter: Reporter) -> dict[str, Any]:
    """Put before people what is open: on pages with a table, or on the review server."""
    backend = build.job.recipe.review.backend
    if backend == "none":
        return {"backend": "none"}
    folder = ReviewFolder(storage=build.job.storage(), dataset=build.job.recipe.name)
    if backend == "label-studio":
        return _send_questions(build, found, folder, reporter)
    taken = take_in_answers(folder, reading)
    storage = build.job.storage()
    candidates = storage.read_records(found.inter.path(inter_stage.CANDIDATES), CandidateRow)
    exclusion = load_exclusion(storage, found.exclude.result) if found.exclude else None
    shown = ReviewInput(
        candidates=worth_asking(candidates, exclusion),
        rows=judged_rows(build, found.intra, found.inter).rows,
        measured=build.measured,
        crops=build.crops(),
    )
    return {**write_pages(folder, shown), "new_answers": taken, "page": page_url(folder)}


def _send_questions(
    build: Build, found: Found, folder: ReviewFolder, reporter: Reporter
) -> dict[str, Any]:
    material = Material(
        folder=folder,
        ingested=build.ingested,
        parts=build.parts,
        intra=found.intra,
        inter=found.inter,
        exclude=found.exclude.result if found.exclude else None,
        models=build.job.pack().digests,
    )
    note_newest(material)
    opened = review_server.review_of(build.job.recipe, build.job.resolved, folder.storage)
    counts = {
        **review_server.count_candidates(material),
        "page": build.job.resolved.review.url,
    }
    if found.is_server_down:
        # Each request would be repeated for a minute again.
        reporter.say(
            "review: nothing is sent to a server that failed before; `winnow review push` sends "
            "the questions later"
        )
        return {**counts, "unreachable": True}
    try:
        sent = review_server.push(opened, material, 1, reporter.say)
    except ReviewError as error:
        reporter.say(f"review: {error}; `winnow review push` sends the questions later")
        sent = {"unreachable": True}
    return {**counts, **sent}


def release(build: Build, found: Found) -> Released:
    """Release a version when anything changed."""
    storage = build.job.storage()
    exclude = found.exclude
    given = ReleaseInput(
        recipe=build.job.recipe,
        code_version=package_version("winnow-faces"),
        models=build.job.pack().digests,
        images=build.images,
        judged=judged_rows(build, found.intra, found.inter),
        intra=found.intra,
        inter=found.inter,
        candidates=storage.read_records(found.inter.path(inter_stage.CANDIDATES), CandidateRow),
        faces=build.faces,
        measured=build.measured,
        copies=storage.read_records(found.intra.path(intra_stage.COPIES), CopyPair),
        exclusion=load_exclusion(storage, exclude.result) if exclude else None,
        excluded_sets=exclude.sets if exclude else (),
        identity_lists=tuple(
            IdentityListFacts(**one) for one in build.ingested.facts["identity_lists"]
        ),
    )
    return release_version(storage, given)
