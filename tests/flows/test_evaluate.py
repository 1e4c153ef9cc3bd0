"""The demo's pack on rendered people nobody trained on; photos without a face; bad requests."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.web import plan_web
from demo.web_files import write_web
from facedata.errors import ModelError, RequestError
from facedata.storage import Storage
from facedata.versions import Manifest
from flows.all_pairs import compare_all
from flows.evaluate import EvaluateOptions, evaluate, evaluate_sets, find_model
from flows.evaluation_set import Sight, distinct_names, open_set
from flows.held_out import check_held_out, version_faces
from flows.identify import identify
from training.evaluate.verification_bin import write_bin

PACK = Path(__file__).parents[2] / "demo" / "pack"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``site/pairs.csv`` over photos of six rendered people, and one photo of nobody."""
    folder = tmp_path_factory.mktemp("held")
    write_web(plan_web(505, 6, 5), folder)
    site = folder / "site"
    cv2.imwrite(str(site / "nobody.png"), np.full((160, 160, 3), 127, np.uint8))
    photos = json.loads((folder / "truth.json").read_text("utf-8"))["photos"]
    people = {path: said["subject"] for path, said in photos.items() if said["faces"]}
    pairs = [
        (first, second, int(people[first] == people[second]))
        for first, second in itertools.combinations(sorted(people), 2)
    ]
    pairs += [("nobody.png", sorted(people)[0], 1), ("nobody.png", sorted(people)[1], 0)]
    with (site / "pairs.csv").open("w", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("image_a", "image_b", "same"), *pairs])
    return site


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


def test_the_demo_knows_strangers_and_counts_who_has_no_face(held: Path, workspace: Path) -> None:
    asked = EvaluateOptions(sets=(held / "pairs.csv",), workspace=str(workspace))

    result = evaluate("demo", asked)

    (found,) = result["sets"]
    assert found["without_face"] == ["nobody.png"]
    assert found["tar_at_far"]["0.1"]["tar"] > 0.8
    assert found["genuine"] + found["impostors"] == len((held / "pairs.csv").open().readlines()) - 1
    assert result["lines"][-1].endswith(
        "photos without a face, first nobody.png: their pairs count as not accepted"
    )
    assert list((workspace / "stages" / "faces").iterdir())
    assert evaluate("demo", asked) == result


def test_a_pair_without_a_face_is_never_accepted(held: Path, workspace: Path) -> None:
    seen = Sight(PACK, Storage(workspace)).look(open_set(held / "pairs.csv"))

    assert seen.scored.similarity[-2:].tolist() == [-1.0, -1.0]
    assert seen.scored.similarity[:-2].min() > -1.0


def test_a_bin_file_gives_what_its_crops_give(held: Path, workspace: Path, tmp_path: Path) -> None:
    sight = Sight(PACK, Storage(workspace))
    seen = sight.look(open_set(held / "pairs.csv"))
    names = sorted(path.relative_to(held).as_posix() for path in (held / "photos").rglob("*.jpg"))
    crops = sight.crops({name: held / name for name in names})
    with (held / "pairs.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["image_a"] in crops]
    images = [_png(crops[row[side]]) for row in rows for side in ("image_a", "image_b")]
    write_bin(tmp_path / "held.bin", images, [row["same"] == "1" for row in rows])

    same = sight.look(open_set(tmp_path / "held.bin"))

    np.testing.assert_allclose(same.scored.similarity, seen.scored.similarity[:-2], atol=1e-6)
    (report,) = evaluate_sets(sight, [open_set(tmp_path / "held.bin")], 0.2)
    assert report.point(0.2) is not None


def test_people_of_the_version_are_found_by_name_and_by_face(
    held: Path, workspace: Path, tmp_path: Path, make_version: Callable[..., Manifest]
) -> None:
    sight = Sight(PACK, Storage(workspace))
    seen = sight.look(open_set(held / "pairs.csv"))
    named = next(one for one in seen.people if one)
    make_version(tmp_path, {named.replace("-", " ").upper(): 0, "Somebody Else": 1})
    released = Storage(tmp_path)
    manifest = Manifest.from_json(released.read("versions/people-v0001/manifest.json"), "here")

    rows, identities = version_faces(released, manifest, sight)
    found = check_held_out(seen, (rows, identities), manifest)
    assert [one.person for one in found.by_name] == [named]
    assert not found.separate
    assert (found.compared, found.classes) == (2, 2)

    twin = check_held_out(seen, (seen.rows[:1], ["Stranger"]), manifest)
    assert twin.by_face[0].identity == "Stranger"
    assert twin.by_face[0].similarity == pytest.approx(1.0, abs=1e-5)


def test_everybody_is_searched_among_all(held: Path, workspace: Path) -> None:
    asked = EvaluateOptions(
        sets=(held / "pairs.csv",), workspace=str(workspace), identification=True
    )

    found = evaluate("demo", asked)["sets"][0]["identification"]

    seen = Sight(PACK, Storage(workspace)).look(open_set(held / "pairs.csv"))
    assert found["gallery"] == len(set(seen.people))
    assert found["without_face"] == 0
    assert found["fnir_at_fpir"] == {}
    assert found["rank"]["1"]["rate"] <= found["rank"]["5"]["rate"]


def test_every_photo_is_compared_with_every_other(held: Path, workspace: Path) -> None:
    asked = EvaluateOptions(sets=(held / "pairs.csv",), workspace=str(workspace), all_pairs=True)

    result = evaluate("demo", asked)

    found = result["sets"][0]["all_pairs"]
    seen = Sight(PACK, Storage(workspace)).look(open_set(held / "pairs.csv"))
    assert found["faces"] == len(seen.people)
    people = np.array(seen.people)
    upper = np.triu(np.ones((len(people), len(people)), bool), 1)
    same = people[:, None] == people[None]
    assert found["genuine"] == np.sum(same & upper)
    assert found["impostors"] == np.sum(~same & upper)
    similarity = (seen.rows @ seen.rows.T)[~same & upper]
    point = found["tar_at_far"]["0.01"]
    assert point["false_accepts"] == np.sum(similarity > point["threshold"] + 1e-6) > 0
    assert any(line.startswith(f"all pairs of {len(people)} photos") for line in result["lines"])
    with pytest.raises(RequestError, match="all pairs need to know who is in a photo"):
        compare_all(replace(seen, people=("",) * len(seen.people)))


def test_people_with_one_photo_are_in_no_gallery(held: Path, workspace: Path) -> None:
    seen = Sight(PACK, Storage(workspace)).look(open_set(held / "pairs.csv"))
    people = ("Ada", "Ada", "Bea", "Bea", "Bea", *(f"alone {index}" for index in range(10)))
    rows = np.eye(128, dtype=np.float32)[[0, 0, 1, 1, 0, *range(2, 12)]]

    found = identify(replace(seen, rows=rows, people=people, without_face=()))

    assert found.gallery == 2
    # Bea's third photo shows Ada.
    assert (found.ranks[1].hits, found.ranks[1].probes) == (2, 3)
    point = found.points[0.1]
    assert point is not None
    assert (point.unmated, point.false_positives, point.misses, point.mated) == (10, 0, 1, 3)
    assert "FNIR at FPIR 0.1: 33.3333% (0.8404% to 90.5701%)" in "\n".join(found.lines())


def test_probes_without_a_face_are_not_found(held: Path, workspace: Path) -> None:
    seen = Sight(PACK, Storage(workspace)).look(open_set(held / "pairs.csv"))
    one = next(name for name in seen.people)
    shown = identify(seen).ranks[1]

    fewer = identify(replace(seen, without_face=(f"photos/{one}/x.jpg", "nobody.png"))).ranks[1]

    assert (fewer.hits, fewer.probes) == (shown.hits, shown.probes + 1)
    with pytest.raises(RequestError, match="identification needs to know who is in a photo"):
        identify(replace(seen, people=("",) * len(seen.people)))
    with pytest.raises(RequestError, match="needs people with two photos or more"):
        identify(replace(seen, people=tuple(map(str, range(len(seen.people))))))


def test_models_are_found_by_folder_pack_and_name(tmp_path: Path) -> None:
    home = Storage(tmp_path)
    folder = tmp_path / "models" / "people-m0001"
    folder.mkdir(parents=True)
    home.write(
        "models/people.json",
        json.dumps(
            {
                "model": "people-m0001", "version": "people-v0001", "digest": "",
                "false_accept_rate": 0.1, "tar": {}, "promoted_at": "",
            }
        ).encode(),
    )  # fmt: skip

    assert find_model("demo", home) == PACK
    assert find_model(str(PACK), None) == PACK
    assert find_model("people-m0001", home) == find_model("people", home) == folder
    with pytest.raises(ModelError, match="no such folder"):
        find_model("here/there", home)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("pairs.txt", "give a .bin file, or a .csv of pairs"),
        ("none.csv", "no such file; check the path"),
        ("none.bin", "no such file; check the path"),
    ],
)
def test_a_set_that_is_none_is_one_line(held: Path, file: str, says: str) -> None:
    with pytest.raises(RequestError) as raised:
        open_set(held / file)
    assert str(raised.value) == f"evaluation set {held / file}: {says}"


def test_two_sets_with_one_file_name_are_two_sets(held: Path, workspace: Path) -> None:
    other = held.parent / "other"
    other.mkdir()
    (other / "pairs.csv").write_bytes((held / "pairs.csv").read_bytes())
    sets = (held / "pairs.csv", other / "pairs.csv")
    asked = EvaluateOptions(sets=sets, photos=held, workspace=str(workspace))

    result = evaluate("demo", asked)

    assert [one["name"] for one in result["sets"]] == ["site/pairs.csv", "other/pairs.csv"]
    with pytest.raises(RequestError, match=r"other/pairs\.csv: named twice; name it once"):
        evaluate(
            "demo", replace(asked, sets=(other / "pairs.csv", other / ".." / "other/pairs.csv"))
        )


@given(st.sets(st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)))
def test_sets_have_names_that_tell_them_apart(folders: set[str]) -> None:
    paths = [Path("/", folder, file) for folder in sorted(folders) for file in ("a.csv", "a.bin")]

    names = distinct_names(paths)

    assert len(set(names)) == len(paths)
    assert all(name in str(path) for path, name in zip(paths, names, strict=True))
    assert distinct_names([Path("/x/lfw.bin"), Path("/x/mine.csv")]) == ["lfw", "mine"]


def test_a_missing_photo_is_named(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("image_a,image_b,same\nno.jpg,one.jpg,1\n")
    chosen = open_set(tmp_path / "pairs.csv")

    with pytest.raises(RequestError, match=r"no.jpg: cannot be read .*; pairs are never left out"):
        Sight(PACK, Storage(workspace)).look(chosen)


@pytest.mark.parametrize("module", ["flows.cli", "flows.evaluate", "flows.training_job"])
def test_torch_is_left_alone(module: str) -> None:
    program = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "False\n"


def _png(crop: Any) -> bytes:
    return bytes(cv2.imencode(".png", crop)[1])
