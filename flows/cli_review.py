"""``winnow review``: people decide what measurements cannot."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flows.cli_options import Json, RecipePath, Runner, RunnerOption, Workspace, answer
from flows.settings import silence_prefect

_DEFAULT = "run"


class _DefaultGroup(TyperGroup):
    """``winnow review RECIPE`` is ``winnow review run RECIPE``, as every stage has its command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help"}:
            args = [_DEFAULT, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


review_app = typer.Typer(
    cls=_DefaultGroup,
    help="""Put merge candidates and doubtful photos before people, and take in their answers.

    `winnow review RECIPE` is `winnow review run RECIPE`. With `review.backend: file` that is the
    only command you need. The others talk to Label Studio, at the recipe's `review.url` with the
    token in LABEL_STUDIO_API_KEY; builds push and pull by themselves. docs/how-to/review.md tells
    the whole story.""",
    no_args_is_help=True,
)

_USER = os.environ.get("USER", "reviewer")
Reviewer = Annotated[str, typer.Option(help="Who answers, where the answer does not say it.")]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


@review_app.command(_DEFAULT)
def run(
    recipe: RecipePath,
    workspace: Workspace,
    answers: Annotated[
        Path | None,
        typer.Option(help="A filled-in pairs.csv; without it the one in the review folder."),
    ] = None,
    reviewer: Reviewer = _USER,
    runner: RunnerOption = Runner.THREADS,
    as_json: Json = False,
) -> None:
    """Build up to the review: take in answers, then write the pages or send the questions.

    Nothing is released; `winnow build` does all this and releases a version.
    """
    silence_prefect()
    from flows.job import open_job
    from flows.steps import check_review

    # A wrong request is answered here, before Prefect takes its seconds to start.
    check_review(open_job(recipe, workspace))
    from flows.review import take_answers
    from flows.summary import summary_lines

    result = take_answers(recipe, workspace, answers, reviewer, runner.value)
    answer(result, summary_lines(result), as_json)


@review_app.command()
def push(
    recipe: RecipePath,
    workspace: Workspace,
    batches: Annotated[
        int, typer.Option(min=1, max=1000, help="How many batches of pairs to keep open.")
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked; send nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send the next questions to the review server; what an earlier push left is finished.

    Keeps so many batches of pairs open, and one of each other kind: pairs for a senior, grids of
    doubtful photos, the audit. What was answered before is never asked again. Addresses that
    expire are renewed. Needs a build; safe to repeat.
    """
    silence_prefect()
    from cleaning.stages.material import find_newest
    from flows import review_lines, review_server

    review = review_server.open_review(recipe, workspace)
    material = find_newest(review.folder)
    if dry_run:
        result = review_server.plan_push(review, material)
    else:
        result = review_server.push(review, material, batches, _say)
    answer(result, review_lines.push_lines(result), as_json)


@review_app.command()
def pull(recipe: RecipePath, workspace: Workspace, as_json: Json = False) -> None:
    """Fetch answers; what enough people answered becomes a decision. Safe to repeat.

    A batch whose questions are all answered is closed, and the event facedata.review.completed
    is told where a Prefect server is configured. Decisions take effect with the next build.
    """
    silence_prefect()
    from flows import review_lines, review_server

    result = review_server.pull(review_server.open_review(recipe, workspace), _say)
    answer(result, review_lines.pull_lines(result), as_json)


@review_app.command()
def status(recipe: RecipePath, workspace: Workspace, as_json: Json = False) -> None:
    """Say how far the review is, and how well the annotators agree; asks no server.

    It counts what was pulled. Per person: answers, control questions right, agreement with the
    others; per kind of question Krippendorff's alpha, when two or more answered the same ones.
    """
    from flows import review_lines, review_record

    result = review_record.status(recipe, workspace)
    answer(result, review_lines.status_lines(result), as_json)


@review_app.command()
def close(recipe: RecipePath, workspace: Workspace, as_json: Json = False) -> None:
    """Fetch the answers, end the open batches and take their other questions back.

    Questions that too few people answered are removed from the server. Their answers so far are
    kept in the log, decide nothing, and the next push may ask the pairs again.
    """
    silence_prefect()
    from flows import review_lines, review_server

    result = review_server.close(review_server.open_review(recipe, workspace), _say)
    answer(result, review_lines.close_lines(result), as_json)


@review_app.command()
def undo(
    recipe: RecipePath,
    identity_a: Annotated[str, typer.Argument(help="One of the two identities.")],
    identity_b: Annotated[str, typer.Argument(help="The other one.")],
    workspace: Workspace,
    reviewer: Reviewer = _USER,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Take back the decision about a pair; the log keeps both, and the pair is asked again.

    The next batch asks it anew; the next build releases it as pending. To correct an answer, the
    annotator can as well change it in Label Studio: the next pull takes the change in.
    """
    from flows import review_record

    pair = (identity_a, identity_b)
    result = review_record.undo(recipe, workspace, pair, reviewer, note)
    line = f"{result['identity_a']} and {result['identity_b']}: no longer {result['was']}; open"
    answer(result, [line], as_json)


@review_app.command()
def listen(
    recipe: RecipePath,
    workspace: Workspace,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    host: Annotated[
        str, typer.Option(help="Address to listen on, as the review server reaches it.")
    ] = "127.0.0.1",
) -> None:
    """Take in answers the moment they are given, until stopped (Ctrl-C or SIGTERM).

    Sets webhooks on the review server and removes them at the end. The server must be able to
    reach --host: give this machine's address when the server runs elsewhere, and let it post to
    private addresses (SSRF_PROTECTION_ENABLED=false; `make label-studio` does). Looks once a
    minute as well, so an event that is lost only costs time.
    """
    silence_prefect()
    from flows import review_server
    from flows.listen import listen as run_listener

    run_listener(review_server.open_review(recipe, workspace), host, port, _say)
