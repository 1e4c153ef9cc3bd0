"""The steps of a build that keep people of excluded sets out; each set is a small build itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cleaning.stages import intra as intra_stage
from cleaning.stages.exclude import Excluded, ExcludeInput, find_excluded
from cleaning.stages.excluded_set import ExcludedSet
from crawlers import ingest as ingest_stage
from facedata.records import LedgerRow
from facedata.stages import StageResult
from flows import steps
from flows.job import Job
from flows.progress import Reporter

Ingested = dict[str, StageResult]
"""Name of an excluded set → its images, listed."""


def ingest_excluded(job: Job, reporter: Reporter) -> Ingested:
    """List every image of every excluded set."""
    return ingest_stage.ingest_excluded(job.storage(), job.resolved, reporter.say)


def measure_excluded(
    job: Job, ingested: Ingested, measure: Callable[[StageResult], Sequence[steps.Part]]
) -> list[steps.Build]:
    """Measure the images of every excluded set, in order of the recipe."""
    return [steps.Build.of(job, images, measure(images)) for images in ingested.values()]


def exclude(build: steps.Build, found: steps.Found, sets: Sequence[steps.Build]) -> Excluded:
    """Find who is somebody of an excluded set; ``sets`` are measured like the build itself."""
    recipe = build.job.recipe
    given = ExcludeInput(
        intra=found.intra,
        judged=steps.judged_rows(build, found.intra, found.inter),
        measured=build.measured,
        crops=build.crops(),
        options=recipe.inter,
        seed=recipe.seed,
        sets=[
            _excluded_set(name, source.has_names, measured)
            for name, source, measured in zip(
                recipe.excluded_names(), recipe.exclude, sets, strict=True
            )
        ],
    )
    return find_excluded(build.job.storage(), given)


def _excluded_set(name: str, has_names: bool, measured: steps.Build) -> ExcludedSet:
    cleaned = steps.intra(measured)
    storage = measured.job.storage()
    return ExcludedSet(
        name=name,
        by_name=has_names,
        claims=str(measured.ingested.facts["claims"]),
        images=measured.images,
        measured=measured.measured,
        crops=measured.crops(),
        cleaned=cleaned,
        rows=storage.read_records(cleaned.path(intra_stage.LEDGER), LedgerRow),
        left_out=measured.ingested.counts["left_out"],
    )
