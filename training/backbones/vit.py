"""Vision transformer (Dosovitskiy et al., arXiv:2010.11929) with insightface's sizes and head.

Patches of 9 pixels (12×12 of them; the last 4 pixels of each side are not seen), no class token,
no attention biases, ReLU6; the head reads all patches at once. Residual branches are left out by
chance (Huang et al., arXiv:1603.09382), more often the deeper the block.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.backbones.backbone import BackboneConfig, Parts

_PATCH = 9
_PATCHES = (112 // _PATCH) ** 2
_HEADS = 8
_DEVIATION = 0.02


def vit(config: BackboneConfig, *, width: int, depth: int) -> Parts:
    """Return the parts of a vision transformer."""
    rates = [config.drop_path * place / (depth - 1) for place in range(depth)]
    head = nn.Sequential(
        nn.LayerNorm(width),
        nn.Flatten(),
        _linear(_PATCHES * width, width, bias=False),
        nn.BatchNorm1d(width),
        _linear(width, config.embedding_size, bias=False),
        nn.BatchNorm1d(config.embedding_size),
    )
    return Parts(stem=_Patches(width), blocks=[_Block(width, rate) for rate in rates], head=head)


class _Patches(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, width, _PATCH, _PATCH)
        self.position = nn.Parameter(torch.empty(1, _PATCHES, width))
        nn.init.trunc_normal_(self.position, std=_DEVIATION)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        patches: torch.Tensor = self.project(faces)
        return patches.flatten(2).transpose(1, 2) + self.position


class _Block(nn.Module):
    def __init__(self, width: int, drop_rate: float) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self.attention = nn.Sequential(nn.LayerNorm(width), _Attention(width))
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), _linear(width, 4 * width), nn.ReLU6(), _linear(4 * width, width)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = features + self._dropped(self.attention(features))
        return features + self._dropped(self.mlp(features))

    def _dropped(self, branch: torch.Tensor) -> torch.Tensor:
        """Leave the branch out of some rows, and make up for it in the others."""
        if not self.training or self.drop_rate == 0:
            return branch
        kept = branch.new_empty((len(branch), 1, 1)).bernoulli_(1 - self.drop_rate)
        return branch * kept / (1 - self.drop_rate)


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.queries_keys_values = _linear(width, 3 * width, bias=False)
        self.project = _linear(width, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        rows, patches, width = features.shape
        split = self.queries_keys_values(features).view(rows, patches, 3, _HEADS, width // _HEADS)
        queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        result: torch.Tensor = self.project(mixed.transpose(1, 2).reshape(rows, patches, width))
        return result


def _linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.trunc_normal_(linear.weight, std=_DEVIATION)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear
