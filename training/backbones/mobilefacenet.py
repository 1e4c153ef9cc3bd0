"""MobileFaceNet (Chen et al., arXiv:1804.07573) with the widths of insightface's arcface_torch.

They are twice the paper's; stride, depth and the global depthwise convolution are the paper's.
"""

from __future__ import annotations

import torch
from torch import nn

from training.backbones.backbone import BackboneConfig, Parts


def mobilefacenet(config: BackboneConfig) -> Parts:
    """Return the parts of a MobileFaceNet."""
    stem = nn.Sequential(
        *_conv(3, 128, size=3, stride=2), nn.PReLU(128),
        *_conv(128, 128, size=3, groups=64), nn.PReLU(128),
    )  # fmt: skip
    blocks: list[nn.Module] = [
        _Bottleneck(128, 128, inner=128, stride=2),
        *(_Bottleneck(128, 128, inner=128) for _ in range(4)),
        _Bottleneck(128, 256, inner=256, stride=2),
        *(_Bottleneck(256, 256, inner=256) for _ in range(6)),
        _Bottleneck(256, 256, inner=512, stride=2),
        *(_Bottleneck(256, 256, inner=256) for _ in range(2)),
    ]
    linear = nn.Linear(512, config.embedding_size, bias=False)
    nn.init.kaiming_normal_(linear.weight, mode="fan_out", nonlinearity="relu")
    head = nn.Sequential(
        *_conv(256, 512, size=1), nn.PReLU(512),
        *_conv(512, 512, size=7, groups=512, padding=0), nn.Flatten(),
        linear, nn.BatchNorm1d(config.embedding_size),
    )  # fmt: skip
    return Parts(stem=stem, blocks=blocks, head=head)


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, inner: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = stride == 1
        self.body = nn.Sequential(
            *_conv(inputs, inner, size=1), nn.PReLU(inner),
            *_conv(inner, inner, size=3, stride=stride, groups=inner), nn.PReLU(inner),
            *_conv(inner, outputs, size=1),
        )  # fmt: skip

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.body(features)
        return features + result if self.residual else result


def _conv(
    inputs: int,
    outputs: int,
    *,
    size: int,
    stride: int = 1,
    groups: int = 1,
    padding: int | None = None,
) -> tuple[nn.Module, nn.Module]:
    padding = size // 2 if padding is None else padding
    conv = nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv, nn.BatchNorm2d(outputs)
