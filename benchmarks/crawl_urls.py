"""URLs of which much is wrong, in known shares: the list of ``benchmarks/crawl_site.py``."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image

_SHARED_BYTES = 50
"""Every so many images have the bytes of the one before them."""


class Kind(StrEnum):
    """What comes of asking for a URL."""

    IMAGE = "image"
    SLOW = "slow"
    MOVED = "moved"
    """A redirect to the image."""
    MISSING = "missing"
    TRUNCATED = "truncated"
    TEXT = "text"
    """Says that it is a JPEG and is not."""
    ENDLESS = "endless"
    LOOP = "loop"
    FORBIDDEN = "forbidden"
    """By robots.txt."""
    NOAI = "noai"
    """Opts out by X-Robots-Tag."""
    RESERVED = "reserved"
    """Opts out by TDM-Reservation."""
    DOWN = "down"
    """At the host that refuses connections."""


SHARES = {
    Kind.MISSING: 0.10,
    Kind.SLOW: 0.05,
    Kind.MOVED: 0.02,
    Kind.TRUNCATED: 0.02,
    Kind.TEXT: 0.01,
    Kind.ENDLESS: 0.01,
    Kind.LOOP: 0.01,
    Kind.FORBIDDEN: 0.02,
    Kind.NOAI: 0.01,
    Kind.RESERVED: 0.01,
    Kind.DOWN: 0.02,
}
"""How much of a list is of each kind; the rest are images."""

GOOD = frozenset({Kind.IMAGE, Kind.SLOW, Kind.MOVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedUrl:
    """One row of the list: whose it is, at which of the hosts, and what comes of it."""

    identity: str
    host: int
    kind: Kind
    number: int

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/{self.kind}/{self.number:06d}.jpg"


def plan_urls(count: int, hosts: int, seed: int) -> list[PlannedUrl]:
    """Plan a list: ``SHARES`` of each kind in random order, 20 URLs per identity.

    Those of ``Kind.DOWN`` are at host ``hosts``, the others at hosts 0 to ``hosts - 1`` in turn.
    """
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(share * count))]
    kinds += [Kind.IMAGE] * (count - len(kinds))
    random.Random(seed).shuffle(kinds)
    return [
        PlannedUrl(
            identity=f"Person {number // 20:05d}",
            host=hosts if kind is Kind.DOWN else number % hosts,
            kind=kind,
            number=number,
        )
        for number, kind in enumerate(kinds)
    ]


def image_of(number: int) -> bytes:
    """The bytes of an image: a small JPEG, and a tail that makes it another file."""
    return JPEG + (number - (number % _SHARED_BYTES == 1)).to_bytes(8, "big")


def _jpeg() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((224, 224)).save(stream, "JPEG", quality=85)
    return stream.getvalue()


JPEG = _jpeg()
"""A small photo of nothing."""
