"""Partitions: complete, bounded, and stable when images come or go."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from facedata.partitions import partition_images


def ids(n: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)]


@given(st.sets(st.integers(0, 10_000), max_size=3_000))
def test_every_image_is_in_exactly_one_partition(numbers: set[int]) -> None:
    images = [hashlib.sha256(str(i).encode()).hexdigest() for i in numbers]
    partitions = partition_images(images + images[:5])
    assert [i for p in partitions for i in p] == sorted(images)
    assert all(1 <= len(p) <= 1024 for p in partitions)


def test_one_more_image_changes_one_partition() -> None:
    images = ids(20_000)
    before, after = set(partition_images(images[:-1])), set(partition_images(images))
    assert len(before) > 40
    assert len(after - before) <= 2
