"""Class centres from the photos themselves, for a backbone that can tell people apart already.

Random centres would first pull such a backbone to pieces: it learns where they happen to lie. The
mean embedding of a class is where its centre will end up (weight imprinting, Qi et al., CVPR 2018,
arXiv:1712.07136).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from training.collectives import gather_rows
from training.data.decode import network_input
from training.data.loader import (
    Batch,
    FaceBatches,
    LoaderConfig,
    Share,
    batches,
    next_or_error,
    on_device,
)
from training.data.order import steps_of
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

    It takes one pass over the images, without gradients, and float32 memory as large as the local
    centres. Classes without images keep their random centre.

    Raises:
        StorageError, IntegrityError: as reading the batches does.
    """
    dataset, loader = source
    rows = layer.centres.rows
    classes = layer.centres.shape.classes
    sums = torch.zeros((len(classes), rows.shape[2]), device=rows.device)
    share = Share(global_batch=global_batch, rank=world.rank, world_size=world.size)
    steps = steps_of(1.0, dataset.order.samples, global_batch)
    backbone.eval()
    with torch.no_grad():
        for moved in _batches(dataset, loader, share, steps, world):
            unit = functional.normalize(backbone(network_input(moved.images)).float())
            embeddings = gather_rows(unit, layer.ranks)
            labels = gather_rows(moved.labels, layer.ranks)
            mine = (labels >= classes.start) & (labels < classes.stop)
            sums.index_add_(0, labels[mine] - classes.start, embeddings[mine])
    backbone.train()
    layer.centres.point_at(sums)


def _batches(
    dataset: FaceBatches, loader: LoaderConfig, share: Share, steps: int, world: World
) -> Iterator[Batch]:
    """The batches of one pass; an error on any rank ends it on all of them."""
    arriving = batches(dataset, loader, share, position=0, steps=steps)
    for _ in range(steps):
        batch, error = next_or_error(arriving)
        world.agree(error)
        if batch is not None:
            yield on_device(batch, world.device)
