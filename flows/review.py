"""``winnow review``, and the flow that exchanges questions and answers on a schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow

from cleaning.review.pairs_csv import Reading
from cleaning.stages.material import find_newest
from cleaning.stages.review import take_in_answers
from cleaning.stages.review_folder import ReviewFolder
from facedata.errors import RequestError
from facedata.lock import hold_workspace
from flows import review_server
from flows.build import Runner, build
from flows.clock import utc_now
from flows.job import open_job
from flows.progress import Reporter
from flows.review_events import tell_missed


@flow(name="review", persist_result=False)
def review(recipe: str, workspace: str, batches: int = 1) -> dict[str, Any]:
    """Fetch answers from the review server, then send what is to be asked next.

    Made to be scheduled every few minutes: a run with nothing to do takes seconds and changes
    nothing. When a batch is complete it tells ``facedata.review.completed``, which starts a
    build where one is deployed for it; so it does, once, for batches whose end was seen by a
    command without a Prefect server.

    Args:
        recipe: path of the recipe file.
        workspace: folder or fsspec URL of the workspace.
        batches: how many batches of pairs to keep open.

    Raises:
        RequestError: the recipe or the token is not usable.
        ReviewError: the server failed; the next run goes on.
    """
    opened = review_server.open_review(Path(recipe), workspace)
    with Reporter() as reporter:
        pulled = review_server.pull(opened, reporter.say)
        told_late = tell_missed(opened.folder)
        try:
            material = find_newest(opened.folder)
        except RequestError as error:
            # Scheduled before the first build: nothing is wrong, there is nothing to ask yet.
            reporter.say(f"review: {error}")
            return {**pulled, "told_late": told_late, "new_questions": 0}
        pushed = review_server.push(opened, material, batches, reporter.say)
    return {**pulled, "told_late": told_late, **pushed}


def take_answers(
    recipe: Path, workspace: str, answers: Path | None, reviewer: str, runner: Runner
) -> dict[str, Any]:
    """Append the answers to the decision log and run the build up to the review pages.

    Args:
        recipe: the recipe file.
        workspace: the workspace.
        answers: a filled-in ``pairs.csv``, or None for the one in the review folder.
        reviewer: who answered, for rows that do not say it.
        runner: how partitions run in parallel.

    Raises:
        RequestError: the file is missing, or a row in it is not usable.
    """
    job = open_job(recipe, workspace)
    folder = ReviewFolder(storage=job.storage(), dataset=job.recipe.name)
    reading = Reading(reviewer=reviewer, decided_at=utc_now())
    with hold_workspace(job.storage()):
        taken = take_in_answers(folder, reading, _content(answers))
    result = build(str(recipe), workspace, runner, until="review")
    result["stages"]["review"]["new_answers"] = taken
    return result


def _content(answers: Path | None) -> bytes | None:
    if answers is None:
        return None
    try:
        return answers.read_bytes()
    except OSError as error:
        raise RequestError(
            f"answers {answers}: cannot be read ({error.strerror}); give a filled-in pairs.csv"
        ) from error
