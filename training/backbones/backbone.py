"""What all backbones share: their way from faces to embeddings, and what it may cost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from facedata.errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneConfig:
    """A backbone by its name in ``BACKBONES``.

    ``dropout`` is the share of numbers left out before the last linear layer of an IResNet, and
    ``drop_path`` of the residual branches left out in the last block of a ViT. Two options change
    no results: ``activation_checkpointing`` keeps only what goes between blocks and computes the
    rest again in the backward pass; ``channels_last`` lays images out as GPUs' half-precision
    convolutions like them.

    Raises:
        RequestError: a number out of its range.

    """

    name: str
    embedding_size: int = 512
    dropout: float = 0.0
    drop_path: float = 0.1
    activation_checkpointing: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        if self.embedding_size < 1:
            raise RequestError(
                f"backbone {self.name}: embedding_size is {self.embedding_size}; give 1 or more"
            )
        for what, share in (("dropout", self.dropout), ("drop_path", self.drop_path)):
            if not 0 <= share < 1:
                raise RequestError(f"backbone {self.name}: {what} is {share}; give 0 to below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A backbone taken apart: ``head`` runs in float32 whatever the precision of the others."""

    stem: nn.Module
    blocks: list[nn.Module]
    head: nn.Module


class Backbone(nn.Module):
    """Faces (n, 3, 112, 112) float32 in [-1, 1] to embeddings (n, d) float32, not normalised."""

    def __init__(self, parts: Parts, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.stem, self.head = parts.stem, parts.head
        self.blocks = nn.ModuleList(parts.blocks)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Return one embedding for each face."""
        if self.config.channels_last:
            faces = faces.contiguous(memory_format=torch.channels_last)
        features = self.stem(faces)
        again = self.config.activation_checkpointing and torch.is_grad_enabled()
        for block in self.blocks:
            features = _checkpointed(block, features) if again else block(features)
        return self._embed(features)

    def _embed(self, features: torch.Tensor) -> torch.Tensor:
        device = features.device.type
        embeddings: torch.Tensor
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                embeddings = self.head(features.float())
        else:
            embeddings = self.head(features)
        return embeddings


def _checkpointed(block: nn.Module, features: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor
    if torch.compiler.is_compiling():
        # A compiled second pass computes what the backward pass needs, and no statistics.
        result = checkpoint(block, features, use_reentrant=False)
    else:
        contexts = partial(_contexts, block)
        result = checkpoint(block, features, use_reentrant=False, context_fn=contexts)
    return result


def _contexts(
    block: nn.Module,
) -> tuple[contextlib.AbstractContextManager[None], contextlib.AbstractContextManager[None]]:
    return contextlib.nullcontext(), _without_statistics(block)


@contextlib.contextmanager
def _without_statistics(block: nn.Module) -> Iterator[None]:
    """Keep the second pass over a batch from entering the running statistics a second time."""
    norms = [
        norm
        for norm in block.modules()
        if isinstance(norm, _BatchNorm) and norm.training and norm.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)
