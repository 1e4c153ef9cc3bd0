"""Everything a run needs before its first step, checked so that what is wrong is said at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import distributed, nn

from facedata.errors import RequestError
from facedata.storage import Storage
from facedata.versions import MANIFEST, manifest_path, read_manifest
from training.beginning import find_beginning
from training.centres import CentreOptimiser
from training.checkpoint import Learned
from training.config import ModelConfig, TrainingConfig
from training.data.augment import AugmentConfig
from training.data.decode import SIDE, gpu_decoder
from training.data.loader import FaceBatches, LoaderConfig
from training.data.order import OrderConfig, steps_of
from training.data.released import TrainingSet, check_classes, training_set
from training.data.shards import ReadConfig, ShardStore
from training.imprint import imprint
from training.margins import MarginConfig, require_margin
from training.metric_losses import JointLoss, LossLayer, MetricLoss, MetricLossConfig
from training.optimise import Schedule, backbone_optimiser
from training.partial_fc import PartialFC, PartialFCConfig
from training.request import check_request
from training.restore import load
from training.run_state import finished
from training.weights import load_weights
from training.world import World

_VERIFY_THREADS, _VERIFY_SHARDS = 4, 16
BuildBackbone = Callable[[ModelConfig], nn.Module]
"""(configuration) → module of (n, 3, 112, 112) float32 in [-1, 1] → embeddings (n, d)."""


class StoppedEarlyError(Exception):
    """The run was asked to stop before it was prepared, with ``step`` of ``steps`` done."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(step, steps)
        self.step, self.steps = step, steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that is ready; ``network`` is the backbone as it is called, perhaps distributed."""

    training_set: TrainingSet
    dataset: FaceBatches
    loader: LoaderConfig
    learned: Learned
    network: nn.Module
    loss: LossLayer
    schedule: Schedule
    first_step: int


def prepare(
    config: TrainingConfig,
    world: World,
    build: BuildBackbone,
    stopping: Callable[[], bool] = lambda: False,
) -> Prepared:
    """Read the version, check the request, build everything, and read the checkpoint if any.

    ``stopping`` is asked now and then, on each rank, whether to stop instead.

    Raises:
        StoppedEarlyError: when any rank is to stop; raised on all of them.
        RequestError: when the request cannot be carried out.
        IntegrityError: when the version or the checkpoint is damaged.
        StorageError: when something cannot be read.
    """
    described = world.from_first(lambda: _describe(config))
    world.together(lambda: _check(config, world, described))
    dataset = FaceBatches(ShardStore(described, _read_config(config)), _loader_config(config))
    beginning = world.from_first(lambda: find_beginning(config, described))
    schedule = _schedule(config, dataset.order.samples)

    def may_stop() -> None:
        if any(world.any_of(stopping())):
            raise StoppedEarlyError(beginning.step, schedule.steps)

    if config.data.verify:
        _verify(config, world, dataset.store, may_stop)
    learned = _build(config, world, build, described.classes)
    if beginning.folder is not None:
        folder = beginning.folder
        world.together(lambda: load(folder, learned, beginning.sources))
    elif config.model.weights is not None:
        _go_on_from(Path(config.model.weights), config, world, dataset, learned)
    return Prepared(
        training_set=described,
        dataset=dataset,
        loader=_loader_config(config),
        learned=learned,
        network=_network(config.model, learned.backbone, world),
        loss=_loss(learned),
        schedule=schedule,
        first_step=beginning.step,
    )


def _go_on_from(
    weights: Path, config: TrainingConfig, world: World, dataset: FaceBatches, learned: Learned
) -> None:
    """Start from a trained backbone, with class centres to match."""
    world.together(lambda: load_weights(learned.backbone, weights))
    layer = learned.class_layer
    if layer is not None:
        source = (dataset, _loader_config(config))
        # A mean does not depend on batches; ranks take equal shares of these.
        batch = config.global_batch // world.size * world.size
        imprint(learned.backbone, layer, source, batch, world)


def _build(config: TrainingConfig, world: World, build: BuildBackbone, classes: int) -> Learned:
    """Backbone, optimiser and class layer as they are before anything is learned."""
    torch.manual_seed(config.seed)
    backbone = build(config.model).to(world.device)
    group = distributed.group.WORLD if world.size > 1 else None
    layer = _layer_config(config, classes)
    return Learned(
        backbone=backbone,
        optimiser=backbone_optimiser(backbone.parameters(), config.optimiser),
        class_layer=PartialFC(layer, group, world.device) if layer is not None else None,
        metric_losses=tuple(
            MetricLoss(one, group, world.device) for one in _metric_configs(config, classes)
        ),
    )


def _loss(learned: Learned) -> LossLayer:
    """The class layer, the metric losses, or their sum."""
    layers: list[LossLayer] = [*learned.metric_losses]
    if learned.class_layer is not None:
        layers.insert(0, learned.class_layer)
    return layers[0] if len(layers) == 1 else JointLoss(layers)


def _describe(config: TrainingConfig) -> TrainingSet:
    """Read the manifest, and leave a copy with the run: later runs match their classes by it."""
    manifest = read_manifest(Storage(config.data.workspace), config.data.version)
    described = training_set(config.data.workspace, manifest, config.data.digest)
    output = Storage(config.output)
    if not output.is_local:
        raise RequestError(
            f"output {config.output}: checkpoints need a folder on a disk that all nodes share"
        )
    if not finished(Path(config.output)):
        path = manifest_path(manifest.version)
        output.write(MANIFEST, Storage(config.data.workspace).read(path))
    return described


def _check(config: TrainingConfig, world: World, described: TrainingSet) -> None:
    check_request(config, described, world.size)
    _layer_config(config, described.classes)
    _metric_configs(config, described.classes)
    if config.data.decode == "gpu":
        _check_gpu_decode(world.device)


def _check_gpu_decode(device: torch.device) -> None:
    io = gpu_decoder()
    _, crop = cv2.imencode(".jpg", np.zeros((SIDE, SIDE, 3), dtype=np.uint8))
    try:
        io.decode_jpeg([torch.from_numpy(crop)], device=device)
    except RuntimeError as error:
        raise RequestError(
            "data.decode gpu: this torchvision decodes no JPEG on a GPU "
            f"({' '.join(str(error).split()):.200}); install one with nvJPEG, or set data.decode: "
            "cpu"
        ) from error


def _verify(
    config: TrainingConfig, world: World, store: ShardStore, may_stop: Callable[[], None]
) -> None:
    seen = np.zeros(store.training_set.classes, dtype=np.bool_)
    shards, at_once = len(store.training_set.shards), world.size * _VERIFY_SHARDS
    for first in range(0, shards, at_once):
        may_stop()
        mine = range(first + world.rank, min(first + at_once, shards), world.size)
        seen |= world.together(partial(store.classes_seen, mine, _VERIFY_THREADS))
    if world.control is not None:
        votes = torch.from_numpy(seen.astype(np.uint8))
        distributed.all_reduce(votes, op=distributed.ReduceOp.MAX, group=world.control)
        seen = votes.numpy().astype(np.bool_)

    def check() -> None:
        manifest = read_manifest(Storage(config.data.workspace), config.data.version)
        check_classes(manifest.version, manifest.identities, seen)

    world.from_first(check)


def _read_config(config: TrainingConfig) -> ReadConfig:
    return ReadConfig(
        cache=Path(config.data.cache or f"{config.output}/cache"),
        cache_bytes=int(config.data.cache_gigabytes * 1e9),
        attempts=config.data.read_attempts,
        wait_seconds=config.data.retry_seconds,
    )


def _loader_config(config: TrainingConfig) -> LoaderConfig:
    return LoaderConfig(
        order=OrderConfig(seed=config.seed, block_shards=config.data.block_shards),
        augment=AugmentConfig(**asdict(config.data.augment)),
        workers=config.data.workers,
        prefetch=config.data.prefetch,
        decode=config.data.decode == "cpu",
    )


def _metric_configs(config: TrainingConfig, classes: int) -> list[MetricLossConfig]:
    size = config.model.embedding_size
    return [
        MetricLossConfig(classes=classes, embedding_size=size, **asdict(asked))
        for asked in config.metric_losses
    ]


def _layer_config(config: TrainingConfig, classes: int) -> PartialFCConfig | None:
    layer, optimiser = config.class_layer, config.optimiser
    if layer is None:
        return None
    margin = MarginConfig(**asdict(layer.margin))
    require_margin(margin)
    return PartialFCConfig(
        classes=classes,
        embedding_size=config.model.embedding_size,
        sample_rate=layer.sample_rate,
        margin=margin,
        optimiser=CentreOptimiser(
            name=optimiser.name,
            momentum=optimiser.momentum,
            weight_decay=optimiser.weight_decay,
            betas=optimiser.betas,
            state_dtype=layer.state_dtype,
        ),
        centre_dtype=layer.centre_dtype,
        sub_centres=layer.sub_centres,
        filter_similarity=layer.filter_similarity,
        gather_dtype=layer.gather_dtype,
        seed=config.seed,
    )


def _schedule(config: TrainingConfig, samples: int) -> Schedule:
    asked = config.schedule
    return Schedule(
        peak=config.optimiser.learning_rate,
        steps=asked.steps or steps_of(asked.epochs, samples, config.global_batch),
        warmup_steps=steps_of(asked.warmup_epochs, samples, config.global_batch),
        power=asked.power,
    )


def _network(config: ModelConfig, backbone: nn.Module, world: World) -> nn.Module:
    """The backbone as it is called: compiled and distributed where asked for."""
    network: nn.Module = torch.compile(backbone) if config.compile else backbone  # type: ignore[assignment]
    if world.size == 1:
        return network
    # Every rank keeps its own running statistics; the first one's are those that are saved.
    return nn.parallel.DistributedDataParallel(
        network, forward_sync_buffers=False, gradient_as_bucket_view=True
    )
