"""Losses on embeddings themselves, with the interface of the class layer, so the loop is the same.

``center`` (Wen et al., A Discriminative Feature Learning Approach, ECCV 2016) pulls embeddings to
the mean of their class and is meant to go with a class layer: put both into ``JointLoss``.
``contrastive`` (Hadsell et al., CVPR 2006, in its linear form) and ``triplet`` (Schroff et al.,
FaceNet, arXiv:1503.03832) are those of pytorch-metric-learning.

Contrastive and triplet compare the embeddings of all ranks with one another. Of n embeddings the
library lists every triplet, semi-hard or not, before it chooses: up to n = 1,290 out of a table of
n³ bytes, above that in a Python loop over the embeddings. The list itself takes 24 bytes a triplet:
with 4 images a person 3 n² of them, 72 MB for a thousand embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from pytorch_metric_learning import distances, losses, miners  # type: ignore[import-untyped]
from torch import distributed, nn

from facedata.errors import RequestError
from training.collectives import Ranks, gather_rows, require_fitting, share_gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLossConfig:
    """A loss by its name in ``METRIC_LOSSES``, multiplied by ``weight``.

    ``margin`` is in squared Euclidean distances of embeddings at length 1, which are 2 - 2 cosine:
    by how much a triplet's other face should be farther, or how far apart contrastive loss wants
    two people. ``mean_rate`` is center loss's α, by which class means follow the embeddings. Every
    rank holds all of its means as float32: 4 × ``classes`` × ``embedding_size`` bytes, 2 GB for a
    million people and 512 dimensions.

    Raises:
        RequestError: an unknown name, or a number out of its range.

    """

    name: str
    classes: int
    embedding_size: int
    weight: float = 1.0
    margin: float = 0.2
    mean_rate: float = 0.5

    def __post_init__(self) -> None:
        if self.name not in METRIC_LOSSES:
            known = ", ".join(sorted(METRIC_LOSSES))
            raise RequestError(f"no metric loss is called {self.name!r}; use one of {known}")
        if not 0 < self.mean_rate <= 1:
            raise RequestError(
                f"metric loss {self.name}: mean_rate is {self.mean_rate}; give above 0, at most 1"
            )


class LossLayer(Protocol):
    """What the loop asks of a class layer, of the losses here, and of several at once."""

    def __call__(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss, a scalar, over all ranks' embeddings (b, d) and labels (b,)."""
        ...

    def step(self, learning_rate: float) -> None:
        """Learn from the last loss."""
        ...

    def gradient_norm(self) -> torch.Tensor:
        """Return the L2 norm, a scalar, of the gradient that ``step`` will use."""
        ...


class MetricLoss(nn.Module):
    """A metric loss over the embeddings of all ranks; alike on every rank, its state too."""

    def __init__(
        self,
        config: MetricLossConfig,
        group: distributed.ProcessGroup | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.config, self.ranks, self.device = config, Ranks.of(group), torch.device(device)
        self.criterion = METRIC_LOSSES[config.name](config).to(self.device)

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss, a float32 scalar; rows with label -1 count for nothing.

        Gradients are for a mean over ranks, as those of ``PartialFC``.

        Raises:
            RequestError: labels that do not fit, or batches of different size on different ranks.

        """
        what = f"metric loss {self.config.name}"
        require_fitting(labels, self.config.classes, self.ranks, what=what)
        rows = share_gradient(gather_rows(embeddings.float(), self.ranks), self.ranks)
        labels = gather_rows(labels, self.ranks)
        with torch.autocast(self.device.type, enabled=False):
            loss: torch.Tensor = self.criterion(rows[labels >= 0], labels[labels >= 0])
        return self.config.weight * loss

    def step(self, _learning_rate: float) -> None:
        """Let class means follow the embeddings of the last loss; the others have no state."""
        if isinstance(self.criterion, _CenterLoss):
            self.criterion.follow()

    def gradient_norm(self) -> torch.Tensor:
        """Return 0: class means follow by a rule of their own, not by a gradient."""
        return torch.zeros((), device=self.device)


class JointLoss(nn.Module):
    """The sum of several losses, as of a class layer and center loss."""

    def __init__(self, layers: Sequence[LossLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer for layer in layers if isinstance(layer, nn.Module))
        self._layers = tuple(layers)

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum of the losses, a float32 scalar."""
        return torch.stack([layer(embeddings, labels) for layer in self._layers]).sum()

    def step(self, learning_rate: float) -> None:
        """Let each learn from the last loss."""
        for layer in self._layers:
            layer.step(learning_rate)

    def gradient_norm(self) -> torch.Tensor:
        """Return the L2 norm, a scalar, over the gradients of all."""
        norms = torch.stack([layer.gradient_norm() for layer in self._layers])
        return norms.square().sum().sqrt()


class _CenterLoss(nn.Module):
    means: torch.Tensor

    def __init__(self, config: MetricLossConfig) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(config.classes, config.embedding_size))
        self._rate = config.mean_rate
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None

    def forward(self, rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            self._last = (rows.detach(), labels)
        return (rows - self.means[labels]).square().sum() / (2 * max(1, len(rows)))

    def follow(self) -> None:
        """Move the means of the batch's classes, each by its mean difference, damped by one row.

        Every rank does so by itself and must come to the same bits, or the means would drift apart.
        So rows are summed in the order of the batch: ``index_add_`` adds on a GPU as it comes.
        """
        if self._last is None:
            raise RequestError("center loss: there is nothing to follow; compute the loss first")
        rows, labels = self._last
        classes, counts = torch.unique(labels, return_counts=True)
        ordered = (rows - self.means[labels])[labels.argsort(stable=True)]
        # Unsafe leaves out a check that waits for the GPU and that an empty batch does not pass.
        differences = torch.segment_reduce(ordered, "sum", lengths=counts, unsafe=True)
        self.means[classes] += self._rate * differences / (1 + counts.unsqueeze(1))
        self._last = None


class _Pairwise(nn.Module):
    """A loss of pytorch-metric-learning, on what its miner finds."""

    def __init__(self, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        mined = None if self.miner is None else self.miner(rows, labels)
        result: torch.Tensor = self.loss(rows, labels, mined)
        return result


def _contrastive(config: MetricLossConfig) -> nn.Module:
    distance = _squared_distance()
    loss = losses.ContrastiveLoss(pos_margin=0, neg_margin=config.margin, distance=distance)
    return _Pairwise(loss, None)


def _triplet(config: MetricLossConfig) -> nn.Module:
    """Triplets are semi-hard: the other person is farther away, but not by the margin."""
    miner = miners.TripletMarginMiner(
        margin=config.margin, type_of_triplets="semihard", distance=_squared_distance()
    )
    loss = losses.TripletMarginLoss(margin=config.margin, distance=_squared_distance())
    return _Pairwise(loss, miner)


def _squared_distance() -> nn.Module:
    distance: nn.Module = distances.LpDistance(normalize_embeddings=True, p=2, power=2)
    return distance


METRIC_LOSSES: dict[str, Callable[[MetricLossConfig], nn.Module]] = {
    "center": _CenterLoss,
    "contrastive": _contrastive,
    "triplet": _triplet,
}
