"""The configuration of intra-class cleaning."""

from __future__ import annotations

from dataclasses import dataclass

from cleaning.identity.clustering import METHODS
from facedata.errors import RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class IntraConfig:
    """How to clean classes.

    ``method`` is a name in ``clustering.METHODS``; ``threshold`` the similarity of the first
    cut in (−1, 1), None for ``auto``. ``readmit``, ``move`` and ``hold`` switch the steps after
    the cut; with all three off the result is the plain largest cluster.

    Raises:
        RecipeError: for an unknown method or a threshold out of range.
    """

    method: str = "average"
    threshold: float | None = None
    readmit: bool = True
    move: bool = True
    hold: bool = True

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise RecipeError(
                f"intra.method: {self.method!r} is not known; choose one of {', '.join(METHODS)}"
            )
        if self.threshold is not None and not -1.0 < self.threshold < 1.0:
            raise RecipeError(
                f"intra.threshold: {self.threshold} is not a similarity; give a number between "
                "-1 and 1, or auto"
            )
