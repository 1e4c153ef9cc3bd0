"""Training recipes: functions that return a whole configuration, by name in ``RECIPES``.

The published ones take their values from insightface's ``recognition/arcface_torch/configs``; what
a file there leaves open (scale 64, clipping at norm 5, decay of power 2) is in its ``train_v2.py``.
Batches are those of the 8 GPUs that its table of results names. fp16 with loss scaling has become
bfloat16, which needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from facedata.errors import RecipeError
from training.config import (
    AugmentOptions,
    CheckpointConfig,
    ClassLayerConfig,
    DataConfig,
    LoggingConfig,
    MarginOptions,
    ModelConfig,
    OptimiserConfig,
    ScheduleConfig,
    TrainingConfig,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to train on and where to put it: ``workspace`` (folder or URL), ``version``, ``output``.

    ``digest``, when known, is checked against the version's. ``weights`` is a model pack to go on
    from, for recipes whose backbone it fits.
    """

    workspace: str
    version: str
    output: str
    digest: str | None = None
    weights: str | None = None


def demo_cpu(target: Target) -> TrainingConfig:
    """Minutes on two cores: a small backbone, and every augmentation.

    From random weights two thousand people with six photos each make a recogniser
    (``benchmarks/demo_training.py``). The demo's two dozen do not; they refine one: with
    ``weights`` it goes on from the pack that cleaned the version, at a low rate.
    """
    fresh = target.weights is None
    return TrainingConfig(
        name="demo_cpu",
        output=target.output,
        data=_data(
            target,
            workers=1,
            augment=AugmentOptions(
                misalign=0.8, light=0.6, downscale=0.2, blur=0.2, jpeg=0.2, grey=0.1
            ),
        ),
        model=ModelConfig(backbone="micro", embedding_size=128, weights=target.weights),
        class_layer=ClassLayerConfig(margin=MarginOptions(name="arcface", angle=0.3, scale=32.0)),
        optimiser=OptimiserConfig(
            name="adamw", learning_rate=_FRESH_RATE if fresh else _REFINING_RATE, weight_decay=0.05
        ),
        schedule=ScheduleConfig(epochs=35.0 if fresh else 4.0, warmup_epochs=1.0, power=1.0),
        global_batch=128 if fresh else 64,
        device="cpu",
        precision="bfloat16",
        logging=LoggingConfig(every=10),
        checkpoint=CheckpointConfig(every=100),
    )


def glint360k_r50(target: Target) -> TrainingConfig:
    """IResNet-50 with CosFace 0.4 on some 360,000 identities: ``configs/glint360k_r50.py``."""
    return TrainingConfig(
        name="glint360k_r50",
        output=target.output,
        data=_data(target, workers=8),
        model=ModelConfig(backbone="iresnet50"),
        class_layer=ClassLayerConfig(margin=MarginOptions(name="cosface", cosine=0.4)),
        optimiser=OptimiserConfig(learning_rate=0.1, weight_decay=1e-4),
        schedule=ScheduleConfig(epochs=20.0),
        global_batch=1024,
        precision="bfloat16",
    )


def wf42m_r100_pfc(target: Target) -> TrainingConfig:
    """IResNet-100, Partial FC 0.2 on two million identities: ``configs/wf42m_pfc02_r100.py``."""
    return TrainingConfig(
        name="wf42m_r100_pfc",
        output=target.output,
        data=_data(target, workers=8, verify=False),
        model=ModelConfig(backbone="iresnet100"),
        class_layer=ClassLayerConfig(
            margin=MarginOptions(name="cosface", cosine=0.4), sample_rate=0.2
        ),
        optimiser=OptimiserConfig(learning_rate=0.1, weight_decay=5e-4),
        schedule=ScheduleConfig(epochs=20.0),
        global_batch=1024,
        precision="bfloat16",
    )


def hundred_million(target: Target) -> TrainingConfig:
    """A hundred million identities, on one GPU of 141 GB or many smaller ones.

    No public recipe goes so far; it continues ``wf42m_r100_pfc``. 128 dimensions, centres and
    their momentum in bfloat16 take 51 GB in all; a tenth of the negatives keeps the logits of a
    step at 10 million columns. Half an epoch of warm-up, because a class comes up so rarely.
    """
    return TrainingConfig(
        name="hundred_million",
        output=target.output,
        data=_data(target, workers=12, verify=False, cache_gigabytes=1000.0),
        model=ModelConfig(backbone="iresnet50", embedding_size=128, activation_checkpointing=True),
        class_layer=ClassLayerConfig(
            margin=MarginOptions(name="cosface", cosine=0.4),
            sample_rate=0.1,
            centre_dtype="bfloat16",
            state_dtype="bfloat16",
            gather_dtype="bfloat16",
        ),
        optimiser=OptimiserConfig(learning_rate=0.1, weight_decay=5e-4),
        schedule=ScheduleConfig(epochs=10.0, warmup_epochs=0.5),
        global_batch=1024,
        precision="bfloat16",
        checkpoint=CheckpointConfig(every=10_000, keep=1),
    )


def _data(
    target: Target,
    *,
    workers: int,
    verify: bool = True,
    cache_gigabytes: float = 200.0,
    augment: AugmentOptions | None = None,
) -> DataConfig:
    return DataConfig(
        workspace=target.workspace,
        version=target.version,
        digest=target.digest,
        workers=workers,
        verify=verify,
        cache_gigabytes=cache_gigabytes,
        augment=augment or AugmentOptions(),
    )


_FRESH_RATE, _REFINING_RATE = 3e-3, 3e-5

Recipe = Callable[[Target], TrainingConfig]

RECIPES: dict[str, Recipe] = {
    "demo_cpu": demo_cpu,
    "glint360k_r50": glint360k_r50,
    "wf42m_r100_pfc": wf42m_r100_pfc,
    "hundred_million": hundred_million,
}


def recipe(name: str, target: Target) -> TrainingConfig:
    """The configuration that the recipe ``name`` gives for a target.

    Raises:
        RecipeError: when there is no such recipe.
    """
    if name not in RECIPES:
        raise RecipeError(f"training recipe {name!r}: not known; use one of {', '.join(RECIPES)}")
    return RECIPES[name](target)
