"""What is wrong with the demo's site, planned from a seed: the faults that real sites have.

Bad links are added to the galleries, so that every real photo can still be had; slow answers
are those of real photos.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What is wrong with a link; the value is the cause under which a crawler should count it."""

    NOT_FOUND = "not_found"
    TRUNCATED = "truncated"
    NOT_AN_IMAGE = "not_an_image"
    ROBOTS_FORBIDDEN = "robots_forbidden"
    REDIRECT_OFF_SITE = "redirect_off_site"


_PATH_OF = {
    FaultKind.NOT_FOUND: "/photos/{slug}/gone-{number:03}.jpg",
    FaultKind.TRUNCATED: "/photos/{slug}/torn-{number:03}.jpg",
    FaultKind.NOT_AN_IMAGE: "/photos/{slug}/sign-in-{number:03}.jpg",
    FaultKind.ROBOTS_FORBIDDEN: "/private/{slug}/{number:03}.jpg",
    FaultKind.REDIRECT_OFF_SITE: "/moved/{slug}/{number:03}.jpg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How many faults of each kind the whole site has; ``slow_s`` in seconds."""

    seed: int = 0
    not_found: int = 0
    truncated: int = 0
    not_an_image: int = 0
    robots_forbidden: int = 0
    redirect_off_site: int = 0
    slow: int = 0
    slow_s: float = 1.0


NO_FAULTS = Faults()
DEMO_FAULTS = Faults(
    not_found=5, truncated=2, not_an_image=3, robots_forbidden=4, redirect_off_site=2, slow=4
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """The galleries as linked, bad links included, and what is wrong with which path.

    ``galleries`` gives the image paths per slug in page order; ``bad`` and ``slow`` are keyed by
    path.
    """

    galleries: Mapping[str, tuple[str, ...]]
    bad: Mapping[str, FaultKind]
    slow: Mapping[str, float]

    def expected(self) -> dict[str, int]:
        """Return how many links must fail, by cause."""
        return dict(sorted(Counter(kind.value for kind in self.bad.values()).items()))


def plan_faults(photos: Mapping[str, Sequence[str]], faults: Faults) -> FaultPlan:
    """Spread ``faults`` over the galleries ``photos`` (image paths per slug), from their seed."""
    chance = random.Random(faults.seed)
    galleries = {slug: list(paths) for slug, paths in photos.items()}
    filled = sorted(slug for slug, paths in photos.items() if paths)
    bad: dict[str, FaultKind] = {}
    for kind in FaultKind:
        for number in range(getattr(faults, kind.value) if filled else 0):
            slug = chance.choice(filled)
            path = _PATH_OF[kind].format(slug=slug, number=number)
            galleries[slug].insert(chance.randint(0, len(galleries[slug])), path)
            bad[path] = kind
    real = sorted(path for paths in photos.values() for path in paths)
    slow = chance.sample(real, min(faults.slow, len(real)))
    return FaultPlan(
        galleries={slug: tuple(paths) for slug, paths in galleries.items()},
        bad=bad,
        slow=dict.fromkeys(slow, faults.slow_s),
    )
