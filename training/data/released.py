"""A released version as training sees it: its shards and how many classes they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facedata.errors import IntegrityError, RequestError
from facedata.versions import Manifest, ShardEntry, content_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """What every rank must know of a version; the names of its people are not needed.

    ``workspace`` is a folder or fsspec URL, ``digest`` the version's digest in hex. ``classes``
    counts class indices from 0 to the highest ever given: those of retired identities are gaps
    that hold no sample.
    """

    workspace: str
    version: str
    digest: str
    shards: tuple[ShardEntry, ...]
    classes: int

    @property
    def folder(self) -> str:
        """The version's folder below the workspace."""
        return f"versions/{self.version}"


def training_set(workspace: str, manifest: Manifest, expected_digest: str | None) -> TrainingSet:
    """Describe a version for training, after checking that its manifest is what it says.

    Raises:
        IntegrityError: when the manifest's digest does not follow from its content.
        RequestError: when it is not the digest asked for, or there is nothing to train on.
    """
    computed = content_digest(manifest.shards, manifest.files, manifest.identities, manifest.models)
    if computed != manifest.digest:
        raise IntegrityError(
            f"version {manifest.version}: its manifest says digest {manifest.digest}, its content "
            f"gives {computed}; restore the manifest, or release the version again"
        )
    if expected_digest not in {None, manifest.digest}:
        raise RequestError(
            f"version {manifest.version}: digest is {manifest.digest}, asked for was "
            f"{expected_digest}; correct data.digest, or leave it out"
        )
    if sum(shard.images for shard in manifest.shards) == 0 or len(manifest.identities) < 2:
        raise RequestError(
            f"version {manifest.version}: {len(manifest.identities)} identities; training needs "
            "at least two with images"
        )
    indices = [*manifest.identities.values(), *manifest.retired.values()]
    return TrainingSet(
        workspace=workspace,
        version=manifest.version,
        digest=manifest.digest,
        shards=manifest.shards,
        classes=max(indices) + 1,
    )


def check_classes(version: str, identities: Mapping[str, int], seen: NDArray[np.bool_]) -> None:
    """Compare the classes ``seen`` in the shards, (classes,), with a version's identities.

    Raises:
        IntegrityError: when an identity has no sample, or a sample has a class of no identity.
    """
    live = np.zeros_like(seen)
    live[list(identities.values())] = True
    empty = np.flatnonzero(live & ~seen)
    if len(empty):
        name = next(name for name, index in identities.items() if index == empty[0])
        raise IntegrityError(
            f"version {version}: class {empty[0]} ({name!r}) has no image in the shards"
            f"{_others(len(empty))}; release the version again"
        )
    unknown = np.flatnonzero(seen & ~live)
    if len(unknown):
        raise IntegrityError(
            f"version {version}: images of class {unknown[0]}, which no identity has"
            f"{_others(len(unknown))}; release the version again"
        )


def _others(count: int) -> str:
    return f" (and {count - 1} more such classes)" if count > 1 else ""
