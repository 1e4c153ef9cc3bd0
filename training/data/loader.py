"""Batches for one rank, decoded and augmented in worker processes, in the order of the sequence."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from facedata.errors import WinnowError
from training.data.augment import AugmentConfig, augment, is_mirrored
from training.data.decode import decode_crop, decode_on
from training.data.mixing import key_of, mixed
from training.data.order import OrderConfig, Places, SampleOrder, rank_span
from training.data.shards import ShardStore

_AUGMENT = 3

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderConfig:
    """How a rank reads: ``workers`` processes (0: none), each ``prefetch`` batches ahead.

    Without ``decode`` they hand on the bytes, and of the augmentations only who is mirrored.
    """

    order: OrderConfig
    augment: AugmentConfig
    workers: int = 4
    prefetch: int = 4
    decode: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A rank's part of every batch: batches of ``global_batch`` over ``world_size`` ranks."""

    global_batch: int
    rank: int
    world_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Images (n, 112, 112, 3) uint8 RGB and labels (n,) int64 of one rank, one step."""

    images: torch.Tensor
    labels: torch.Tensor

    def pin_memory(self) -> Batch:
        """Copy into page-locked memory; called by the DataLoader when a GPU is used."""
        return Batch(images=self.images.pin_memory(), labels=self.labels.pin_memory())


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedBatch:
    """Crops that are still to be decoded, on the GPU; see ``decode.decode_on``.

    ``encoded`` (bytes,) uint8 is all of them one after another, ``lengths`` (n,) int64 of each.
    One tensor, because each takes a file descriptor on its way between processes.
    """

    encoded: torch.Tensor
    lengths: torch.Tensor
    mirrored: torch.Tensor
    labels: torch.Tensor


AnyBatch = Batch | EncodedBatch


class FaceBatches(Dataset[AnyBatch | WinnowError]):
    """Spans of the sequence → batches; an error is handed back, because it must cross processes."""

    def __init__(self, store: ShardStore, config: LoaderConfig) -> None:
        self.store = store
        self._config = config
        counts = [shard.images for shard in store.training_set.shards]
        self._firsts = np.cumsum([0, *counts[:-1]])
        self.order = SampleOrder(counts, config.order)

    def __getitem__(self, span: Span) -> AnyBatch | WinnowError:
        try:
            places = self.order.places(*span)
            return self._decoded(places) if self._config.decode else self._encoded(places)
        except WinnowError as error:
            return error

    def _decoded(self, places: Places) -> Batch:
        images, labels = [], []
        for shard, row, key in zip(places.shard, places.row, self._keys(places), strict=True):
            data, label = self.store.read(int(shard), int(row))
            path = self.store.training_set.shards[shard].path
            image = decode_crop(data, f"image {row} of {path}")
            images.append(augment(image, self._config.augment, int(key)))
            labels.append(label)
        return Batch(
            images=torch.from_numpy(np.stack(images)),
            labels=torch.tensor(labels, dtype=torch.int64),
        )

    def _encoded(self, places: Places) -> EncodedBatch:
        read = [
            self.store.read(int(shard), int(row))
            for shard, row in zip(places.shard, places.row, strict=True)
        ]
        mirrored = [is_mirrored(self._config.augment, int(key)) for key in self._keys(places)]
        return EncodedBatch(
            encoded=torch.frombuffer(bytearray().join(data for data, _ in read), dtype=torch.uint8),
            lengths=torch.tensor([len(data) for data, _ in read], dtype=torch.int64),
            mirrored=torch.tensor(mirrored),
            labels=torch.tensor([label for _, label in read], dtype=torch.int64),
        )

    def _keys(self, places: Places) -> NDArray[np.uint64]:
        """What decides each image's augmentation: seed, epoch and which sample of the set it is."""
        samples = (self._firsts[places.shard] + places.row).astype(np.uint64)
        keys = np.empty_like(samples)
        for epoch in np.unique(places.epoch):
            chosen = places.epoch == epoch
            own = key_of(self._config.order.seed, int(epoch), _AUGMENT)
            keys[chosen] = mixed(own, samples[chosen])
        return keys


class _Spans(Sampler[Span]):
    """A rank's span of each of ``steps`` batches, the first one starting at ``position``."""

    def __init__(self, share: Share, position: int, steps: int) -> None:
        self._share = share
        self._position = position
        self._steps = steps

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Span]:
        share = self._share
        for step in range(self._steps):
            start = self._position + step * share.global_batch
            yield rank_span(start, share.global_batch, share.rank, share.world_size)


def batches(
    dataset: FaceBatches, config: LoaderConfig, share: Share, *, position: int, steps: int
) -> Generator[AnyBatch, None, None]:
    """Yield a rank's batches of ``steps`` steps from a position of the sequence on.

    Raises:
        StorageError: when a shard cannot be read, after all attempts.
        IntegrityError: when a shard or an image is not what it should be.
    """
    loader: DataLoader[AnyBatch | WinnowError] = DataLoader(
        dataset,
        batch_size=None,
        sampler=_Spans(share, position, steps),
        num_workers=config.workers,
        prefetch_factor=config.prefetch if config.workers else None,
        collate_fn=_unchanged,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_start_worker,
    )
    for batch in loader:
        if isinstance(batch, WinnowError):
            raise batch
        yield batch


def next_on_device(
    arriving: Iterator[AnyBatch], device: torch.device
) -> tuple[Batch | None, WinnowError | None]:
    """The next batch on its device, or why there is none: for ranks that must agree to stop."""
    try:
        return on_device(next(arriving), device), None
    except WinnowError as error:
        return None, error


def on_device(batch: AnyBatch, device: torch.device) -> Batch:
    """Bring a batch to where it is trained on, decoding it there if it is not yet.

    Raises:
        IntegrityError: when an image of an encoded batch is not what it should be.
        RequestError: when it cannot be decoded there at all.
    """
    labels = batch.labels.to(device, non_blocking=True)
    if isinstance(batch, Batch):
        return Batch(images=batch.images.to(device, non_blocking=True), labels=labels)
    crops = torch.split(batch.encoded, batch.lengths.tolist())
    return Batch(images=decode_on(device, crops, batch.mirrored), labels=labels)


def _unchanged(item: Any) -> Any:
    return item


def _start_worker(_number: int) -> None:
    # The rank decides when to stop; its workers read on until then. One core per worker.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
