"""A residual network of half a million numbers, for CPUs and rendered faces.

Plain 3×3 convolutions: on a CPU they train several times faster than the separable ones of a
MobileFaceNet. The demo's recogniser is one.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.backbones.backbone import BackboneConfig, Parts

_FEATURES = 256


def micro(config: BackboneConfig) -> Parts:
    """Return the parts of the network; the embedding has mean 0 and variance 1 over a batch."""
    blocks: list[nn.Module] = [
        _down(16, 32), _Residual(32),
        _down(32, 64), _Residual(64), _Residual(64),
        _down(64, 96), _Residual(96),
    ]  # fmt: skip
    head = nn.Sequential(
        nn.Conv2d(96, _FEATURES, 1, bias=False), nn.BatchNorm2d(_FEATURES), nn.ReLU(inplace=True),
        nn.Conv2d(_FEATURES, _FEATURES, 7, groups=_FEATURES, bias=False),
        nn.BatchNorm2d(_FEATURES), nn.Flatten(),
        nn.Linear(_FEATURES, config.embedding_size, bias=False),
        nn.BatchNorm1d(config.embedding_size, affine=False),
    )  # fmt: skip
    return Parts(stem=_down(3, 16), blocks=blocks, head=head)


def _conv(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
    )


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs, stride=2), nn.ReLU(inplace=True))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels), nn.ReLU(inplace=True), _conv(channels, channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.body(x))
