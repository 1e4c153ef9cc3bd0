"""Which model becomes current: by judging two, in its pointer, and as an event on a real server."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from facedata.errors import IntegrityError, ModelError
from facedata.models import (
    CARD,
    CurrentModel,
    next_model,
    read_current,
    write_current,
)
from facedata.storage import Storage
from flows.evaluate import Evaluated
from flows.held_out import HeldOut
from flows.promote import Contest, announce, judge, promote, settle
from flows.training_job import TrainingOptions, open_training
from training.config import EvaluationConfig
from training.evaluate.overlap import SameName
from training.evaluate.pairs import scored_pairs
from training.evaluate.report import pair_report

FAR = 0.1
CURRENT = CurrentModel(
    model="people-m0002",
    version="people-v0003",
    digest="ab" * 32,
    false_accept_rate=FAR,
    tar={"held": 0.5},
    promoted_at="2026-01-01T00:00:00+00:00",
)


def evaluated(name: str, tar: float, impostors: int = 20) -> Evaluated:
    """A model that accepts the share ``tar`` of 20 same pairs before any different pair."""
    genuine = np.where(np.arange(20) < 20 * tar, 0.9, -0.5)
    impostor = np.linspace(-0.4, 0.4, impostors)
    same = np.arange(20 + impostors) < 20
    scored = scored_pairs(np.concatenate([genuine, impostor]), same)
    return Evaluated(report=pair_report(name, scored, [FAR]), images=40)


def held(name: str, *people: str) -> HeldOut:
    shared = tuple(SameName(person=one, identity=one, name=one) for one in people)
    return HeldOut(name=name, by_name=shared, by_face=(), threshold=0.5, compared=3, classes=3)


def contest(new: dict[str, float], old: dict[str, float], **people: tuple[str, ...]) -> Contest:
    return Contest(
        model="people-m0001",
        before="demo",
        false_accept_rate=FAR,
        evaluated=[evaluated(name, tar) for name, tar in new.items()],
        evaluated_before=[evaluated(name, tar) for name, tar in old.items()],
        held_out=[held(name, *people.get(name, ())) for name in new],
    )


def test_the_higher_mean_is_promoted() -> None:
    verdict = judge(contest({"a": 0.9, "b": 0.5}, {"a": 0.7, "b": 0.6}))

    assert verdict.promoted
    assert verdict.tar == {"a": 0.9, "b": 0.5}
    assert verdict.tar_before == {"a": 0.7, "b": 0.6}
    assert verdict.reason == ("mean TAR@FAR 0.1 over 2 sets is 70.0000%, that of demo 65.0000%")


@pytest.mark.parametrize("tar", [0.5, 0.4])
def test_as_good_or_worse_is_not(tar: float) -> None:
    assert not judge(contest({"a": tar}, {"a": 0.5})).promoted


def test_a_set_with_people_of_the_version_does_not_count() -> None:
    verdict = judge(contest({"a": 0.9, "b": 0.5}, {"a": 0.1, "b": 0.6}, a=("Ada",)))

    assert not verdict.promoted
    assert verdict.tar == {"b": 0.5}
    assert verdict.reason.endswith("; a holds people of the training version")


def test_without_a_set_that_counts_nothing_is_promoted() -> None:
    assert judge(contest({}, {})).reason.startswith("no evaluation set: the training recipe names")
    few = Contest(
        model="m", before="demo", false_accept_rate=FAR, held_out=[held("a")],
        evaluated=[evaluated("a", 1.0, impostors=9)],
        evaluated_before=[evaluated("a", 0.0, impostors=9)],
    )  # fmt: skip
    verdict = judge(few)
    assert not verdict.promoted
    assert verdict.reason == (
        "no evaluation set counts; a has too few different pairs to measure FAR 0.1"
    )


def test_the_pointer_names_the_model_and_its_version(tmp_path: Path) -> None:
    home = Storage(tmp_path)
    assert read_current(home, "people") is None

    better = judge(contest({"a": 1.0}, {"a": 0.0}))
    assert promote(home, "people", better, ("people-v0007", "cd" * 32), None)

    current = read_current(home, "people")
    assert current is not None
    assert (current.model, current.version, current.digest) == (
        "people-m0001", "people-v0007", "cd" * 32,
    )  # fmt: skip
    assert current.tar == {"a": 1.0}


def test_of_models_judged_against_the_same_one_is_promoted(tmp_path: Path) -> None:
    home = Storage(tmp_path)
    better = judge(contest({"a": 1.0}, {"a": 0.0}))

    def run(number: int) -> bool:
        verdict = replace(better, model=f"people-m{number:04d}")
        return promote(home, "people", verdict, ("people-v0001", ""), None)

    with ThreadPoolExecutor(8) as pool:
        promoted = list(pool.map(run, range(8)))

    assert sum(promoted) == 1
    current = read_current(home, "people")
    assert current is not None
    assert current.model == f"people-m{promoted.index(True):04d}"


@pytest.mark.parametrize(("meanwhile", "promoted"), [(0.6, True), (0.95, False)])
def test_who_promotes_meanwhile_is_the_one_to_beat(
    tmp_path: Path,
    make_version: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: float,
    promoted: bool,
) -> None:
    make_version(tmp_path, {"Ada": 0, "Bea": 1}, images=4)
    job = open_training("people-v0001", str(tmp_path), "demo_cpu", TrainingOptions(detector="demo"))
    job = replace(
        job, config=replace(job.config, evaluation=EvaluationConfig(false_accept_rate=FAR))
    )
    (tmp_path / "models" / CURRENT.model).mkdir(parents=True)

    def measure(folder: Path, *_: Any) -> list[Evaluated]:
        if folder == job.base:
            # The other run's promotion falls into the time that measuring takes.
            write_current(job.home, "people", CURRENT)
            return [evaluated("a", 0.5)]
        assert folder.name == CURRENT.model
        return [evaluated("a", meanwhile)]

    monkeypatch.setattr("flows.promote.Sight", lambda folder, _cache: folder)
    monkeypatch.setattr("flows.promote.evaluate_sets", measure)

    verdict = settle(job, "people-m0003", [evaluated("a", 0.9)], [held("a")])

    assert (verdict.promoted, verdict.before) == (promoted, CURRENT.model)
    assert verdict.tar_before == {"a": meanwhile}
    current = read_current(job.home, "people")
    assert current is not None
    assert current.model == ("people-m0003" if promoted else CURRENT.model)


def test_a_current_model_that_is_gone_is_said(
    tmp_path: Path, make_version: Callable[..., Any]
) -> None:
    make_version(tmp_path, {"Ada": 0, "Bea": 1}, images=4)
    options = TrainingOptions(detector="demo")
    job = open_training("people-v0001", str(tmp_path), "demo_cpu", options)
    write_current(job.home, "people", CURRENT)

    with pytest.raises(ModelError, match="names people-m0002, which is not there; put it back"):
        settle(job, "people-m0003", [], [])


def test_a_damaged_pointer_is_said(tmp_path: Path) -> None:
    home = Storage(tmp_path)
    home.write("models/people.json", b'{"model": "people-m0001"}')

    with pytest.raises(IntegrityError, match=r"does not name a model .*; remove it to start from"):
        read_current(home, "people")


def test_models_are_numbered_unfinished_ones_too(tmp_path: Path) -> None:
    home = Storage(tmp_path)
    assert next_model(home, "people") == "people-m0001"
    home.write(f"models/people-m0001/{CARD}", b"{}")
    home.write("models/people-m0002/rec.onnx", b"")
    home.write(f"models/other-m0009/{CARD}", b"{}")
    write_current(home, "people", CURRENT)

    assert next_model(home, "people") == "people-m0003"


def test_every_promotion_is_told_once(tmp_path: Path, prefect_server: Any) -> None:
    home = Storage(tmp_path)
    again = replace(CURRENT, tar={"held": 0.6}, promoted_at="2026-02-01T00:00:00+00:00")
    with temporary_settings({PREFECT_API_URL: prefect_server.api}):
        for promotion in (CURRENT, CURRENT, again, again):
            announce(home, "told-models", promotion)

    end = time.monotonic() + 60
    resource = "facedata.told-models"
    while len(prefect_server.events("facedata.model.promoted", resource)) < 2:
        assert time.monotonic() < end
        time.sleep(0.25)
    events = prefect_server.events("facedata.model.promoted", resource)
    assert sorted(event["payload"]["metrics"]["tar"]["held"] for event in events) == [0.5, 0.6]
    assert (
        events[0]["payload"].items()
        >= {
            "model": "people-m0002",
            "version": "people-v0003",
        }.items()
    )
    marker = json.loads((tmp_path / "events" / "people-m0002.json").read_text())
    assert marker == {"promoted_at": again.promoted_at}


def test_the_next_run_makes_up_for_a_promotion_that_nobody_heard_of(
    tmp_path: Path, prefect_server: Any, make_version: Callable[..., Any]
) -> None:
    make_version(tmp_path, {"Ada": 0, "Bea": 1}, images=4, version="unheard-v0001")
    options = TrainingOptions(detector="demo")
    job = open_training("unheard-v0001", str(tmp_path), "demo_cpu", options)
    current = replace(CURRENT, model="unheard-m0001")
    shutil.copytree(job.base, tmp_path / "models" / current.model)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        verdict = judge(contest({"a": 1.0}, {"a": 0.0}))
        assert promote(job.home, "unheard", replace(verdict, model=current.model), ("", ""), None)

    with temporary_settings({PREFECT_API_URL: prefect_server.api}):
        assert not settle(job, "unheard-m0002", [], []).promoted

    end = time.monotonic() + 60
    while not prefect_server.events("facedata.model.promoted", "facedata.unheard"):
        assert time.monotonic() < end
        time.sleep(0.25)
    (event,) = prefect_server.events("facedata.model.promoted", "facedata.unheard")
    assert event["payload"]["model"] == "unheard-m0001"


def test_a_server_that_is_gone_is_made_up_for_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("prefect.winnow.events")
    logger.addHandler(caplog.handler)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        announce(Storage(tmp_path), "people", CURRENT)
    logger.removeHandler(caplog.handler)

    assert "; the model itself is promoted" in caplog.text
    assert not (tmp_path / "events").exists()
