"""The review on a real server: questions out, two people's answers in, the truth comes out.

On photos of Labeled Faces in the Wild with thirty people cut in two, or, where those are not at
hand, on rendered people.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.web import plan_web
from demo.web_files import write_web
from facedata.review import CandidateRow
from facedata.storage import Storage

SHARED = Path(os.environ.get("WINNOW_SHARED", Path(__file__).parents[3] / "shared"))
CANDIDATES = 200
CUT_PEOPLE = 30
PHOTOS_EACH = 14
SEED = 3
MISTAKES = 0.05
SECOND_NAME = " (second name)"
Pair = tuple[str, str]


@dataclass(frozen=True)
class World:
    """Photos in folders by name, some people under two names, and how many candidates to ask."""

    photos: Path
    models: str
    same: frozenset[Pair]
    candidates: int


@dataclass
class Person:
    """An annotator who answers by the truth, but for some mistakes."""

    token: str
    rng: random.Random
    mistakes: float
    erred: set[Pair] = field(default_factory=set)

    def answer(self, pair: Pair, truth: str) -> str:
        if self.rng.random() >= self.mistakes:
            return truth
        self.erred.add(pair)
        return "different" if truth == "same" else "same"


def real_world(folder: Path) -> World:
    """People of LFW with ten photos or more; thirty of them get a second name for half.

    Of people with many photos the first few are taken: the others would only cost time.
    """
    people = {
        person.name: sorted(person.glob("*.jpg"))
        for person in sorted((SHARED / "data/lfw").iterdir())
    }
    people = {name: files[:PHOTOS_EACH] for name, files in people.items() if len(files) >= 10}
    cut = random.Random(SEED).sample(sorted(people), CUT_PEOPLE)
    same = set()
    for name, files in people.items():
        for number, file in enumerate(files):
            filed = name + SECOND_NAME if name in cut and number % 2 else name
            target = folder / "photos" / filed / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        if name in cut:
            same.add((name, name + SECOND_NAME))
    models = str(SHARED / "models/buffalo_sc")
    return World(folder / "photos", models, frozenset(same), CANDIDATES)


def rendered_world(folder: Path) -> World:
    """Rendered people, each with a second name for half of the photos."""
    write_web(plan_web(seed=5, people=12, photos_per_person=8), folder)
    photos = folder / "site" / "photos"
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    slug = {person["name"]: person["slug"] for person in truth["people"]}
    same = {tuple(sorted(slug[name] for name in pair)) for pair in truth["same_person"]}
    return World(photos, "demo", frozenset(same), 30)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    return real_world(folder) if (SHARED / "data/lfw").is_dir() else rendered_world(folder)


@dataclass
class Reviewed:
    """A recipe whose review is on the server, and the commands on it."""

    winnow: Any
    server: Any
    recipe: Path
    work: Path

    def run(self, *command: str) -> dict[str, Any]:
        where = ("-w", self.work, "--json")
        answer: dict[str, Any] = self.winnow(*command, self.recipe, *where).answer
        return answer

    def tasks(self, kind: str) -> list[dict[str, Any]]:
        """Tasks of a kind of question, as the server lists them."""
        noted = self.work / "review/people/projects.json"
        project = json.loads(noted.read_text())[kind]
        listed = self.server.ask(
            "GET", "tasks", params={"project": project, "page_size": 1000, "fields": "all"}
        )
        found: list[dict[str, Any]] = listed["tasks"]
        return found

    def questions(self, kind: str) -> Iterator[tuple[dict[str, Any], Pair]]:
        """Tasks with the pair that each is about, from the plans."""
        pairs: dict[str, Pair] = {}
        for plan in (self.work / "review/people/batches").glob(f"{kind}-*/plan.json"):
            for item in json.loads(plan.read_text())["items"]:
                pairs[item["key"]] = (item["a"]["identity"], item["b"]["identity"])
        for task in self.tasks(kind):
            yield task, pairs[task["data"]["key"]]

    def answer(self, kind: str, people: Mapping[str, Person], same: frozenset[Pair]) -> int:
        """Have everybody answer what they have not answered yet; returns how many answers."""
        given = 0
        for task, pair in self.questions(kind):
            done = {one["completed_by"] for one in task["annotations"]}
            for number, person in enumerate(people.values()):
                if len(done) > number:
                    continue
                word = person.answer(pair, "same" if pair in same else "different")
                self.annotate(task["id"], word, person.token)
                given += 1
        return given

    def annotate(self, task: int, word: str, token: str) -> None:
        result = {
            "from_name": "answer",
            "to_name": "closest",
            "type": "choices",
            "value": {"choices": [word]},
        }
        body = {"result": [result], "lead_time": 4.0}
        self.server.ask("POST", f"tasks/{task}/annotations/", token, json=body)


@pytest.fixture
def reviewed(winnow: Any, label_studio: Any, world: World, tmp_path: Path) -> Iterator[Reviewed]:
    """A recipe over the world, in a workspace below the server's document root."""
    home = label_studio.document_root / tmp_path.name
    home.mkdir(parents=True)
    recipe = home / "recipe.yaml"
    patch = pytest.MonkeyPatch()
    patch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    made = Reviewed(winnow, label_studio, recipe, home / "work")
    write_recipe(made, world, threshold=0.0)
    yield made
    patch.undo()


def write_recipe(made: Reviewed, world: World, threshold: float, **review: Any) -> None:
    recipe = {
        "name": "people",
        "models": world.models,
        "sources": [{"folder": {"path": str(world.photos)}}],
        "inter": {"threshold": threshold},
        "review": {
            "backend": "label-studio",
            "url": made.server.url,
            "project": made.work.parent.name,
            "overlap": 2,
            "borderline": 0,
            "images": {"document_root": str(made.server.document_root)},
            **review,
        },
    }
    made.recipe.write_text(yaml.safe_dump(recipe))


def threshold_for(made: Reviewed, count: int) -> float:
    """The similarity that so many pairs of identities reach."""
    made.run("inter")
    storage = Storage(made.work)
    (stage,) = (made.work / "stages/inter").iterdir()
    rows = storage.read_records(f"stages/inter/{stage.name}/candidates.parquet", CandidateRow)
    similarities = sorted((row.max_similarity for row in rows), reverse=True)
    return (similarities[count - 1] + similarities[count]) / 2


def groups(made: Reviewed, version: str, names: set[str]) -> set[frozenset[str]]:
    """Which of the names were merged with one another in a version."""
    ledger = Storage(made.work).read_columns(
        f"versions/{version}/ledger.parquet", ["claimed_identity", "identity", "reason"]
    )
    became: dict[str, set[str]] = {}
    for row in ledger.to_pylist():
        if row["reason"] == "main_cluster" and row["claimed_identity"] in names:
            became.setdefault(row["identity"], set()).add(row["claimed_identity"])
    return {frozenset(members) for members in became.values() if len(members) > 1}


def test_two_people_with_mistakes_and_a_senior_reach_the_truth(
    reviewed: Reviewed, world: World
) -> None:
    threshold = threshold_for(reviewed, world.candidates)
    write_recipe(reviewed, world, threshold)
    first = reviewed.run("build")["stages"]["review"]
    assert first["candidates"] == world.candidates
    assert 0 < first["opened"]["pairs-0001"] <= world.candidates

    rng = random.Random(SEED)
    two = {
        name: Person(reviewed.server.add_user(f"{name}@pairs.example"), rng, MISTAKES)
        for name in ("kim", "lee")
    }
    senior = {"sam": Person(reviewed.server.add_user("sam@pairs.example"), rng, 0.0)}
    rounds = 0
    while True:
        given = reviewed.answer("pairs", two, world.same)
        if (reviewed.work / "review/people/batches/senior-0001").exists():
            given += reviewed.answer("senior", senior, world.same)
        pulled = reviewed.run("review", "pull")
        assert pulled["new_answers"] == given
        if not reviewed.run("review", "push")["new_questions"]:
            break
        rounds += 1
        assert rounds < 20

    released = reviewed.run("build")
    both_erred = two["kim"].erred & two["lee"].erred
    names = {name for pair in world.same for name in pair}
    expected = {frozenset(pair) for pair in world.same - both_erred}
    assert groups(reviewed, released["release"]["version"], names) == expected
    assert released["stages"]["review"]["pending"] == 0

    # Nobody is asked again.
    before = len(reviewed.tasks("pairs"))
    again = reviewed.run("build")["stages"]["review"]
    assert (again["new_questions"], again["new_decisions"]) == (0, 0)
    assert len(reviewed.tasks("pairs")) == before
    status = reviewed.run("review", "status")
    people = {one["annotator"].split("@")[0]: one for one in status["agreement"]["annotators"]}
    assert people["kim"]["answered"] == people["lee"]["answered"] == before
