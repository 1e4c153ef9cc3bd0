"""Backbones by name: faces (n, 3, 112, 112) float32 in [-1, 1] in, embeddings out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from facedata.errors import RequestError
from training.backbones.backbone import Backbone, BackboneConfig, Parts
from training.backbones.iresnet import iresnet
from training.backbones.micro import micro
from training.backbones.mobilefacenet import mobilefacenet
from training.backbones.vit import vit

__all__ = ["BACKBONES", "Backbone", "BackboneConfig", "build_backbone"]

BACKBONES: dict[str, Callable[[BackboneConfig], Parts]] = {
    "micro": micro,
    "mobilefacenet": mobilefacenet,
    "iresnet18": partial(iresnet, depths=(2, 2, 2, 2)),
    "iresnet34": partial(iresnet, depths=(3, 4, 6, 3)),
    "iresnet50": partial(iresnet, depths=(3, 4, 14, 3)),
    "iresnet100": partial(iresnet, depths=(3, 13, 30, 3)),
    "iresnet200": partial(iresnet, depths=(6, 26, 60, 6)),
    "vit_t": partial(vit, width=256, depth=12),
    "vit_s": partial(vit, width=512, depth=12),
    "vit_b": partial(vit, width=512, depth=24),
}


def build_backbone(config: BackboneConfig) -> Backbone:
    """Return a new backbone in training mode, its weights drawn from torch's global generator.

    Raises:
        RequestError: there is no backbone of that name.

    """
    if config.name not in BACKBONES:
        known = ", ".join(sorted(BACKBONES))
        raise RequestError(f"no backbone is called {config.name!r}; use one of {known}")
    backbone = Backbone(BACKBONES[config.name](config), config)
    if config.channels_last:
        backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return backbone
