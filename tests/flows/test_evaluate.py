"""The demo's pack on rendered people nobody trained on; photos without a face; bad requests."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
from collections import Counter
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
from flows.evaluation_files import distinct_names, open_set
from flows.evaluation_set import EmbeddedSet, Sight
from flows.held_out import check_held_out, version_faces
from flows.identify import identify
from training.evaluate.verification_bin import write_bin

PACK = Path(__file__).parents[2] / "demo" / "pack"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``site/pairs.csv`` over photos of six rendered people; one of them shows nobody."""
    folder = tmp_path_factory.mktemp("held")
    write_web(plan_web(505, 6, 5), folder)
    site = folder / "site"
    photos = json.loads((folder / "truth.json").read_text("utf-8"))["photos"]
    people = {path: said["subject"] for path, said in photos.items() if said["faces"]}
    # A few photos lie in another's folder: the rendered web is noisy.
    home = {
        subject: Counter(
            Path(path).parent for path, other in people.items() if other == subject
        ).most_common(1)[0][0]
        for subject in people.values()
    }
    people = {path: who for path, who in people.items() if Path(path).parent == home[who]}
    pairs = [
        (first, second, int(people[first] == people[second]))
        for first, second in itertools.combinations(sorted(people), 2)
    ]
    first = sorted(people)[0]
    nobody = str(Path(first).with_name("nobody.png"))
    cv2.imwrite(str(site / nobody), np.full((160, 160, 3), 127, np.uint8))
    other = next(one for one in sorted(people) if people[one] != people[first])
    pairs += [(nobody, first, 1), (nobody, other, 0)]
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
    (nobody,) = found["without_face"]
    assert Path(nobody).name == "nobody.png"
    assert found["tar_at_far"]["0.1"]["tar"] > 0.8
    assert found["genuine"] + found["impostors"] == len((held / "pairs.csv").open().readlines()) - 1
    assert result["lines"][-1].endswith(
        f"photos without a face, first {nobody}: their pairs count as not accepted"
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

    assert not any("not known" in line for line in found.lines())
    unclear = check_held_out(replace(seen, doubt="why"), (rows, identities), manifest)
    assert any(line.endswith("by name is not known: why") for line in unclear.lines())

    twin = check_held_out(seen, (seen.rows[:1], ["Stranger"]), manifest)
    assert twin.by_face[0].identity == "Stranger"
    assert twin.by_face[0].similarity == pytest.approx(1.0, abs=1e-5)

    nameless = check_held_out(
        replace(seen, people=("",) * len(seen.people)), (rows, identities), manifest
    )
    assert any("not known: its file names nobody" in line for line in nameless.lines())
    some = check_held_out(seen, (rows[:1], identities[:1]), manifest)
    assert any("compared with 1 of the version's 2 classes" in line for line in some.lines())

    asked = EvaluateOptions(
        sets=(held / "pairs.csv",), workspace=str(tmp_path), version="people-v0001"
    )
    (told,) = evaluate(str(PACK), asked)["held_out"]
    assert [one["person"] for one in told["by_name"]] == [named]
    with pytest.raises(RequestError, match="version people-v0001: give the workspace"):
        evaluate(str(PACK), replace(asked, workspace=None))


def test_one_wrong_label_in_a_set_does_not_silence_the_check(
    tmp_path: Path, make_version: Callable[..., Manifest]
) -> None:
    rng = np.random.default_rng(3)
    people = rng.standard_normal((60, 64))
    shots = np.repeat(people, 2, axis=0) + 0.4 * rng.standard_normal((120, 64))
    rows = (shots / np.linalg.norm(shots, axis=1, keepdims=True)).astype(np.float32)
    first, second = np.triu_indices(120, 1)
    same = first // 2 == second // 2
    same[0] = False
    seen = EmbeddedSet(
        name="s", images=120, without_face=(), rows=rows,
        people=tuple(f"p{row // 2}" for row in range(120)),
        first=first, second=second, same=same, folds=None,
    )  # fmt: skip

    found = check_held_out(seen, (rows[10:11], ["Stranger"]), make_version(tmp_path, {"A": 0}))

    assert [(one.person, one.identity) for one in found.by_face] == [("p5", "Stranger")]


def test_everybody_is_searched_among_all(held: Path, workspace: Path) -> None:
    asked = EvaluateOptions(
        sets=(held / "pairs.csv",), workspace=str(workspace), identification=True
    )

    result = evaluate("demo", asked)

    found = result["sets"][0]["identification"]
    seen = Sight(PACK, Storage(workspace)).look(open_set(held / "pairs.csv"))
    people = np.array(seen.people)
    gallery = {who: int(np.flatnonzero(people == who)[0]) for who in seen.people}
    hits = 0
    for row in sorted(set(range(len(people))) - set(gallery.values())):
        score = {who: float(seen.rows[row] @ seen.rows[at]) for who, at in gallery.items()}
        hits += max(score, key=score.__getitem__) == people[row]
    assert found["people"] == found["gallery"] == len(gallery) > 3
    assert found["without_face"] == 1
    assert hits > 0
    # The photo of nobody is a search that fails.
    assert found["rank"]["1"]["rate"] == hits / (len(people) + 1 - len(gallery))
    assert found["fnir_at_fpir"] == {"0.1": None, "0.01": None, "0.001": None}
    assert "FNIR at FPIR 0.1 not measured: 0 people with one photo are too few" in result["lines"]


def test_every_photo_is_compared_with_every_other(held: Path, workspace: Path) -> None:
    asked = EvaluateOptions(sets=(held / "pairs.csv",), workspace=str(workspace), all_pairs=True)

    result = evaluate("demo", asked)

    found = result["sets"][0]["all_pairs"]
    seen = Sight(PACK, Storage(workspace)).look(open_set(held / "pairs.csv"))
    assert found["faces"] == len(seen.people)
    people = np.array([*seen.people, *seen.people_without_face])
    upper = np.triu(np.ones((len(people), len(people)), bool), 1)
    same = people[:, None] == people[None]
    assert found["genuine"] == np.sum(same & upper)
    assert found["impostors"] == np.sum(~same & upper)
    assert (found["without_face"], found["pairs_without_face"]) == (1, len(seen.people))
    whole = np.full((len(people), len(people)), -1.0)
    whole[:-1, :-1] = seen.rows @ seen.rows.T
    similarity = whole[~same & upper]
    point = found["tar_at_far"]["0.01"]
    assert point["tar"] == np.mean(whole[same & upper] >= point["threshold"])
    assert point["false_accepts"] == np.sum(similarity > point["threshold"] + 1e-6) > 0
    assert any(line.startswith(f"all pairs of {len(people)} photos") for line in result["lines"])
    with pytest.raises(RequestError, match="all pairs need to know who is in a photo"):
        compare_all(replace(seen, people=("",) * len(seen.people)))


def made(
    people: str, rows: list[int] | None = None, without_face: tuple[str, ...] = ()
) -> EmbeddedSet:
    """A set of the ``people`` (one letter each); equal numbers in ``rows`` look the same."""
    looks = list(range(len(people))) if rows is None else rows
    return EmbeddedSet(
        name="made",
        images=len(people) + len(without_face),
        without_face=without_face,
        rows=np.eye(64, dtype=np.float32)[looks],
        people=tuple(people),
        first=np.array([0]),
        second=np.array([1]),
        same=np.array([True]),
        folds=None,
    )


def test_people_with_one_photo_are_in_no_gallery() -> None:
    found = identify(made("AABBBcdefghijkl", [0, 0, 1, 1, 0, *range(2, 12)]))

    assert found.gallery == 2
    # B's third photo shows A.
    assert (found.ranks[1].hits, found.ranks[1].probes) == (2, 3)
    point = found.points[0.1]
    assert point is not None
    assert (point.unmated, point.false_positives, point.misses, point.mated) == (10, 0, 1, 3)
    assert "FNIR at FPIR 0.1: 33.3333% (" in "\n".join(found.lines())
    assert "FNIR at FPIR 0.01 not measured: 10 people with one photo are too few" in found.lines()


def test_who_loses_photos_stays_in_the_protocol() -> None:
    """Of four people with two photos A has both faces, B one, C and D none; ten others have one."""
    lost = ("B/2.jpg", "C/1.jpg", "C/2.jpg", "D/1.jpg", "D/2.jpg", "k/1.jpg", "l/1.jpg")

    found = identify(made("AABefghijmn", [0, 0, 1, *range(2, 10)], lost))

    assert (found.people, found.gallery, found.unmated) == (4, 2, 10)
    assert (found.ranks[1].hits, found.ranks[1].probes) == (1, 4)
    assert found.ranks[10].hits == 1
    point = found.points[0.1]
    assert point is not None
    assert (point.unmated, point.misses, point.mated) == (10, 3, 4)
    lines = found.lines()
    assert lines[0].startswith("rank 1 of 4 people: 25.0000%")
    assert "3 probes without a face count as not found" in lines
    assert any(line.startswith("2 people without a face in any photo") for line in lines)


def test_a_model_that_finds_no_probes_finds_nobody() -> None:
    found = identify(made("AB", without_face=("A/2.jpg", "B/2.jpg")))
    assert (found.ranks[1].hits, found.ranks[1].probes) == (0, 2)

    found = identify(made("AB", without_face=("C/1.jpg", "C/2.jpg")))
    assert (found.gallery, found.unmated) == (0, 2)
    assert (found.ranks[1].hits, found.ranks[1].probes) == (0, 1)


def test_without_people_nobody_is_searched() -> None:
    with pytest.raises(RequestError, match="identification needs to know who is in a photo"):
        identify(made("AAB", without_face=("nobody.png",)))
    with pytest.raises(RequestError, match="needs people with two photos or more"):
        identify(made("ABC"))


def test_photos_in_one_folder_are_of_nobody_known(
    held: Path, workspace: Path, tmp_path: Path
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    rows = list(csv.reader((held / "pairs.csv").open(encoding="utf-8")))
    for name in {row[side] for row in rows[1:] for side in (0, 1)}:
        (flat / name.replace("/", "-")).write_bytes((held / name).read_bytes())
    moved = [[f"flat/{one.replace('/', '-')}" for one in row[:2]] + row[2:] for row in rows[1:]]
    with (tmp_path / "pairs.csv").open("w", encoding="utf-8") as stream:
        csv.writer(stream).writerows([rows[0], *moved])

    seen = Sight(PACK, Storage(workspace)).look(open_set(tmp_path / "pairs.csv"))

    assert set(seen.people) == {"flat"}
    for refuse in (identify, compare_all):
        with pytest.raises(RequestError, match=r"flat/.* are two people and lie in one folder"):
            refuse(seen)


def test_copies_are_one_photo_in_searches(held: Path, workspace: Path, tmp_path: Path) -> None:
    rows = list(csv.reader((held / "pairs.csv").open(encoding="utf-8")))[1:]
    first = rows[0][0]
    copy = str(Path(first).with_name("z-copy.jpg"))
    site = tmp_path / "site"
    for name in {row[side] for row in rows for side in (0, 1)}:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes((held / name).read_bytes())
    (site / copy).write_bytes((held / first).read_bytes())
    with (site / "pairs.csv").open("w", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("image_a", "image_b", "same"), *rows, (first, copy, 1)])
    sight = Sight(PACK, Storage(workspace))

    (told,) = evaluate_sets(sight, [open_set(site / "pairs.csv")], all_pairs=True)
    (whole,) = evaluate_sets(sight, [open_set(held / "pairs.csv")], all_pairs=True)

    assert told.copies == (copy,)
    assert told.compared == whole.compared
    assert f"1 photos are copies of others, first {copy}" in "\n".join(told.lines())


def test_a_broken_photo_is_named(held: Path, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(next(held.rglob("*.jpg")).read_bytes())
    (tmp_path / "a" / "2.jpg").write_bytes(b"\xff\xd8\xff\xe0 half a photo")
    (tmp_path / "pairs.csv").write_text("image_a,image_b,same\na/1.jpg,a/2.jpg,1\n")

    with pytest.raises(RequestError, match=r"a/2\.jpg: cannot be decoded \(unreadable\)"):
        Sight(PACK, Storage(workspace)).look(open_set(tmp_path / "pairs.csv"))


def test_progress_is_told_on_standard_error(
    held: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = EvaluateOptions(sets=(held / "pairs.csv",), workspace=str(workspace), all_pairs=True)
    evaluate("demo", asked)
    said = capsys.readouterr()
    images = len({name for row in csv.reader((held / "pairs.csv").open()) for name in row[:2]}) - 2
    assert said.out == ""
    assert f"pairs: {images}/{images}\n" in said.err
    assert "pairs: all pairs, pass 1, percent: 100/100\n" in said.err


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


def test_the_command_gives_each_product_one_thread() -> None:
    program = (
        "import os; os.environ.pop('OMP_NUM_THREADS', None); from flows import cli_train\n"
        "try: cli_train.evaluate('demo', bins=['no.bin'])\n"
        "except Exception: pass\n"
        "print(os.environ['OMP_NUM_THREADS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "1\n"


def _png(crop: Any) -> bytes:
    return bytes(cv2.imencode(".png", crop)[1])
