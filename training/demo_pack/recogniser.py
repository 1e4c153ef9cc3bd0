"""The demo's face embedder, 112×112 in, 128 numbers out, and the class centres it trains with."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.backbones import Backbone, BackboneConfig, build_backbone

DIMENSIONS = 128


def new_recogniser() -> Backbone:
    """Input (n, 3, 112, 112) RGB, pixels (x - 127.5) / 127.5; output (n, 128), not normalised."""
    return build_backbone(BackboneConfig(name="micro", embedding_size=DIMENSIONS))


class Centres(nn.Module):
    """Class centres; returns cosines (n, classes) of embeddings (n, 128)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, DIMENSIONS) * 0.05)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        return functional.normalize(embedding) @ functional.normalize(self.weight).T
