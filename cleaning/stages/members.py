"""The faces of identities, as the exact join takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cleaning.stages.measured import Measured
from facedata.records import LedgerRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Faces by identity, in order of both: their ids, unit rows (n, d) and identity indices (n,).

    An index is the place of the identity in ``names``, which are sorted.
    """

    names: list[str]
    face_ids: list[str]
    embeddings: NDArray[np.float16]
    identity: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.face_ids)

    def only(self, identities: Iterable[int]) -> Members:
        """The faces of some identities; the names stay those of all."""
        spans = [np.searchsorted(self.identity, [i, i + 1]) for i in sorted(identities)]
        rows = np.concatenate([np.zeros(0, np.int64), *(np.arange(a, b) for a, b in spans)])
        return Members(
            names=self.names,
            face_ids=[self.face_ids[row] for row in rows],
            embeddings=self.embeddings[rows],
            identity=self.identity[rows],
        )


def members_of(
    rows: Iterable[LedgerRow], measured: Measured, identity_of: Callable[[LedgerRow], str | None]
) -> Members:
    """The faces of the rows for which ``identity_of`` gives an identity."""
    faces = sorted(
        {
            (identity, row.face_id)
            for row in rows
            if row.face_id is not None and (identity := identity_of(row)) is not None
        }
    )
    names = sorted({identity for identity, _ in faces})
    index = {name: i for i, name in enumerate(names)}
    row_of = {face_id: row for row, face_id in enumerate(measured.face_ids())}
    return Members(
        names=names,
        face_ids=[face_id for _, face_id in faces],
        embeddings=measured.embeddings[[row_of[face_id] for _, face_id in faces]],
        identity=np.array([index[identity] for identity, _ in faces], np.int64),
    )
