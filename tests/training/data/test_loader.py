"""Batches are the same for any number of ranks and workers, and after a resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from facedata.errors import IntegrityError, RequestError, StorageError
from facedata.versions import Manifest
from training.data.augment import AugmentConfig
from training.data.decode import decode_crop, gpu_decoder
from training.data.loader import (
    Batch,
    EncodedBatch,
    FaceBatches,
    LoaderConfig,
    Share,
    batches,
    on_device,
)
from training.data.order import OrderConfig
from training.data.released import training_set
from training.data.shards import ReadConfig, ShardStore

CONFIG = LoaderConfig(
    order=OrderConfig(seed=5, block_shards=2),
    augment=AugmentConfig(flip=0.5, blur=0.3),
    workers=0,
    prefetch=2,
)
BATCH = 12


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory, make_version) -> Manifest:
    root = tmp_path_factory.getbasetemp() / "set"
    return make_version(root, {"Ada": 0, "Bea": 1, "Cid": 2, "Dov": 3}, images=10, shard_images=7)


@pytest.fixture
def dataset(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> FaceBatches:
    root = tmp_path_factory.getbasetemp() / "set"
    read = ReadConfig(cache=tmp_path / "cache", attempts=2, wait_seconds=0.001)
    return FaceBatches(ShardStore(training_set(str(root), manifest, None), read), CONFIG)


def read(
    dataset: FaceBatches, world_size: int, *, workers: int = 0, position: int = 0, steps: int = 7
) -> list[Batch]:
    """The global batches, put together from what the ranks read."""
    config = replace(CONFIG, workers=workers)
    ranks = []
    for rank in range(world_size):
        share = Share(global_batch=BATCH, rank=rank, world_size=world_size)
        ranks.append(list(batches(dataset, config, share, position=position, steps=steps)))
    return [
        Batch(
            images=torch.cat([part.images for part in parts]),
            labels=torch.cat([part.labels for part in parts]),
        )
        for parts in zip(*ranks, strict=True)
    ]


def same(found: list[Batch], expected: list[Batch]) -> bool:
    return len(found) == len(expected) and all(
        torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
        for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_ranks_share_the_same_batches(dataset: FaceBatches, world_size: int) -> None:
    assert same(read(dataset, world_size), read(dataset, 1))


def test_workers_change_nothing(dataset: FaceBatches) -> None:
    assert same(read(dataset, 2, workers=2), read(dataset, 1))


def test_workers_read_from_a_server_that_the_rank_has_asked(
    tmp_path: Path, make_version, file_server: Any
) -> None:
    manifest = make_version(tmp_path / "set", {"Ada": 0, "Bea": 1}, images=12, shard_images=4)
    found = []
    for root in (str(tmp_path / "set"), f"{file_server.url}/set"):
        config = ReadConfig(cache=tmp_path / f"cache-{len(found)}", cache_bytes=400_000)
        store = ShardStore(training_set(root, manifest, None), config)
        store.classes_seen(range(2), threads=2)
        found.append(read(FaceBatches(store, CONFIG), 1, workers=2, steps=2))

    assert same(*found)


def test_a_run_goes_on_in_the_middle_of_an_epoch(dataset: FaceBatches) -> None:
    whole = read(dataset, 1)

    assert same(read(dataset, 4, position=2 * BATCH, steps=5), whole[2:])


def test_an_epoch_holds_every_class_as_often_as_the_set(dataset: FaceBatches) -> None:
    labels = torch.cat([batch.labels for batch in read(dataset, 1, steps=10)])

    for epoch in range(3):
        assert torch.bincount(labels[epoch * 40 : (epoch + 1) * 40]).tolist() == [10] * 4


def test_epochs_are_augmented_differently(dataset: FaceBatches) -> None:
    images = torch.cat([batch.images for batch in read(dataset, 1, steps=10)])

    first, second = ({one.numpy().tobytes() for one in images[a : a + 40]} for a in (0, 40))

    assert len(first) == 40
    assert first != second


def test_encoded_batches_hold_the_same_crops(dataset: FaceBatches) -> None:
    config = replace(CONFIG, augment=AugmentConfig(flip=0.5), decode=False)
    decoded = FaceBatches(dataset.store, replace(config, decode=True))[0, BATCH]

    found = FaceBatches(dataset.store, config)[0, BATCH]

    assert isinstance(decoded, Batch)
    assert isinstance(found, EncodedBatch)
    assert torch.equal(found.labels, decoded.labels)
    assert 0 < int(found.mirrored.sum()) < BATCH
    crops = found.encoded.split(found.lengths.tolist())
    for data, mirrored, image in zip(crops, found.mirrored, decoded.images, strict=True):
        crop = torch.from_numpy(decode_crop(data.numpy().tobytes(), "crop"))
        assert torch.equal(crop.flip(1) if mirrored else crop, image)


def test_torchvision_decodes_the_same_crops(dataset: FaceBatches) -> None:
    try:
        gpu_decoder()
    except RequestError as error:
        pytest.skip(str(error))
    config = replace(CONFIG, augment=AugmentConfig(flip=0.5), decode=False)
    encoded = FaceBatches(dataset.store, config)[0, BATCH]
    decoded = FaceBatches(dataset.store, replace(config, decode=True))[0, BATCH]

    found = on_device(encoded, torch.device("cpu"))

    assert torch.equal(found.labels, decoded.labels)
    assert (found.images.int() - decoded.images.int()).abs().max() <= 4


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failing_shard_stops_the_batches(tmp_path: Path, make_version, workers: int) -> None:
    manifest = make_version(tmp_path, {"Ada": 0, "Bea": 1}, images=6, shard_images=4)
    store = ShardStore(
        training_set(str(tmp_path), manifest, None),
        ReadConfig(cache=tmp_path / "cache", attempts=2, wait_seconds=0.001),
    )
    (tmp_path / "versions" / manifest.version / manifest.shards[1].path).unlink()

    with pytest.raises(StorageError, match=r"train-000001\.tar: cannot be read after 2 attempts"):
        read(FaceBatches(store, CONFIG), 1, workers=workers, steps=1)


def test_an_image_that_is_none_is_named(tmp_path: Path, make_version) -> None:
    manifest = make_version(tmp_path, {"Ada": 0, "Bea": 1}, images=6, shard_images=20)
    path = tmp_path / "versions" / manifest.version / manifest.shards[0].path
    store = ShardStore(
        training_set(str(tmp_path), manifest, None), ReadConfig(cache=tmp_path / "cache")
    )
    store.read(0, 0)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\xff\xd8\xff", b"\x00\x00\x00"))

    with pytest.raises(IntegrityError, match=r"image \d+ of shards/train-000000\.tar: \d+ bytes"):
        read(FaceBatches(store, CONFIG), 1, steps=1)
