"""One excluded set, measured and cleaned: who is in it, and the faces that stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cleaning.stages.crops import CropReader
from cleaning.stages.measured import Measured
from cleaning.stages.members import Members, members_of
from facedata.errors import SourceError
from facedata.ledger import Outcome
from facedata.records import ImageRecord, LedgerRow
from facedata.stages import StageResult


@dataclass(frozen=True, kw_only=True)
class ExcludedSet:
    """A set whose people must not be in the version.

    ``by_name`` is whether its names are anybody else's too. ``cleaned`` is the intra-class stage
    on this set alone, ``rows`` its ledger; ``claims`` the digest of who claims which bytes.
    ``left_out`` counts what could not become an image at all.
    """

    name: str
    by_name: bool
    claims: str
    images: Sequence[ImageRecord]
    measured: Measured
    crops: CropReader
    cleaned: StageResult
    rows: Sequence[LedgerRow]
    left_out: int = 0

    @cached_property
    def gallery(self) -> Members:
        """The faces that show its people.

        A wrong photo that the cleaning dropped stands for nobody. Identities that it held for want
        of a clear main cluster, or with a single photo, are all taken: better to lose somebody
        than to leave somebody in.

        Raises:
            SourceError: when there is no face at all.
        """
        found = members_of(self.rows, self.measured, _identity_of)
        if not len(found):
            raise SourceError(
                f"exclude {self.name}: no face found in any of its {len(self.images)} images, so "
                "nobody can be found in it; check its path, and aligned"
            )
        return found

    @property
    def inputs(self) -> list[Any]:
        """What findings about the set depend on."""
        return [self.name, self.by_name, self.claims, self.cleaned.digest, self.left_out]

    def facts(self) -> dict[str, Any]:
        """What the report says about it."""
        problems = [photo.problem is not None for photo in self.measured.photos.values()]
        return {
            "name": self.name,
            "by_name": self.by_name,
            "identities": len({image.claimed_identity for image in self.images}),
            "images": len(self.images),
            "unusable": sum(problems) + self.left_out,
            "faces": len(self.gallery),
        }


def _identity_of(row: LedgerRow) -> str | None:
    if row.outcome == Outcome.HELD:
        return row.claimed_identity
    return row.identity
