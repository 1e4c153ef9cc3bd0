"""Class centres point at the mean embeddings of their classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from training.data.augment import AugmentConfig
from training.data.decode import network_input
from training.data.loader import FaceBatches, LoaderConfig
from training.data.order import OrderConfig
from training.data.released import training_set
from training.data.shards import ReadConfig, ShardStore
from training.imprint import imprint
from training.margins import MarginConfig
from training.partial_fc import PartialFC, PartialFCConfig
from training.world import World

PEOPLE = {"Ada": 0, "Bea": 1, "Cid": 3, "Dov": 4}
RETIRED = {"Old": 2}
ALONE = World(rank=0, size=1, device=torch.device("cpu"), control=None)


class Means(nn.Module):
    """Means of 16 × 16 patches, without anything to learn."""

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(faces, 16).flatten(1)


@pytest.fixture
def dataset(make_version: Any, tmp_path: Path) -> FaceBatches:
    manifest = make_version(tmp_path / "work", PEOPLE, retired=RETIRED)
    described = training_set(str(tmp_path / "work"), manifest, None)
    return FaceBatches(ShardStore(described, ReadConfig(cache=tmp_path / "cache")), loader())


def loader() -> LoaderConfig:
    still = AugmentConfig(flip=0.0)
    return LoaderConfig(order=OrderConfig(seed=0), augment=still, workers=0)


def imprinted(dataset: FaceBatches, config: LoaderConfig, global_batch: int) -> PartialFC:
    margin = MarginConfig(name="cosface")
    layer = PartialFC(PartialFCConfig(classes=5, embedding_size=147, margin=margin))
    imprint(Means(), layer, (dataset, config), global_batch, ALONE)
    return layer


def test_centres_turn_to_their_classes_and_others_stay(dataset: FaceBatches) -> None:
    margin = MarginConfig(name="cosface")
    fresh = PartialFC(PartialFCConfig(classes=5, embedding_size=147, margin=margin))
    before = fresh.centres.rows[:, 0]
    samples = dataset.order.samples
    after = imprinted(dataset, loader(), samples).centres.rows[:, 0]
    batch = dataset[(0, samples)]
    unit = functional.normalize(Means()(network_input(batch.images)))
    for label in PEOPLE.values():
        mean = unit[batch.labels == label].mean(dim=0)
        assert functional.cosine_similarity(after[label], mean, dim=0) > 1 - 1e-5
        assert np.isclose(after[label].norm(), before[label].norm(), rtol=1e-5)
    assert torch.equal(after[RETIRED["Old"]], before[RETIRED["Old"]])


def test_every_image_counts_once_whatever_the_batch(dataset: FaceBatches) -> None:
    samples = dataset.order.samples
    whole = imprinted(dataset, loader(), samples).centres.rows

    for global_batch in (samples - 1, samples // 2 + 1, 10 * samples):
        filled_up = imprinted(dataset, loader(), global_batch).centres.rows
        torch.testing.assert_close(filled_up, whole, rtol=0, atol=1e-7)


def test_augmentations_are_left_out(dataset: FaceBatches) -> None:
    changing = replace(loader(), augment=AugmentConfig(flip=1.0, blur=1.0, grey=1.0))
    changed = FaceBatches(dataset.store, changing)
    samples = dataset.order.samples

    found = imprinted(changed, changing, samples).centres.rows

    assert torch.equal(found, imprinted(dataset, loader(), samples).centres.rows)
