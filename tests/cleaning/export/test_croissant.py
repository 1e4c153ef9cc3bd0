from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cleaning.export.croissant import CardData, render_card
from cleaning.export.samples import Sample
from cleaning.export.shards import ImageFormat, ShardConfig, write_shards

mlcroissant = pytest.importorskip("mlcroissant")
epath = pytest.importorskip("etils.epath")
EXTRACT = "mlcroissant._src.operation_graph.operations.extract"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No connection leaves the process, and nothing is unpacked outside the test's folder."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("the data card must be checked without network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    # mlcroissant unpacks an archive once per contentUrl, also when it lies in another folder.
    monkeypatch.setattr(f"{EXTRACT}.EXTRACT_PATH", epath.Path(tmp_path / "unpacked"))


@pytest.fixture(params=list(ImageFormat))
def version(request, tmp_path: Path, face_crop) -> tuple[Path, CardData]:
    """A version folder with shards and its data card."""
    (tmp_path / "shards").mkdir()
    samples = [
        Sample(
            key=f"{number:032x}-0",
            crop=face_crop(number),
            class_index=number % 2,
            facts={"identity": f"Person {number}"},
        )
        for number in range(5)
    ]
    config = ShardConfig(max_images=2, image_format=request.param)
    shards = write_shards(samples, config, lambda name: (tmp_path / name).open("wb"))
    data = CardData(
        name="politicians",
        version=3,
        images=5,
        identities=2,
        shards=shards,
        image_format=request.param,
        sources={"photos": 4, "gallery crawl": 3},
        licences={"CC BY 4.0": 4, None: 1},
        decisions=2,
        limitations=["Who the twins are."],
    )
    (tmp_path / "croissant.json").write_bytes(render_card(data))
    return tmp_path, data


def test_mlcroissant_finds_it_valid(version) -> None:
    folder, data = version
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    assert issues.errors == set()
    # A date would make two builds differ; there is no publication to cite.
    assert {warning.rsplit("/", 1)[-1] for warning in issues.warnings} == {
        'citeAs" is recommended, but does not exist.',
        'datePublished" is recommended, but does not exist.',
    }
    metadata = dataset.metadata
    assert (metadata.name, metadata.version) == ("politicians", "3.0.0")
    assert metadata.license == ["CC BY 4.0", "unknown for 1 image"]
    assert metadata.data_limitations == ["Who the twins are."]
    assert len(metadata.personal_sensitive_information) == 2
    assert "gallery crawl (3 images), photos (4 images)" in metadata.data_collection
    shards = [item for item in metadata.distribution if hasattr(item, "sha256")]
    assert [(item.id, item.sha256, item.content_size) for item in shards] == [
        (shard.name, shard.sha256, f"{shard.size_bytes} B") for shard in data.shards
    ]


def test_mlcroissant_reads_the_records(version) -> None:
    folder, _ = version
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    keys = [f"{number:032x}-0".encode() for number in range(5)]
    classes = list(dataset.records("classes"))
    assert [record["classes/key"] for record in classes] == keys
    assert [record["classes/class_index"] for record in classes] == [0, 1, 0, 1, 0]
    facts = [json.loads(record["facts/facts"]) for record in dataset.records("facts")]
    assert [fact["identity"] for fact in facts] == [f"Person {number}" for number in range(5)]
    images = list(dataset.records("images"))
    assert [record["images/key"] for record in images] == keys
    assert {record["images/image"].size for record in images} == {(112, 112)}


def test_a_version_without_images_is_valid_too() -> None:
    data = CardData(name="empty", version=1, images=0, identities=0, shards=[])
    card = render_card(data)
    assert render_card(data) == card
    dataset = mlcroissant.Dataset(jsonld=json.loads(card))
    assert dataset.metadata.ctx.issues.errors == set()
    assert dataset.metadata.license == ["unknown"]
