"""Cutting a crawl by identity, so that machines share it without talking to each other."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from facedata.errors import RequestError

_FOLDER = re.compile(r"(?P<number>[1-9]\d{0,4})-of-(?P<total>[1-9]\d{0,4})")
_SPOKEN = re.compile(r"(?P<number>\d{1,5})/(?P<total>\d{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Partition:
    """One of ``total`` parts of a crawl; ``number`` counts from 1."""

    total: int = 1
    number: int = 1

    @property
    def folder(self) -> str:
        """The name of its folder below the crawl's."""
        return f"{self.number}-of-{self.total}"

    def holds(self, identity: str) -> bool:
        """Whether an identity belongs to this part; the same on every machine, for ever."""
        digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.total == self.number - 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the partition that ``K/N`` names.

        Raises:
            RequestError: when the text is something else, or K is not in 1 to N.
        """
        match = _SPOKEN.fullmatch(text)
        number, total = (int(match["number"]), int(match["total"])) if match else (0, 0)
        if not 1 <= number <= total:
            raise RequestError(f"partition {text!r} is not K/N with K from 1 to N, such as 2/4")
        return cls(number=number, total=total)


def all_partitions(total: int) -> list[Partition]:
    """Every part of a crawl that is cut into ``total``."""
    return [Partition(number=number, total=total) for number in range(1, total + 1)]


def partitions_in(crawl_folder: Path) -> list[Partition]:
    """The partitions that have a folder below a crawl's, in order; empty when there is no crawl."""
    if not crawl_folder.is_dir():
        return []
    found = (_FOLDER.fullmatch(path.name) for path in crawl_folder.iterdir() if path.is_dir())
    return sorted(
        Partition(number=int(match["number"]), total=int(match["total"]))
        for match in found
        if match
    )
