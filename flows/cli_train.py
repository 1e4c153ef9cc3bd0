"""``winnow train``, ``winnow evaluate`` and ``winnow selftrain``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli_options import Json, RecipePath, Workspace, answer
from flows.settings import silence_prefect

Processes = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="On this machine; one per GPU, or on a CPU one per core up to two, when not given.",
    ),
]

_TRAIN_EXAMPLE = "Example: winnow train people-v0001 -w work --recipe examples/training.yaml"
_EVALUATE_EXAMPLE = "Example: winnow evaluate people-m0001 -w work --pairs held-out/pairs.csv"
_SELFTRAIN_EXAMPLE = "Example: winnow selftrain recipe.yaml -w work --training training.yaml"


def register(app: typer.Typer) -> None:
    """Add the commands to ``winnow``."""
    app.command(epilog=_TRAIN_EXAMPLE)(train)
    app.command(epilog=_EVALUATE_EXAMPLE)(evaluate)
    app.command(epilog=_SELFTRAIN_EXAMPLE)(selftrain)


def train(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="For example demo-v0001.")],
    workspace: Workspace,
    recipe: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="How to train: demo_cpu, glint360k_r50, wf42m_r100_pfc, hundred_million, or a "
            "YAML file such as examples/training.yaml; without evaluation.sets in it no model is "
            "promoted.",
        ),
    ] = "demo_cpu",
    processes: Processes = None,
    nodes: Annotated[
        int,
        typer.Option(
            min=1,
            help="Machines of the run, each started with the same --nodes and --rendezvous, all "
            "but the first with --join.",
        ),
    ] = 1,
    rendezvous: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where several machines meet: an address of one of them that all reach.",
        ),
    ] = None,
    join: Annotated[
        bool,
        typer.Option(
            "--join",
            help="This is a further one of several machines: it trains, the first exports and "
            "evaluates.",
        ),
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="For runs and models, in place of the workspace; a folder that all machines see.",
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="PACK",
            help="The model's detector is this pack's, not that which the version was built with.",
        ),
    ] = None,
    initial: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN|previous",
            help="Start from a run's folder below training/, or from the newest earlier version's "
            "finished run of the same recipe.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the request and say what would be done.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train on a released version; the model is exported, evaluated, and promoted when better.

    The same command goes on after a stop or a kill.
    """
    silence_prefect()
    from flows.train_lines import plan_lines, train_lines
    from flows.training_job import TrainingOptions, open_training

    options = TrainingOptions(
        output=output,
        detector=detector,
        processes=processes,
        nodes=nodes,
        rendezvous=rendezvous,
        join=join,
        initial=initial,
    )
    # A wrong request is answered here, before Prefect takes its seconds to start.
    job = open_training(version, workspace, recipe, options)
    from flows.train import plan
    from flows.train import train as train_flow

    if dry_run:
        planned = plan(job)
        answer(planned, plan_lines(planned), as_json)
        return
    result = train_flow(version, workspace, recipe, options=options)
    answer(_data(result), train_lines(result), as_json)


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A pack's folder or name (buffalo_l, demo); with -w also one of its models "
            "(people-m0001), or a data set (people), whose current model is meant.",
        ),
    ],
    pairs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CSV", help="Columns image_a, image_b, same (1 or 0); may be repeated."
        ),
    ] = None,
    bins: Annotated[
        list[Path] | None,
        typer.Option("--bin", metavar="FILE", help="insightface's format; may be repeated."),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the CSV's paths start; its own folder if not given."
        ),
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace", "-w", metavar="DIR", help="Look up models and keep aligned faces there."
        ),
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Add the mirrored face, as published results do.")
    ] = False,
    identification: Annotated[
        bool,
        typer.Option("--identification", help="Search 1:N in a gallery as well."),
    ] = False,
    all_pairs: Annotated[
        bool,
        typer.Option("--all-pairs", help="Compare every photo with every other as well."),
    ] = False,
    version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Look for people of the sets in this version of the workspace, on which the model "
            "was trained: by name, and by face as the model sees them.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a model pack on pairs of photos, or on .bin verification sets."""
    from facedata.errors import RequestError

    sets = (*(pairs or ()), *(bins or ()))
    if not sets:
        raise RequestError("evaluate: nothing to evaluate on; give --pairs CSV or --bin FILE")
    # N:N runs products side by side, each on one thread; numpy reads this when it is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from flows.evaluate import EvaluateOptions
    from flows.evaluate import evaluate as run_evaluation

    result = run_evaluation(
        model,
        EvaluateOptions(
            sets=sets,
            photos=photos,
            workspace=workspace,
            flip=flip,
            identification=identification,
            all_pairs=all_pairs,
            version=version,
        ),
    )
    answer(_data(result), result["lines"], as_json)


def selftrain(
    recipe: RecipePath,
    workspace: Workspace,
    training: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="A training recipe that names evaluation.sets: only a model that is better on "
            "them cleans the next round.",
        ),
    ],
    rounds: Annotated[int, typer.Option(min=1, max=100, help="At most so many rounds.")] = 3,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Stop when no larger share of the images changes in a round."
        ),
    ] = 0.001,
    processes: Processes = None,
    as_json: Json = False,
) -> None:
    """Clean, train, clean again with the new model, until the ledger stops changing.

    The same command goes on after a kill, with the model that was promoted last.
    """
    silence_prefect()
    from flows.self_training import (
        SelfTraining,
        open_self_training,
        self_train,
        self_training_lines,
    )

    asked = SelfTraining(
        recipe=str(recipe),
        workspace=workspace,
        training=training,
        rounds=rounds,
        tolerance=tolerance,
        processes=processes,
    )
    # As for train: a wrong request is answered before Prefect takes its seconds to start.
    open_self_training(asked)
    result = self_train(asked)
    answer(result, self_training_lines(result), as_json)


def _data(result: dict[str, Any]) -> dict[str, Any]:
    """Without the lines, which say the same for people."""
    return {key: value for key, value in result.items() if key != "lines"}
