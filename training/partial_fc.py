"""Partial FC: the class layer over any number of identities, its centres sharded over ranks.

An et al., Partial FC (arXiv:2010.05222) and Killing Two Birds with One Stone (arXiv:2203.15565).
Each step uses all positive classes of the batch and random negatives up to ``sample_rate``; at 1.0
it is the exact model-parallel softmax. docs/decisions/partial-fc.md says how it is laid out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import distributed, nn
from torch.nn import functional

from facedata.errors import RequestError
from training.centres import CentreOptimiser, Centres, CentreShape, StoredDtype
from training.class_sampling import SampledClasses, sample_classes, seeded
from training.collectives import (
    Ranks,
    gather_rows,
    require_fitting,
    share_gradient,
    sum_over,
)
from training.margins import (
    FeatureNorms,
    MarginConfig,
    harden,
    logit_scale,
    mean_and_deviation,
)
from training.sharded_softmax import ActiveCentres, class_similarities

_NORM_MEMORY = 0.99  # AdaFace, section 4.1
_SAMPLING, _ROUNDING = 1, 2  # separate streams of random numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialFCConfig:
    """A class layer: its size, what it learns with, and how exactly.

    - ``sample_rate`` in (0, 1]: share of all classes used in a step;
    - ``filter_similarity``: negatives nearer than this cosine to an embedding are left out of its
      loss, as probably the same person under another label (0.4 in Partial FC); None keeps all;
    - ``sub_centres``: centres per class, of which the nearest counts;
    - ``centre_dtype``: bfloat16 halves the memory and is rounded stochastically;
    - ``gather_dtype``: in which embeddings travel between ranks; their gradient is float32;
    - ``seed``: of the first centres and of the sampling.

    Raises:
        RequestError: a number out of its range.

    """

    classes: int
    embedding_size: int
    sample_rate: float = 1.0
    margin: MarginConfig = field(default_factory=lambda: MarginConfig(angle=0.5))
    optimiser: CentreOptimiser = field(default_factory=CentreOptimiser)
    centre_dtype: StoredDtype = "float32"
    sub_centres: int = 1
    filter_similarity: float | None = None
    gather_dtype: StoredDtype = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("classes", "embedding_size", "sub_centres"):
            if getattr(self, name) < 1:
                raise RequestError(
                    f"partial FC: {name} is {getattr(self, name)}; it must be at least 1"
                )
        if not 0 < self.sample_rate <= 1:
            raise RequestError(
                f"partial FC: sample_rate is {self.sample_rate}; it must be above 0, at most 1"
            )
        if self.filter_similarity is not None and not -1 <= self.filter_similarity <= 1:
            raise RequestError(
                f"partial FC: filter_similarity is {self.filter_similarity}; it is a cosine, "
                "between -1 and 1"
            )


def rows_of_rank(classes: int, world_size: int, rank: int) -> range:
    """Return the contiguous classes that a rank holds; the first ranks hold one more.

    Raises:
        RequestError: there are more ranks than classes.

    """
    if world_size > classes:
        raise RequestError(
            f"partial FC: {world_size} ranks for {classes} classes leaves some without any; "
            f"use at most {classes}"
        )
    share, more = divmod(classes, world_size)
    start = rank * share + min(rank, more)
    return range(start, start + share + (rank < more))


class PartialFC(nn.Module):
    """The class layer of one rank; ``forward`` and ``step`` are called on all ranks together.

    Learns by itself: ``loss.backward()``, then ``step(learning_rate)``. It has no parameters, so
    neither an optimiser nor ``DistributedDataParallel`` finds any. In its ``state_dict`` the
    entries under ``centres.`` have the classes of ``classes_here`` as first dimension; all others
    are the same on every rank.
    """

    steps: torch.Tensor
    norm_mean: torch.Tensor
    norm_deviation: torch.Tensor

    def __init__(
        self,
        config: PartialFCConfig,
        group: distributed.ProcessGroup | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.config, self.ranks, self.device = config, Ranks.of(group), torch.device(device)
        self.classes_here = rows_of_rank(config.classes, self.ranks.size, self.ranks.rank)
        shape = CentreShape(
            classes=self.classes_here,
            sub_centres=config.sub_centres,
            dimensions=config.embedding_size,
            dtype=config.centre_dtype,
        )
        self.centres = Centres(shape, config.optimiser, seed=config.seed, device=self.device)
        for name in ("norm_mean", "norm_deviation"):
            self.register_buffer(name, torch.zeros((), device=self.device))
        # On the CPU: read in every step, where a number on the GPU would have to be waited for.
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._active: ActiveCentres | None = None

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss, a float32 scalar, over the batches of all ranks.

        ``embeddings`` (b, d) floating, not normalised; ``labels`` (b,) int64 are class indices, or
        -1 for a row that fills up the batch and counts for nothing. The gradient of ``embeddings``
        is that of this loss times the number of ranks, which the mean over ranks undoes.

        Raises:
            RequestError: shapes or labels that do not fit, batches of different size on different
                ranks, or gradients that are still waiting for ``step``.

        """
        self._check(embeddings, labels)
        rows, labels = self._gather(embeddings, labels)
        products = _autocast_dtype(self.device.type)  # to be asked before it is switched off
        with torch.autocast(self.device.type, enabled=False):
            norms = self._norms(rows, labels)
            scale = logit_scale(norms, self.config.margin)
            directions = functional.normalize(rows)
            active = self._activate(labels, scale.detach(), products)
            queries = directions * scale.unsqueeze(1)
            true, negatives = class_similarities(directions, queries, active)
            shared = FeatureNorms(values=share_gradient(norms.values, self.ranks),
                                  mean=norms.mean, deviation=norms.deviation)  # fmt: skip
            hard = harden(true, shared, self.config.margin)
            hard = hard * logit_scale(shared, self.config.margin)
            # -log(exp(a) / (exp(a) + exp(n))), exact also where it is next to nothing
            losses = functional.softplus(negatives - hard) * (labels >= 0)
            return losses.sum() / (labels >= 0).sum().clamp(min=1)

    def step(self, learning_rate: float) -> None:
        """Update the sampled centres, and nothing else, with the gradient of the last loss.

        Raises:
            RequestError: there is no gradient.

        """
        active, gradient = self._pending()
        generator = self._generator(_ROUNDING)
        self.centres.update(active.sampled, gradient, learning_rate, generator)
        self.steps += 1
        self._active = None

    def discard_gradients(self) -> None:
        """Forget the gradient of the last loss; as after a loss that is not a number."""
        self._active = None

    def gradient_norm(self) -> torch.Tensor:
        """Return the L2 norm, a float32 scalar, of the gradient of the centres of all ranks."""
        _, gradient = self._pending()
        square = torch.linalg.vector_norm(gradient).square()
        return sum_over(square, self.ranks).sqrt()

    def sampled_classes(self) -> torch.Tensor:
        """Return the classes (n,) int64 whose gradient is waiting for ``step``, ascending."""
        active, _ = self._pending()
        here = torch.arange(self.classes_here.start, self.classes_here.stop, device=self.device)
        return here[active.sampled.block(0, active.sampled.count)]

    def _check(self, embeddings: torch.Tensor, labels: torch.Tensor) -> None:
        """Raise what this rank can see by itself, then what all must ask one another."""
        size = self.config.embedding_size
        if embeddings.ndim != 2 or embeddings.shape[1] != size:
            raise RequestError(
                f"partial FC: embeddings are {tuple(embeddings.shape)}; the layer takes (b, {size})"
            )
        if labels.shape != embeddings.shape[:1]:
            raise RequestError(
                f"partial FC: labels are {tuple(labels.shape)} for {len(embeddings)} embeddings"
            )
        if self._active is not None and self._active.gradient is not None:
            raise RequestError(
                "partial FC: the last gradient is still waiting; call step or discard_gradients"
            )
        require_fitting(labels, self.config.classes, self.ranks, what="partial FC")

    def _gather(
        self, embeddings: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if torch.is_grad_enabled() and not embeddings.requires_grad:
            # The centres' gradient is made on the way back to the embeddings: there must be a way.
            embeddings = embeddings.detach().requires_grad_()
        dtype = torch.bfloat16 if self.config.gather_dtype == "bfloat16" else torch.float32
        rows = gather_rows(embeddings.float(), self.ranks, dtype=dtype)
        return rows, gather_rows(labels, self.ranks)

    def _norms(self, rows: torch.Tensor, labels: torch.Tensor) -> FeatureNorms:
        values = torch.linalg.vector_norm(rows, dim=1)
        if self.training and self.config.margin.name == "adaface":
            self._follow_norms(values[labels >= 0])
        return FeatureNorms(values=values, mean=self.norm_mean, deviation=self.norm_deviation)

    def _follow_norms(self, norms: torch.Tensor) -> None:
        """Take the norms of a batch into the running mean and deviation; the first set them."""
        if len(norms) == 0:
            return
        memory = _NORM_MEMORY * (self.norm_deviation > 0)
        mean, deviation = mean_and_deviation(norms)
        self.norm_mean.mul_(memory).add_((1 - memory) * mean)
        self.norm_deviation.mul_(memory).add_((1 - memory) * deviation)

    def _activate(
        self, labels: torch.Tensor, scale: torch.Tensor, products: torch.dtype
    ) -> ActiveCentres:
        start, stop = self.classes_here.start, self.classes_here.stop
        local = torch.where((labels >= start) & (labels < stop), labels - start, -1)
        sampled = self._sample(labels)
        active = ActiveCentres(self.centres, sampled, sampled.places_of(local), self.ranks)
        if self.config.filter_similarity is not None:
            active.limit = scale * self.config.filter_similarity
        active.products = products
        self._active = active if torch.is_grad_enabled() else None
        return active

    def _sample(self, labels: torch.Tensor) -> SampledClasses:
        here = len(self.classes_here)
        if self.config.sample_rate == 1:
            return SampledClasses(index=None, count=here)
        positives, most = self._positives(labels)
        even = int(self.config.sample_rate * self.config.classes / self.ranks.size)
        count = min(max(1, even, most), here)
        index = sample_classes(positives, here, count, self._generator(_SAMPLING))
        return SampledClasses(index=index, count=count)

    def _positives(self, labels: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Return the positives of this rank, ascending places, and how many the fullest rank has.

        All labels are on every rank, so each can count for all.
        """
        size = self.ranks.size
        starts = [rows_of_rank(self.config.classes, size, rank).start for rank in range(size)]
        present = torch.unique(labels)
        edges = [*torch.searchsorted(present.cpu(), torch.tensor(starts)).tolist(), len(present)]
        mine = present[edges[self.ranks.rank] : edges[self.ranks.rank + 1]]
        return mine - self.classes_here.start, max(b - a for a, b in pairwise(edges))

    def _generator(self, stream: int) -> torch.Generator:
        keys = (self.config.seed, int(self.steps), self.ranks.rank, stream)
        return seeded(self.device, *keys)

    def _pending(self) -> tuple[ActiveCentres, torch.Tensor]:
        if self._active is None or self._active.gradient is None:
            raise RequestError("partial FC: there is no gradient; call backward on the loss first")
        return self._active, self._active.gradient


def _autocast_dtype(device_type: str) -> torch.dtype:
    """Return bfloat16 inside an autocast to it; else float32, as float16 cannot hold the slopes."""
    if not torch.is_autocast_enabled(device_type):
        return torch.float32
    asked = torch.get_autocast_dtype(device_type)
    return torch.bfloat16 if asked == torch.bfloat16 else torch.float32
