"""IResNet: the residual network of ArcFace (arXiv:1801.07698, section 3.1), 3×3 stem, stride 1.

Blocks are BN-conv-BN-PReLU-conv-BN (Han et al., arXiv:1610.02915); the output is BN, dropout, a
linear layer over all 7×7 places, BN. As in insightface, the last BN's weight is fixed at 1.
"""

from __future__ import annotations

import torch
from torch import nn

from training.backbones.backbone import BackboneConfig, Parts

_WIDTHS = (64, 128, 256, 512)
_PLACES = 7 * 7


def iresnet(config: BackboneConfig, *, depths: tuple[int, int, int, int]) -> Parts:
    """Return the parts of an IResNet with the given number of blocks in each of four stages."""
    stem = nn.Sequential(_conv(3, 64), nn.BatchNorm2d(64), nn.PReLU(64))
    blocks: list[nn.Module] = []
    inputs = 64
    for width, depth in zip(_WIDTHS, depths, strict=True):
        for place in range(depth):
            blocks.append(_Block(inputs, width, stride=2 if place == 0 else 1))
            inputs = width
    last = nn.BatchNorm1d(config.embedding_size)
    last.weight.requires_grad = False
    head = nn.Sequential(
        nn.BatchNorm2d(512),
        nn.Flatten(),
        nn.Dropout(config.dropout),
        nn.Linear(512 * _PLACES, config.embedding_size),
        last,
    )
    return Parts(stem=stem, blocks=blocks, head=head)


class _Block(nn.Module):
    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            _conv(inputs, width),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            _conv(width, width, stride=stride),
            nn.BatchNorm2d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            shortcut = _conv(inputs, width, size=1, stride=stride)
            self.shortcut = nn.Sequential(shortcut, nn.BatchNorm2d(width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.body(features) + self.shortcut(features)
        return result


def _conv(inputs: int, outputs: int, *, size: int = 3, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    nn.init.normal_(conv.weight, std=0.1)
    return conv
