"""A small face embedder: residual blocks, 112×112 in, 128 numbers out."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

DIMENSIONS = 128


def _conv(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
    )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels), nn.ReLU(inplace=True), _conv(channels, channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.body(x))


class Recogniser(nn.Module):
    """Input (n, 3, 112, 112) RGB, pixels (x - 127.5) / 127.5; output (n, 128), not normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(3, 16, stride=2), nn.ReLU(inplace=True),
            _conv(16, 32, stride=2), nn.ReLU(inplace=True), _Residual(32),
            _conv(32, 64, stride=2), nn.ReLU(inplace=True), _Residual(64), _Residual(64),
            _conv(64, 96, stride=2), nn.ReLU(inplace=True), _Residual(96),
            nn.Conv2d(96, 256, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 7, groups=256, bias=False), nn.BatchNorm2d(256),
        )  # fmt: skip
        self.embed = nn.Linear(256, DIMENSIONS, bias=False)
        self.norm = nn.BatchNorm1d(DIMENSIONS, affine=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedding: torch.Tensor = self.norm(self.embed(self.body(x).flatten(1)))
        return embedding


class Centres(nn.Module):
    """Class centres; returns cosines (n, classes) of embeddings (n, 128)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, DIMENSIONS) * 0.05)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        return functional.normalize(embedding) @ functional.normalize(self.weight).T
