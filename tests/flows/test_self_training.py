"""When self-training stops, by ledgers as versions hold them, and what it refuses at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from facedata.models import CurrentModel, write_current
from facedata.recipe import load_recipe
from facedata.records import LedgerRow
from facedata.storage import Storage
from flows.cli import main
from flows.self_training import (
    Parts,
    SelfTraining,
    derived_recipe,
    ledger_change,
    repeat,
    self_training_lines,
)

IMAGES = 20


class Rounds:
    """Versions whose ledgers differ in so many of 20 images from round to round."""

    def __init__(self, root: Path, changes: list[int], promoted: int = 99) -> None:
        self.storage = Storage(root)
        self.trained: list[str] = []
        self._changes = [0, *changes]
        self._promoted = promoted
        self._made = 0
        self._dropped = 0

    @property
    def parts(self) -> Parts:
        return Parts(
            clean=self._clean,
            train=self._train,
            change=lambda old, new: ledger_change(self.storage, old, new),
        )

    def _clean(self) -> dict[str, Any]:
        self._dropped += self._changes[self._made]
        self._made += 1
        version = f"people-v{self._made:04d}"
        rows = [ledger_row(number, number < self._dropped) for number in range(IMAGES)]
        self.storage.write_records(f"versions/{version}/ledger.parquet", LedgerRow, rows)
        return {"version": version, "identities": 3}

    def _train(self, version: str) -> dict[str, Any]:
        self.trained.append(version)
        number = len(self.trained)
        promotion = {"promoted": number <= self._promoted, "reason": "as good"}
        return {"model": f"people-m{number:04d}", "promotion": promotion}


def ledger_row(number: int, dropped: bool) -> LedgerRow:
    return LedgerRow(
        image_id=f"{number:02d}", source="folder", source_uri=f"Ada/{number}.jpg",
        claimed_identity="Ada", identity=None if dropped else "Ada",
        outcome="dropped" if dropped else "kept", reason="main_cluster", face_id=None,
        det_score=None, similarity=None,
    )  # fmt: skip


def asked(rounds: int = 3, tolerance: float = 0.1) -> SelfTraining:
    return SelfTraining(
        recipe="recipe.yaml", workspace="work", training="training.yaml", rounds=rounds,
        tolerance=tolerance,
    )  # fmt: skip


def test_it_stops_when_the_ledger_does(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, [6, 2, 5])

    told = repeat(asked(rounds=9), rounds.parts)

    assert [(one["changed"], one["images"], one["share"]) for one in told["rounds"]] == [
        (6, IMAGES, 0.3),
        (2, IMAGES, 0.1),
    ]
    assert rounds.trained == ["people-v0001", "people-v0002"]
    assert told["stopped"] == "the ledger changed by 10.00%, not above 10.00%"
    assert told["version"] == "people-v0003"
    assert self_training_lines({"name": "people", **told}) == [
        "round 1: people-m0001, trained on people-v0001: promoted (as good)",
        "  cleaned again as people-v0002: 6 of 20 images changed (30.00%)",
        "round 2: people-m0002, trained on people-v0002: promoted (as good)",
        "  cleaned again as people-v0003: 2 of 20 images changed (10.00%)",
        "people: stopped, the ledger changed by 10.00%, not above 10.00%; people-v0003 is last",
    ]


@pytest.mark.parametrize(
    ("rounds", "stopped"), [(1, "after 1 round, as asked"), (2, "after 2 rounds, as asked")]
)
def test_it_stops_when_the_rounds_are_over(tmp_path: Path, rounds: int, stopped: str) -> None:
    told = repeat(asked(rounds), Rounds(tmp_path, [6, 6, 6]).parts)

    assert (len(told["rounds"]), told["stopped"]) == (rounds, stopped)


def test_it_stops_when_a_model_is_no_better(tmp_path: Path) -> None:
    told = repeat(asked(), Rounds(tmp_path, [6, 6], promoted=1).parts)

    assert told["stopped"] == "people-m0002 was not promoted: as good"
    assert told["version"] == told["rounds"][1]["version"] == "people-v0002"
    assert "cleaned" not in told["rounds"][1]


def test_it_stops_when_there_is_nobody_to_train_on(tmp_path: Path) -> None:
    parts = Rounds(tmp_path, [6, 6]).parts
    alone = Parts(
        clean=lambda: parts.clean() | {"identities": 1}, train=parts.train, change=parts.change
    )

    assert repeat(asked(), alone)["stopped"] == "people-v0002 has 1 identities left"


def test_an_image_that_one_ledger_lacks_has_changed(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    rows = [ledger_row(number, dropped=False) for number in range(4)]
    for version, some in (("a-v0001", rows[:3]), ("a-v0002", rows[1:])):
        storage.write_records(f"versions/{version}/ledger.parquet", LedgerRow, some)

    assert ledger_change(storage, "a-v0001", "a-v0002") == {
        "images": 4, "changed": 2, "share": 0.5,
    }  # fmt: skip
    assert ledger_change(storage, "a-v0001", "a-v0001")["changed"] == 0


def test_a_call_after_a_kill_goes_on_with_what_was_promoted(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "work")
    path = tmp_path / "recipe.yaml"
    sources = [{"folder": {"path": "photos"}}]
    path.write_text(yaml.safe_dump({"name": "people", "models": "packs/mine", "sources": sources}))
    request = SelfTraining(recipe=str(path), workspace=storage.root, training="training.yaml")
    assert derived_recipe(request, storage, "people") == str(path)

    current = CurrentModel(
        model="people-m0004", version="people-v0002", digest="", false_accept_rate=0.1, tar={},
        promoted_at="",
    )  # fmt: skip
    write_current(storage, "people", current)
    derived = load_recipe(Path(derived_recipe(request, storage, "people")))

    assert derived.models == str(tmp_path / "work" / "models" / "people-m0004")
    assert derived.sources[0].model_dump()["folder"]["path"] == str(tmp_path / "photos")


@pytest.mark.parametrize(
    ("keys", "workspace", "says"),
    [
        ({"evaluation": {"sets": []}}, "work", "names no evaluation.sets, so no model could be"),
        ({"device": "cuda"}, "work", "device cuda: no GPU found on this machine"),
        ({}, "memory://shop/work", "give self-training a local workspace"),
        ({"model": {"backbone": "resnext"}}, "work", "no backbone is called 'resnext'"),
    ],
)
def test_what_could_never_train_is_refused_before_cleaning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    keys: dict[str, Any],
    workspace: str,
    says: str,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "held.bin").touch()
    (tmp_path / "photos").mkdir()
    training = {"model": {"backbone": "micro"}, "device": "cpu"}
    training |= {"evaluation": {"sets": ["held.bin"]}} | keys
    (tmp_path / "training.yaml").write_text(yaml.safe_dump(training))
    recipe = {"name": "people", "models": "demo", "sources": [{"folder": {"path": "photos"}}]}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    arguments = ["selftrain", "recipe.yaml", "-w", workspace, "--training", "training.yaml"]
    monkeypatch.setattr("sys.argv", ["winnow", *arguments])

    with pytest.raises(SystemExit) as ended:
        main()

    shown = capsys.readouterr()
    assert (ended.value.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert says in shown.err
    assert not (tmp_path / "work").exists()
