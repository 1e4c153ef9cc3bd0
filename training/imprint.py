"""Class centres from the photos themselves, for a backbone that can tell people apart already.

Random centres would first pull such a backbone to pieces: it learns where they happen to lie. The
mean embedding of a class is where its centre will end up (weight imprinting, Qi et al., CVPR 2018,
arXiv:1712.07136).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from training.collectives import gather_rows
from training.data.augment import AugmentConfig
from training.data.decode import network_input
from training.data.loader import (
    Batch,
    FaceBatches,
    LoaderConfig,
    Share,
    batches,
    next_on_device,
)
from training.data.order import rank_span, steps_of
from training.partial_fc import PartialFC
from training.world import World


def imprint(
    backbone: nn.Module,
    layer: PartialFC,
    source: tuple[FaceBatches, LoaderConfig],
    global_batch: int,
    world: World,
) -> None:
    """Point the centre of every class at the mean of its embeddings; all ranks call it together.

    It takes one pass over the images as they are, without augmentations or gradients, and float32
    memory as large as the local centres. Every image counts once. Classes without images keep
    their random centre.

    Args:
        backbone: module of (n, 3, 112, 112) float32 in [-1, 1] → embeddings (n, d).
        layer: whose centres are turned.
        source: the images, and how they are read.
        global_batch: images per step, a multiple of the number of ranks.
        world: the ranks.

    Raises:
        StorageError, IntegrityError: as reading the batches does.
    """
    rows = layer.centres.rows
    classes = layer.centres.shape.classes
    sums = torch.zeros((len(classes), rows.shape[2]), device=rows.device)
    share = Share(global_batch=global_batch, rank=world.rank, world_size=world.size)
    backbone.eval()
    with torch.no_grad():
        for batch in _images_once(source, share, world):
            unit = functional.normalize(backbone(network_input(batch.images)).float())
            embeddings = gather_rows(unit, layer.ranks)
            labels = gather_rows(batch.labels, layer.ranks)
            mine = (labels >= classes.start) & (labels < classes.stop)
            sums.index_add_(0, labels[mine] - classes.start, embeddings[mine])
    backbone.train()
    layer.centres.point_at(sums)


def _images_once(
    source: tuple[FaceBatches, LoaderConfig], share: Share, world: World
) -> Iterator[Batch]:
    """One pass over the images; label -1 marks those that fill up the last batch.

    An error on any rank ends it on all of them.
    """
    loader = replace(source[1], augment=AugmentConfig(flip=0.0))
    dataset = FaceBatches(source[0].store, loader)
    samples = dataset.order.samples
    steps = steps_of(1.0, samples, share.global_batch)
    arriving = batches(dataset, loader, share, position=0, steps=steps)
    for step in range(steps):
        batch, error = next_on_device(arriving, world.device)
        world.agree(error)
        if batch is not None:
            first, _ = rank_span(
                step * share.global_batch, share.global_batch, share.rank, share.world_size
            )
            batch.labels[max(0, samples - first) :] = -1
            yield batch
