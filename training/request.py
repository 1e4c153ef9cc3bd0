"""Whether a configuration can be carried out at all: what can be told without torch."""

from __future__ import annotations

from dataclasses import asdict

from facedata.errors import RequestError
from training.config import TrainingConfig
from training.data.released import TrainingSet

BACKBONE_NAMES = (
    "iresnet100", "iresnet18", "iresnet200", "iresnet34", "iresnet50", "micro", "mobilefacenet",
    "vit_b", "vit_s", "vit_t",
)  # fmt: skip
"""The keys of ``training.backbones.BACKBONES``, which needs torch."""

MARGIN_NAMES = (
    "adaface", "arcface", "combined", "cosface", "normface", "softmax", "sphereface",
)  # fmt: skip
"""The keys of ``training.margins.MARGINS``, which needs torch."""


def check_names(config: TrainingConfig) -> None:
    """Check that there are a backbone and a margin of the names given.

    Raises:
        RequestError: there is none.
    """
    backbone = config.model.backbone
    if backbone not in BACKBONE_NAMES:
        known = ", ".join(BACKBONE_NAMES)
        raise RequestError(f"no backbone is called {backbone!r}; use one of {known}")
    if config.class_layer is not None and config.class_layer.margin.name not in MARGIN_NAMES:
        name, known = config.class_layer.margin.name, ", ".join(MARGIN_NAMES)
        raise RequestError(f"margin: no margin is called {name!r}; use one of {known}")


def check_request(config: TrainingConfig, described: TrainingSet, processes: int) -> None:
    """Check a configuration against the version and the number of processes, of all nodes together.

    Raises:
        RequestError: they do not go together, or the configuration contradicts itself.
    """
    if processes > described.classes:
        raise RequestError(
            f"version {described.version}: {described.classes} classes cannot be shared by "
            f"{processes} processes; start at most {described.classes}"
        )
    if config.global_batch < 2 * processes:
        raise RequestError(
            f"global_batch is {config.global_batch} for {processes} processes; batch statistics "
            f"need two images in each, so start at most {config.global_batch // 2}, or, for a new "
            f"run, use at least {2 * processes}"
        )
    if config.class_layer is None and not config.metric_losses:
        raise RequestError(
            "class_layer is null and metric_losses is empty: there is nothing to learn from; "
            "leave class_layer out, or name a metric loss"
        )
    names = [one.name for one in config.metric_losses]
    if len(set(names)) < len(names):
        raise RequestError(f"metric_losses are {', '.join(names)}; name each once")
    if config.data.decode == "gpu":
        _check_gpu_decode(config)


def _check_gpu_decode(config: TrainingConfig) -> None:
    if config.device != "cuda":
        raise RequestError("data.decode is gpu, device is cpu; set data.decode: cpu")
    asked = asdict(config.data.augment)
    changes = [name for name, chance in asked.items() if chance > 0 and name != "flip"]
    if changes:
        raise RequestError(
            f"data.decode is gpu, data.augment.{changes[0]} is {asked[changes[0]]}; only flip is "
            "done there: set data.decode: cpu, or leave the others at 0"
        )
