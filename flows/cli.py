"""The ``winnow`` command: thin wrappers that turn arguments into calls and results into output.

Standard output carries the answer (one JSON object with ``--json``), standard error everything
else. Exit codes: 0 done, 1 the work failed, 2 the request was wrong.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from facedata.errors import WinnowError
from flows.cli_crawl import register as register_crawl
from flows.cli_options import Json, RecipePath, Runner, RunnerOption, Workspace, answer
from flows.cli_people import people_app
from flows.cli_review import review_app
from flows.cli_train import register
from flows.settings import silence_prefect

app = typer.Typer(
    name="winnow",
    help="Build cleaned face-recognition training sets: from a recipe to a released version.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
versions_app = typer.Typer(help="Look at released versions.", no_args_is_help=True)
app.add_typer(people_app, name="people")
app.add_typer(review_app, name="review")
app.add_typer(versions_app, name="versions")
register(app)


def main() -> None:
    """Entry point of the command: one line per error, and the documented exit codes."""
    try:
        app()
    except WinnowError as error:
        sys.stderr.write(f"winnow: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def run_until(recipe: Path, workspace: str, runner: Runner, until: str, as_json: bool) -> None:
    """Run the build flow up to a stage and print what it counted."""
    silence_prefect()
    from flows.job import open_job

    # A wrong request is answered here, before Prefect takes its seconds to start.
    job = open_job(recipe, workspace)
    from flows.build import REVIEWED, build
    from flows.steps import check_review
    from flows.summary import summary_lines

    if until in REVIEWED:
        check_review(job)
    result = build(recipe=str(recipe), workspace=workspace, runner=runner.value, until=until)
    answer(result, summary_lines(result), as_json)


@app.command()
def build(
    recipe: RecipePath,
    workspace: Workspace,
    runner: RunnerOption = Runner.THREADS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the recipe and say what would be done.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run every stage and release a version; what is done already is not done again."""
    if dry_run:
        from flows.plan import plan, plan_lines

        planned = plan(recipe, workspace)
        answer(planned, plan_lines(planned), as_json)
        return
    run_until(recipe, workspace, runner, "release", as_json)


def _stage_command(stage: str, text: str) -> None:
    @app.command(name=stage, help=text)
    def command(
        recipe: RecipePath,
        workspace: Workspace,
        runner: RunnerOption = Runner.THREADS,
        as_json: Json = False,
    ) -> None:
        run_until(recipe, workspace, runner, stage, as_json)


register_crawl(app)
_stage_command("ingest", "Crawl, then list every image of every source.")
_stage_command("faces", "Run up to face detection, alignment and measuring.")
_stage_command("embed", "Run up to the embeddings.")
_stage_command("intra", "Run up to the cleaning inside each identity.")
_stage_command("inter", "Run up to the merge candidates.")


_stage_command("release", "Run every stage and release a version, as build does.")


@app.command()
def demo(
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", metavar="DIR", help="Where the demo works.")
    ] = Path("demo-workspace"),
    people: Annotated[int, typer.Option(min=6, max=500, help="Names on the demo site.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Which people are rendered.")] = 7,
    train: Annotated[
        bool, typer.Option("--train", help="Then train on the version, and clean again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Crawl a site of rendered celebrities, clean it, release it, and say how right it was."""
    silence_prefect()
    from flows.demo import DemoOptions, demo_lines, run_demo

    result = run_demo(workspace, DemoOptions(people=people, seed=seed, train=train))
    answer(result, demo_lines(result), as_json)


@app.command()
def doctor(
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", metavar="DIR", help="Check this one too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check this machine: packages, GPU, model packs, disk, Prefect."""
    from flows.doctor import diagnose, doctor_lines

    checks = diagnose(workspace)
    failed = any(check.status == "fail" for check in checks)
    result = {"ok": not failed, "checks": [check.to_json() for check in checks]}
    answer(result, doctor_lines(checks), as_json)
    raise typer.Exit(1 if failed else 0)


VersionName = Annotated[str, typer.Argument(metavar="VERSION", help="For example demo-v0001.")]


@versions_app.command("list")
def versions_list(workspace: Workspace, as_json: Json = False) -> None:
    """Released versions with their counts."""
    from flows import versions

    result = versions.list_all(workspace)
    answer(result, versions.list_lines(result), as_json)


@versions_app.command("show")
def versions_show(version: VersionName, workspace: Workspace, as_json: Json = False) -> None:
    """What one version holds and where it came from."""
    from flows import versions

    result = versions.show(workspace, version)
    answer(result, versions.show_lines(result), as_json)


@versions_app.command("diff")
def versions_diff(
    old: VersionName, new: VersionName, workspace: Workspace, as_json: Json = False
) -> None:
    """What changed from one version to another."""
    from flows import versions

    result = versions.diff(workspace, old, new)
    answer(result, versions.diff_lines(result), as_json)


@versions_app.command("verify")
def versions_verify(version: VersionName, workspace: Workspace, as_json: Json = False) -> None:
    """Read every file again and compare it with the manifest; exit code 1 when one differs."""
    from flows import versions

    result = versions.verify(workspace, version)
    answer(result, versions.verify_lines(result), as_json)
    raise typer.Exit(0 if result["ok"] else 1)


@versions_app.command("export")
def versions_export(
    version: VersionName,
    workspace: Workspace,
    form: Annotated[
        Literal["recordio", "folders"],
        typer.Option("--format", help="A set for insightface's training, or a folder per person."),
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="A folder that is not there yet.")],
    as_json: Json = False,
) -> None:
    """Write a version's images as a RecordIO set, or as one folder per person."""
    from flows import versions

    result = versions.export(workspace, version, form, to)
    answer(result, versions.export_lines(result), as_json)


if __name__ == "__main__":
    main()
