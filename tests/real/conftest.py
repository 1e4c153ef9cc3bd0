"""The real photos, measured once for all tests that look at them."""

from __future__ import annotations

import pytest

from benchmarks.noise_data import measure_set
from cleaning.faces.measure import PhotoRows


@pytest.fixture(scope="session")
def measured_lfw() -> list[PhotoRows]:
    """The photos of ``data/lfw`` by path, measured with ``buffalo_sc`` as a build does."""
    return measure_set("lfw")


@pytest.fixture(scope="session")
def measured_crawl() -> list[PhotoRows]:
    """The photos of ``data/crawl`` by path, measured with ``buffalo_sc`` as a build does."""
    return measure_set("crawl")
