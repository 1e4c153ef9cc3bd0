"""Sets of every kind come in through one recipe, and versions go out as sets for others."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facedata.records import LedgerRow
from facedata.storage import Storage

Photo = tuple[str, bytes]
"""Whose it is said to be, and its bytes."""


@pytest.fixture
def people(photos: Path) -> list[Photo]:
    """All photos of the rendered people, by name."""
    return [(path.parent.name, path.read_bytes()) for path in sorted(photos.glob("*/*"))]


def write_nested(folder: Path, photos: Iterable[Photo]) -> None:
    """``<part>/<person>/<album>/<photo>``."""
    for number, (person, data) in enumerate(photos):
        path = folder / f"part-{number % 2}" / person / "album" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def write_webdataset(folder: Path, photos: list[Photo]) -> None:
    """Two tars; a sample says in ``.json`` who it shows."""
    for shard in range(2):
        files: dict[str, bytes] = {}
        for number, (person, data) in enumerate(photos[shard::2]):
            files[f"{number}.jpg"] = data
            files[f"{number}.json"] = json.dumps({"identity": person}).encode()
        write_tar(folder / f"{shard:03}.tar", files)


def write_img2dataset(folder: Path, photos: list[Photo]) -> None:
    """One folder of images with its table; one more address was not found."""
    (folder / "00000").mkdir(parents=True)
    rows = []
    for number, (person, data) in enumerate([*photos, ("nobody", b"")]):
        fetched = bool(data)
        rows.append(
            {
                "identity": person,
                "url": f"https://example.org/{number}.jpg",
                "key": f"{number:09}",
                "status": "success" if fetched else "failed_to_download",
            }
        )
        if fetched:
            (folder / "00000" / f"{number:09}.jpg").write_bytes(data)
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")


def write_parquet(path: Path, photos: list[Photo]) -> None:
    """As Hugging Face has it, with class labels; one row more has no image."""
    names = sorted({person for person, _ in photos})
    images = [{"bytes": data, "path": None} for _, data in photos] + [{"bytes": None, "path": "x"}]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = [*(names.index(person) for person, _ in photos), 0]
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
    table = pa.table({"image": pa.array(images, kind), "label": labels}).replace_schema_metadata(
        {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    )
    pq.write_table(table, path, row_group_size=5)


def ledger(workspace: Path, version: str) -> list[LedgerRow]:
    return Storage(workspace).read_records(f"versions/{version}/ledger.parquet", LedgerRow)


def test_sets_of_every_kind_make_one_version(
    winnow: Any, write_recipe: Any, photos: Path, people: list[Photo], tmp_path: Path
) -> None:
    # A first version goes out as RecordIO, and comes in again beside its own shards.
    first = tmp_path / "first"
    recipe = write_recipe(photos, "first.yaml")
    released = winnow("build", recipe, "-w", first, "--json").answer["release"]
    export = ("versions", "export", "people-v0001", "-w", first, "--json")
    sets = tmp_path / "sets"
    sets.mkdir()
    done = winnow(*export, "--format", "recordio", "--to", sets / "rec").answer
    shipped = released["counts"]["kept"] + released["counts"]["moved"]
    assert (done["images"], done["identities"]) == (shipped, released["identities"])
    assert winnow(*export, "--format", "folders", "--to", sets / "aligned").answer["images"] == (
        shipped
    )

    parts = [people[number::4] for number in range(4)]
    write_nested(sets / "nested", parts[0])
    write_webdataset(sets / "wds", parts[1])
    write_img2dataset(sets / "web", parts[2])
    write_parquet(sets / "hf.parquet", parts[3])
    with (sets / "rec/train.rec").open("ab") as stream:
        stream.write(b"\x0a\x23\xd7\xce cut off")

    shards = str(first / "versions/people-v0001/shards/*.tar")
    sources = [
        {"folder": {"path": "sets/nested", "identity": 2}},
        {"webdataset": {"urls": "sets/wds/{000..001}.tar"}},
        {"img2dataset": {"path": "sets/web"}},
        {"parquet": {"path": "sets/hf.parquet"}},
        {"recordio": {"path": "sets/rec/train.rec", "names": "sets/rec/identities.csv"}},
        {"name": "own", "webdataset": {"urls": shards}, "aligned": True},
        {"name": "crops", "folder": {"path": "sets/aligned"}, "aligned": True},
    ]
    all_kinds = write_recipe(tmp_path, "all.yaml", sources=sources)
    planned = winnow("build", all_kinds, "-w", tmp_path / "work", "--dry-run", "--json").answer
    assert planned["sources"]["recordio"]["kind"] == "recordio"
    assert planned["sources"]["parquet"]["images"] == len(parts[3]) + 1
    assert not (tmp_path / "work").exists()

    built = winnow("build", all_kinds, "-w", tmp_path / "work", "--json")
    answer = built.answer
    rows = ledger(tmp_path / "work", "people-v0001")
    counts = answer["release"]["counts"]
    assert Counter(row.source for row in rows) == {
        "folder": len(parts[0]),
        "webdataset": len(parts[1]),
        "img2dataset": len(parts[2]),
        "parquet": len(parts[3]),
        "recordio": shipped,
        "own": shipped,
        "crops": shipped,
    }
    assert counts["images"] == len(rows) == len(people) + 3 * shipped
    assert counts["images"] == sum(counts[name] for name in ("kept", "moved", "dropped", "held"))

    # What did not become an image is counted and told of.
    assert answer["stages"]["ingest"]["left_out"] == 3
    for told in ("1 left out as damaged", "1 left out as not_fetched", "1 left out as no_image"):
        assert told in built.err

    # Every photo came in as it is, and aligned faces were taken as they are.
    raw = {hashlib.sha256(data).hexdigest() for _, data in people}
    named = {(person, hashlib.sha256(data).hexdigest()) for person, data in people}
    for row in rows:
        if row.source in {"recordio", "own", "crops"}:
            assert row.det_score in {1.0, None}
        else:
            assert row.image_id in raw
            assert (row.claimed_identity, row.image_id) in named
    assert {row.det_score for row in rows if row.outcome == "kept" and row.source == "own"} <= {1.0}

    # The same again lists nothing anew and changes nothing.
    again = winnow("build", all_kinds, "-w", tmp_path / "work", "--json").answer
    assert again["stages"]["ingest"]["resumed"] is True
    assert again["release"]["is_new"] is False
    verified = winnow("versions", "verify", "people-v0001", "-w", tmp_path / "work", "--json")
    assert verified.answer["ok"]


def test_recordio_round_trip_keeps_every_pixel(
    winnow: Any, write_recipe: Any, photos: Path, tmp_path: Path
) -> None:
    shards = {"format": "png"}
    one = write_recipe(photos, "one.yaml", shards=shards)
    winnow("build", one, "-w", tmp_path / "one", "--json")
    export = ("versions", "export", "people-v0001", "--format", "folders", "--json")
    records = ("versions", "export", "people-v0001", "-w", tmp_path / "one", "--format", "recordio")
    done = winnow(*records, "--to", tmp_path / "rec")
    assert done.out == (
        f"people-v0001 as recordio: {_images(tmp_path / 'rec')} images of "
        f"{_people(tmp_path / 'rec')} identities in {tmp_path / 'rec'}\n"
    )
    refused = winnow(*records, "--to", tmp_path / "rec")
    assert (refused.code, refused.out) == (2, "")
    assert "is there already" in refused.complaint
    source = {"path": "rec/train.rec", "names": "rec/identities.csv"}
    two = write_recipe(photos, "two.yaml", shards=shards, sources=[{"recordio": source}])
    assert winnow("build", two, "-w", tmp_path / "two", "--json").code == 0
    contents = []
    for name in ("one", "two"):
        assert winnow(*export, "-w", tmp_path / name, "--to", tmp_path / f"{name}-out").code == 0
        images = (tmp_path / f"{name}-out").rglob("*.png")
        contents.append({(path.parent.name, path.read_bytes()) for path in images})
    before, after = contents
    assert after <= before
    assert len(after) >= 0.9 * len(before)


def _images(folder: Path) -> int:
    return len((folder / "train.lst").read_text().splitlines())


def _people(folder: Path) -> int:
    return int((folder / "property").read_text().split(",")[0])


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"recordio": {"path": "none.rec"}}, "none.rec' cannot be found"),
        ({"webdataset": {"urls": "{0..3}.tar"}}, "0.tar' cannot be found"),
        ({"parquet": {"path": "recipe.yaml"}}, "recipe.yaml': not a whole Parquet file"),
        ({"webdataset": {"urls": "recipe.yaml"}}, "the sources hold no image"),
        ({"img2dataset": {"path": "."}}, "names 0 files"),
    ],
)
def test_a_set_that_is_none_is_one_line(
    winnow: Any, write_recipe: Any, tmp_path: Path, source: dict[str, Any], complaint: str
) -> None:
    path = write_recipe(tmp_path, sources=[source])
    done = winnow("ingest", path, "-w", tmp_path / "work")
    assert done.code == 2
    assert complaint in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
