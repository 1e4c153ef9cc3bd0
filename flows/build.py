"""The ``build`` flow: every stage in order, partitions in parallel, I/O retried.

It needs no Prefect server of its own: without one, Prefect starts a temporary one in this
process. A run that was killed is simply started again; stages that are complete are found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from getpass import getuser
from typing import Any, Literal, ParamSpec, TypeVar

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from cleaning.faces.config import usable_cores
from cleaning.review.pairs_csv import Reading
from facedata.errors import RequestError, StorageError
from facedata.lock import hold_workspace
from facedata.stages import StageResult
from facedata.versions import manifest_path
from flows import exclusion, steps
from flows.clock import utc_now
from flows.events import emit_released
from flows.job import Job, open_job
from flows.progress import Reporter
from flows.summary import Summary

STAGES = ("crawl", "ingest", "faces", "embed", "intra", "inter", "review", "release")
REVIEWED = ("review", "release")
"""Last stages of builds that exchange questions and answers with people."""

Runner = Literal["threads", "processes"]
P = ParamSpec("P")
R = TypeVar("R")


async def _is_lost_connection(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass: storage that failed. A wrong request or damaged data stays wrong."""
    outcome = await state.aresult(raise_on_failure=False)
    return isinstance(outcome, StorageError)


def _step(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that is never cached: stages find what is done by content."""
    return task(
        name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=2,
        retry_delay_seconds=[1, 5],
        retry_condition_fn=_is_lost_connection,
    )


crawl_task = _step("crawl")(steps.crawl)
ingest_task = _step("ingest")(steps.ingest)
partition_task = _step("partition")(steps.measure_partition)
intra_task = _step("intra")(steps.intra)
inter_task = _step("inter")(steps.inter)
ingest_excluded_task = _step("ingest excluded sets")(exclusion.ingest_excluded)
exclude_task = _step("exclude")(exclusion.exclude)
fetch_task = _step("fetch answers")(steps.fetch_answers)
review_task = _step("review")(steps.review)
release_task = _step("release")(steps.release)


@flow(name="build", persist_result=False)
def build(
    recipe: str, workspace: str, runner: Runner = "threads", until: str = "release"
) -> dict[str, Any]:
    """Build a recipe up to a stage and return what each stage counted.

    Args:
        recipe: path of the recipe file.
        workspace: folder or fsspec URL for stages and versions.
        runner: how partitions run in parallel.
        until: the last stage to run, one of ``STAGES``.

    Raises:
        RequestError: the recipe, its sources, the models or the workspace are not usable.
        WorkError: the work failed.
    """
    if until not in STAGES:
        raise RequestError(f"stage {until!r} is unknown; allowed: {', '.join(STAGES)}")
    job = open_job(recipe, workspace)
    if until in REVIEWED:
        steps.check_review(job)
    with hold_workspace(job.storage()), Reporter() as reporter:
        return _run(job, runner, until, reporter)


def _run(job: Job, runner: Runner, until: str, reporter: Reporter) -> dict[str, Any]:
    summary = Summary(job, until, reporter)
    crawled = crawl_task(job, reporter)
    summary.add("crawl", crawled)
    if summary.reached("crawl"):
        return summary.result()
    images = ingest_task(job, reporter)
    summary.add_stage(images)
    # At once, so that a missing set is told before hours of work.
    to_exclude = ingest_excluded_task(job, reporter) if job.recipe.exclude else {}
    summary.add_excluded(to_exclude)
    if summary.reached("ingest"):
        return summary.result()
    parts = _measure(job, runner, images, until != "faces", reporter)
    summary.add_parts(parts)
    if summary.reached("faces", "embed"):
        return summary.result()
    build_so_far = steps.Build.of(job, images, parts)
    # Before the stages that answers change.
    fetched = fetch_task(job, reporter) if until in REVIEWED else {}
    intra = intra_task(build_so_far)
    summary.add_stage(intra)
    if summary.reached("intra"):
        return summary.result()
    inter = inter_task(build_so_far, intra)
    summary.add_stage(inter)
    if summary.reached("inter"):
        return summary.result()
    reading = Reading(reviewer=getuser(), decided_at=utc_now())
    found = steps.Found(intra=intra, inter=inter, is_server_down=bool(fetched.get("unreachable")))
    if to_exclude:
        measured = exclusion.measure_excluded(
            job, to_exclude, lambda images: _measure(job, runner, images, True, reporter)
        )
        excluded = exclude_task(build_so_far, found, measured)
        summary.add_stage(excluded.result)
        found = replace(found, exclude=excluded)
    asked = review_task(build_so_far, found, reading, reporter)
    summary.add("review", {**fetched, **asked})
    if summary.reached("review"):
        return summary.result()
    released = release_task(build_so_far, found)
    summary.add_release(released)
    _announce(job, released.manifest.version)
    return summary.result()


def _announce(job: Job, version: str) -> None:
    """Emit the release's event once; a run that was killed before it is made up for later."""
    storage = job.storage()
    marker = f"events/{version}.json"
    if storage.exists(marker):
        return
    if emit_released(job.recipe.name, version, storage.url(manifest_path(version))):
        storage.write(marker, b"{}")


def _measure(
    job: Job, runner: Runner, images: StageResult, embed: bool, reporter: Reporter
) -> Sequence[steps.Part]:
    workers = usable_cores()
    pool: TaskRunner[Any] = (
        ProcessPoolTaskRunner(max_workers=workers)
        if runner == "processes"
        else ThreadPoolTaskRunner(max_workers=workers)
    )
    measure = measure_partitions.with_options(task_runner=pool)
    return measure(job, images, embed, reporter)


@flow(name="measure", persist_result=False, validate_parameters=False)
def measure_partitions(
    job: Job, images: StageResult, embed: bool, reporter: Reporter
) -> Sequence[steps.Part]:
    """Detect, align and embed, one task per partition; the order is that of the partitions."""
    partitions = steps.partition(job, images)
    threads = max(1, usable_cores() // len(partitions))
    reporter.start("photos", sum(len(part) for part in partitions))
    futures: list[PrefectFuture[steps.Part]] = [
        partition_task.submit(job, part, embed, threads) for part in partitions
    ]
    sizes = {
        future.task_run_id: len(part) for future, part in zip(futures, partitions, strict=True)
    }
    for future in as_completed(futures):
        future.result()
        reporter.advance("photos", sizes[future.task_run_id])
    return [future.result() for future in futures]
