"""What people get wrong: one clear line, the right exit code, nothing half-written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

ODD_NAMES = (
    'O\'Brien "Bo" <b>',
    "Jürgen Groß & Söhne",
    "姚明",
    "wh..o",
    "-rf",
    "100% #1 {a,b} *?[x]",
    "x" * 255,
)


def trees(folder: Path) -> list[str]:
    """Everything below a folder, as paths relative to it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def ledger_of(workspace: Path) -> list[dict[str, Any]]:
    (path,) = workspace.glob("versions/*/ledger.parquet")
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


# --- requests that are wrong: exit code 2, nothing begun -----------------------------------------


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"tresholds": 1}, ("unknown key 'tresholds'", "allowed")),
        ({"intra": {"method": "ward"}}, ("'intra.method'", "'ward'", "average")),
        ({"models": "./no-such-pack"}, ("no-such-pack", "no such folder")),
        ({"sources": [{"folder": {"path": "no-such-photos"}}]}, ("no-such-photos",)),
        ({"name": "../up"}, ("'name'", "'../up'")),
    ],
    ids=["unknown key", "bad value", "missing model", "missing source", "name that climbs out"],
)
def test_a_recipe_that_cannot_be_built(
    keys: dict[str, Any],
    said: tuple[str, ...],
    winnow: Any,
    write_recipe: Any,
    photos: Path,
    tmp_path: Path,
) -> None:
    recipe = write_recipe(photos, **keys)
    workspace = tmp_path / "work"

    done = winnow("build", recipe, "-w", workspace)

    assert (done.code, done.out) == (2, "")
    assert [word for word in said if word not in done.complaint] == []
    assert [name for name in trees(workspace) if name != "winnow.lock"] == []


def test_a_recipe_that_is_not_there(winnow: Any, tmp_path: Path) -> None:
    done = winnow("build", tmp_path / "none.yaml", "-w", tmp_path / "work")

    assert (done.code, done.out) == (2, "")
    assert str(tmp_path / "none.yaml") in done.complaint
    assert trees(tmp_path) == []


def test_a_recipe_that_is_not_yaml(winnow: Any, tmp_path: Path) -> None:
    recipe = tmp_path / "photo.yaml"
    recipe.write_bytes(b"\xff\xd8\xff\xe0 not text")

    done = winnow("build", recipe, "-w", tmp_path / "work")

    assert done.code == 2
    assert str(recipe) in done.complaint


def test_a_file_in_place_of_the_workspace(winnow: Any, recipe: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")

    done = winnow("build", recipe, "-w", taken)

    assert (done.code, done.out) == (2, "")
    assert str(taken) in done.complaint
    assert taken.read_text() == "mine"


def test_a_folder_without_photos(winnow: Any, write_recipe: Any, tmp_path: Path) -> None:
    (tmp_path / "photos" / "nobody").mkdir(parents=True)

    done = winnow("build", write_recipe(tmp_path / "photos"), "-w", tmp_path / "work")

    assert done.code == 2
    assert "photos" in done.complaint
    assert not (tmp_path / "work" / "versions").exists()


# --- disks that refuse: their own mount, in a namespace that ends with the command ----------------


@pytest.fixture(scope="module")
def unshare() -> tuple[str, ...]:
    """The start of a command that may mount for itself alone."""
    start = ("unshare", "--mount", "--map-root-user")
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed: no disk can be made full or read-only")
    probe = [*start, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    return start


MOUNT_THEN_RUN = """
mount -t tmpfs -o "$1" tmpfs "$2"; listing=$3; disk=$2; again=$4; shift 4
"$@"; code=$?
find "$disk" -type f >"$listing"
if [ -n "$again" ]; then
  mount -o remount,"$again" "$disk"
  "$@"; code=$code$?
fi
exit $code
"""


def on_disk(
    unshare: tuple[str, ...], options: str, workspace: Path, again: str = ""
) -> tuple[str, ...]:
    """What to put before a command so that ``workspace`` is a small disk of its own.

    What the disk held at the end is listed in ``<workspace>.files``. With ``again`` the disk is
    mounted anew with those options and the command runs a second time; the exit codes follow
    one another.
    """
    workspace.mkdir()
    listing = f"{workspace}.files"
    return (*unshare, "sh", "-c", MOUNT_THEN_RUN, "sh", options, str(workspace), listing, again)


def test_a_read_only_workspace(
    winnow: Any, recipe: Path, unshare: tuple[str, ...], tmp_path: Path
) -> None:
    workspace = tmp_path / "work"
    before = on_disk(unshare, "ro", workspace)

    done = winnow("build", recipe, "-w", workspace, before=before)

    assert (done.code, done.out) == (2, "")
    assert "Read-only file system" in done.complaint
    assert "choose a workspace you may write to" in done.complaint


def test_a_full_disk_then_room_again(
    winnow: Any, recipe: Path, unshare: tuple[str, ...], tmp_path: Path
) -> None:
    workspace = tmp_path / "work"
    before = on_disk(unshare, "size=300k", workspace, again="size=100m")

    done = winnow("build", recipe, "-w", workspace, "--json", before=before)

    assert done.code == 10, done.err
    assert "Traceback" not in done.err
    (complaint,) = [line for line in done.err.splitlines() if line.startswith("winnow: ")]
    assert "the disk is full; free space and run again" in complaint
    listing = Path(f"{workspace}.files").read_text().splitlines()
    left = [name.removeprefix(f"{workspace}/") for name in listing]
    assert "winnow.lock" in left
    assert [name for name in left if name.startswith(("versions/", "tmp/"))] == []
    assert '"is_new": true' in done.out


# --- photos and people that are odd: each a row of the ledger ------------------------------------


def test_odd_names_are_kept_to_the_letter(
    winnow: Any, write_recipe: Any, photos: Path, tmp_path: Path
) -> None:
    people = sorted(path for path in photos.iterdir() if path.is_dir())
    odd = tmp_path / "my odd photos é"
    for name, person in zip(ODD_NAMES, people + people, strict=False):
        shutil.copytree(person, odd / name)
    recipe = write_recipe(odd, file="my recipe 'é'.yaml")
    workspace = tmp_path / "work space #1 %20 é"

    done = winnow("build", recipe, "-w", workspace, "--json", alone=True)

    assert done.answer["release"]["is_new"] is True
    rows = ledger_of(workspace)
    assert len(rows) == sum(1 for path in odd.rglob("*.jpg"))
    assert {row["claimed_identity"] for row in rows} == set(ODD_NAMES)
    assert {row["identity"] for row in rows} <= {*ODD_NAMES, None}
    assert {path.name for path in tmp_path.iterdir()} == {odd.name, recipe.name, workspace.name}


def test_every_bad_photo_has_its_reason(
    winnow: Any, write_recipe: Any, photos: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "photos"
    shutil.copytree(photos, mine)
    person = sorted(mine.iterdir())[0]
    whole = sorted(person.glob("*.jpg"))[0].read_bytes()
    (person / "empty.jpg").touch()
    (person / "text.jpg").write_text("this is no photo")
    (person / "half.jpg").write_bytes(whole[:60])
    lonely = mine / "Lonely"
    lonely.mkdir()
    other = sorted(mine.iterdir())[1]
    sorted(other.glob("*.jpg"))[0].rename(lonely / "one.jpg")
    (mine / "Nobody").mkdir()

    done = winnow("build", write_recipe(mine), "-w", tmp_path / "work", "--json")

    counts = done.answer["release"]["counts"]
    rows = {row["source_uri"]: row for row in ledger_of(tmp_path / "work")}
    assert len(rows) == counts["images"] == sum(1 for path in mine.rglob("*.jpg"))
    assert counts["images"] == sum(counts[key] for key in ("kept", "dropped", "moved", "held"))
    for name, reason in (("empty", "empty_file"), ("text", "unreadable"), ("half", "unreadable")):
        row = rows[f"{person.name}/{name}.jpg"]
        assert (row["outcome"], row["reason"]) == ("dropped", reason)
    assert rows["Lonely/one.jpg"]["reason"] in {"single_photo", "belongs_to_other"}
    assert "Nobody" not in {row["claimed_identity"] for row in rows.values()}
