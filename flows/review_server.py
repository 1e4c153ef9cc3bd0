"""The review of a recipe on its server: what the commands, the flow and the build all do with it.

Nothing here needs Prefect or the models; the event that a batch is complete is told through
``flows.events`` when there is one to tell.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cleaning.review.addresses import Addresses
from cleaning.review.decisions import with_decisions
from cleaning.review.gold import read_gold
from cleaning.review.label_studio import connect
from cleaning.review.label_studio_connection import TOKEN_VARIABLE
from cleaning.stages.close import take_back
from cleaning.stages.exchange import Exchange
from cleaning.stages.exclusion import worth_asking
from cleaning.stages.material import Material, find_newest
from cleaning.stages.pull import Pull, Pulled
from cleaning.stages.push import Push
from cleaning.stages.questions import Planner, known_decisions
from cleaning.stages.review_folder import ReviewFolder
from facedata.errors import IntegrityError, RecipeError, RequestError, StorageError
from facedata.lock import hold_review
from facedata.recipe import Recipe, load_recipe, resolve_paths
from facedata.review import PENDING, Answer, Kind, Pair
from facedata.storage import Storage
from flows.clock import utc_now
from flows.review_events import tell_completed, tell_opened
from flows.review_record import Counts, count_waiting

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A recipe whose questions are on a server; ``resolved`` has absolute paths."""

    recipe: Recipe
    resolved: Recipe
    exchange: Exchange

    @property
    def folder(self) -> ReviewFolder:
        """The review's files."""
        return self.exchange.folder


def open_review(recipe: Path, workspace: str) -> Review:
    """Open a recipe's review.

    Raises:
        RecipeError: the recipe is not valid, or its review is not on a server.
        RequestError: the token is missing or refused.
    """
    loaded = load_recipe(recipe)
    return review_of(loaded, resolve_paths(loaded, recipe.resolve().parent), Storage(workspace))


def review_of(recipe: Recipe, resolved: Recipe, storage: Storage) -> Review:
    """The review of a recipe that is loaded already.

    Raises:
        RecipeError: its review is not on a server.
        RequestError: the token is missing.
    """
    options = resolved.review
    if options.backend != "label-studio":
        raise RecipeError(
            f"recipe {recipe.name}: key 'review.backend' is {options.backend!r}; this needs "
            "'label-studio' (with 'file', hand a filled-in pairs.csv to `winnow review --answers`)"
        )
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise RequestError(
            f"environment variable {TOKEN_VARIABLE} is not set; put the access token of your "
            f"account on {options.url} there"
        )
    exchange = Exchange(
        folder=ReviewFolder(storage=storage, dataset=recipe.name),
        server=connect(options.url, token),
        options=options,
        addresses=Addresses(options.images, storage),
    )
    return Review(recipe=recipe, resolved=resolved, exchange=exchange)


def pull(review: Review, say: Say) -> Counts:
    """Fetch answers, append what they decide, and close the batches that are complete.

    Raises:
        ReviewError: the server failed; nothing is lost, the next pull goes on.
    """
    with hold_review(review.folder.storage, review.folder.dataset):
        pulled = Pull(review.exchange, utc_now()).run()
        _end(review.folder, pulled.complete)
    return _pull_counts(review, [pulled], say)


def _end(folder: ReviewFolder, batches: Iterable[str]) -> None:
    for name in batches:
        # The event first: a pull that is killed in between tells it when it comes again.
        tell_completed(folder, name)
        folder.mark_closed(name)


def _pull_counts(review: Review, pulls: Sequence[Pulled], say: Say) -> Counts:
    """What pulls in a row brought; the first one's complete batches were closed."""
    problems = list(dict.fromkeys(problem for one in pulls for problem in one.problems))
    for problem in problems:
        say(f"review: {problem}")
    superseded = _superseded(review, [row.pair for one in pulls for row in one.decisions])
    if superseded:
        say(f"review: {superseded} answers are about pairs that are no candidates any more; kept")
    return {
        "new_answers": sum(one.answers for one in pulls),
        "new_decisions": sum(len(one.decisions) for one in pulls),
        "new_photo_decisions": sum(len(one.photo_decisions) for one in pulls),
        "superseded": superseded,
        "completed": list(pulls[0].complete),
        "problems": problems,
    }


def push(review: Review, material: Material, batches: int, say: Say) -> Counts:
    """Send questions until ``batches`` batches of pairs, and one of each other kind, are open.

    Raises:
        ReviewError: the server failed; what was sent stays, and the next push goes on.
        RecipeError: the file of pairs with known answers is not valid.
    """
    folder = review.folder
    with hold_review(folder.storage, folder.dataset):
        gold = read_controls(review.resolved)
        folder.append_decisions(known_decisions(material, gold, utc_now()))
        planner = Planner(review.recipe, material, gold)
        sending = Push(review.exchange, lambda faces: material.crops.some(faces), time.time(), say)
        wanted = {kind: batches if kind == Kind.PAIRS else 1 for kind in Kind}
        pushed = sending.run(planner.plan, wanted)
    for name, questions in pushed.opened.items():
        tell_opened(folder, name, questions)
    return {
        "new_questions": pushed.tasks,
        "opened": dict(pushed.opened),
        "waiting": _waiting(review),
    }


def plan_push(review: Review, material: Material) -> Counts:
    """What a push would ask next, by batch; nothing is written or sent."""
    planner = Planner(review.recipe, material, read_controls(review.resolved))
    planned = [planner.plan(kind) for kind in Kind]
    return {"would_open": {batch.name: len(batch.items) for batch in planned if batch is not None}}


def read_controls(resolved: Recipe) -> Mapping[Pair, Answer]:
    """The pairs with known answers that the recipe names.

    Raises:
        RecipeError: the file cannot be read, or is not valid.
    """
    path = resolved.review.gold
    if path is None:
        return {}
    try:
        return read_gold(Path(path).read_bytes(), path)
    except OSError as error:
        raise RecipeError(
            f"recipe {resolved.name}: key 'review.gold' is {path!r}, which cannot be read "
            f"({error.strerror}); give a CSV with identity_a, identity_b, decision"
        ) from error


def count_candidates(material: Material) -> Counts:
    """How many merge candidates there are, and how many nobody has decided."""
    candidates = worth_asking(material.candidates, material.exclusion)
    decided = with_decisions(candidates, material.folder.decisions())
    pending = sum(row.decision == PENDING for row in decided)
    return {"candidates": len(decided), "decided": len(decided) - pending, "pending": pending}


def close(review: Review, say: Say) -> Counts:
    """Fetch what is answered, then end every open batch and take its other questions back.

    Raises:
        ReviewError: the server failed; batches that are still open are closed by the next call.
    """
    folder = review.folder
    pulls: list[Pulled] = []

    def fetch() -> None:
        pulls.append(Pull(review.exchange, utc_now()).run())

    removed: dict[str, int] = {}
    with hold_review(folder.storage, folder.dataset):
        fetch()
        _end(folder, pulls[0].complete)
        for name, questions in take_back(review.exchange, folder.open_batches(), fetch):
            removed[name] = questions
            _end(folder, [name])
    counts = _pull_counts(review, pulls, say)
    return {**counts, "closed": list(removed), "questions_taken_back": sum(removed.values())}


def _waiting(review: Review) -> list[Counts]:
    """How many questions of each kind wait for answers, and where to answer them."""
    questions = count_waiting(review.folder)
    projects = review.exchange.known_projects()
    address = review.exchange.server.project_url
    return [
        {"kind": kind.value, "questions": questions[kind], "url": address(projects[kind])}
        for kind in Kind
        if questions[kind] and kind in projects
    ]


def _superseded(review: Review, pairs: Sequence[Pair]) -> int:
    """How many pairs are no candidates in the newest build."""
    if not pairs:
        return 0
    try:
        candidates = {row.pair for row in find_newest(review.folder).evidence}
    except (RequestError, IntegrityError, StorageError):
        # Its stages were cleared away: the next build finds what is a candidate.
        return 0
    return sum(pair not in candidates for pair in pairs)
