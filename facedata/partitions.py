"""Cutting images into partitions that stay the same when others come or go."""

from __future__ import annotations

from collections.abc import Iterable

_CUT_EVERY = 256
_LARGEST = 1024


def partition_images(image_ids: Iterable[str]) -> list[tuple[str, ...]]:
    """Cut distinct image ids into partitions of about 256, at most 1,024.

    Cuts are content-defined: a partition ends after an id whose second 32 bits are a multiple
    of 256. Adding or removing one image therefore changes one partition and leaves the others, and
    their stage keys, as they were.

    Args:
        image_ids: sha256 digests in hex, in any order, repeats allowed.

    Returns:
        Partitions of ids in ascending order; none is empty.
    """
    partitions: list[tuple[str, ...]] = []
    current: list[str] = []
    for image_id in sorted(set(image_ids)):
        current.append(image_id)
        if int(image_id[8:16], 16) % _CUT_EVERY == 0 or len(current) == _LARGEST:
            partitions.append(tuple(current))
            current = []
    if current:
        partitions.append(tuple(current))
    return partitions
