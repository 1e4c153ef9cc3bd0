"""``winnow review``: take in answers from a file, then bring the pages up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cleaning.review.pairs_csv import Reading
from cleaning.stages.review import take_in_answers
from cleaning.stages.review_folder import ReviewFolder
from facedata.errors import RequestError
from facedata.lock import hold_workspace
from flows.build import Runner, build, utc_now
from flows.job import open_job


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
