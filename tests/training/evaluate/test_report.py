"""Reports: figures from a set and from a CSV, as JSON and as lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facedata.errors import RequestError
from training.evaluate.all_pairs import Work, evaluate_within
from training.evaluate.identification import SearchResult, open_set, rank_rates
from training.evaluate.pairs import scored_pairs
from training.evaluate.report import (
    all_pairs_as_json,
    identification_as_json,
    pair_report,
    read_pairs_csv,
)
from training.evaluate.scan import CPU


def write_csv(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_folds_of_a_file_are_used(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path, "fold,image_a,image_b,same", "3,a,b,1", "3,a,c,False", "5,d,e,TRUE", "5,d,a,0"
    )
    pairs = read_pairs_csv(path)
    assert pairs.folds is not None
    assert pairs.folds.tolist() == [3, 3, 5, 5]
    assert pairs.same.tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b"], "columns are a, b; needed are image_a, image_b, same"),
        (["image_a,image_b,same", "x,y,maybe"], "line 2: same is 'maybe'"),
        (["image_a,image_b,same", "x,y,1", "x"], "line 3: an image is missing"),
        (["image_a,image_b,same,fold", "x,y,1,a"], "line 2: fold is 'a'"),
        (["image_a,image_b,same,fold", f"x,y,1,1{'0' * 25}"], "write a whole number of up to 9"),
        (["image_a,image_b,same", "", "", "x,y,maybe"], "line 4: same is 'maybe'"),
        (["image_a,image_b,same"], "lists no pair"),
        (["image_a,image_b,same", "x\0,y,1"], "line 2: 'x.x00' holds a zero byte"),
        (["image_a,image_b,same", "x,y,1", "a/x,./a/x,0"], "line 3: a/x is paired with itself"),
        (["image_a,image_b,same", "x,y,1", "z,y,1", "./y,x,0"], "lines 2 and 4: y and x are one"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_pairs_csv(write_csv(tmp_path, *lines))


def test_pairs_listed_again_are_counted(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "\ufeffimage_a,image_b,same", "x,./y,1", "y,x,1", "a/../x,z,0")

    pairs = read_pairs_csv(path)

    assert (pairs.image_a, pairs.image_b) == (("x", "y", "x"), ("y", "x", "z"))
    assert pairs.repeated == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none\.csv: cannot be read"):
        read_pairs_csv(tmp_path / "none.csv")


def test_json_and_lines_say_what_was_not_measured() -> None:
    rng = np.random.default_rng(0)
    same = np.arange(4000) % 2 == 0
    similarity = np.where(same, 0.6, 0.0) + rng.normal(0, 0.1, 4000)
    report = pair_report("toy", scored_pairs(similarity, same), [1e-2, 1e-6])

    plain = json.loads(json.dumps(report.as_json()))

    assert plain["tar_at_far"]["1e-06"] is None
    assert plain["tar_at_far"]["0.01"]["false_accepts"] == 20
    assert plain["val_at_far"]["far"] == 0.001
    low, high = plain["tar_at_far"]["0.01"]["tar_interval"]
    assert low < plain["tar_at_far"]["0.01"]["tar"] <= high
    assert report.lines()[0] == "toy: 2,000 same and 2,000 different pairs"
    assert report.lines()[-1] == "TAR@FAR 1e-06 not measured: too few different pairs"
    assert report.lines()[3].startswith("TAR@FAR 0.01 ")


def test_all_pairs_as_json(
    people: Callable[..., tuple[NDArray[np.float32], NDArray[np.int64]]],
) -> None:
    result = evaluate_within(*people(20, 3), fars=[0.1, 1e-9], work=Work(backend=CPU))
    plain = json.loads(json.dumps(all_pairs_as_json(result)))
    assert plain["impostors"] == 190 * 9
    assert plain["tar_at_far"]["0.1"]["false_accepts"] == 171
    assert plain["tar_at_far"]["1e-09"] is None


def test_identification_as_json() -> None:
    result = SearchResult(
        rank=np.array([1, 2] + [0] * 10),
        mate_similarity=np.array([0.9, 0.5] + [np.nan] * 10),
        best_other=np.array([0.1, 0.6] + [0.3] * 9 + [0.4]),
    )
    plain = identification_as_json(rank_rates(result, [1, 5]), open_set(result, [0.1, 0.01]))
    assert json.loads(json.dumps(plain)) == plain
    assert {rank: found["rate"] for rank, found in plain["rank"].items()} == {"1": 0.5, "5": 1.0}
    assert plain["fnir_at_fpir"]["0.1"]["fnir"] == 0.5
    assert plain["fnir_at_fpir"]["0.1"]["false_positives"] == 1
    assert plain["fnir_at_fpir"]["0.01"] is None
