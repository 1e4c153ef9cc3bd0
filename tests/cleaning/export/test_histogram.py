from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleaning.export.histogram import Threshold, Tone, draw, make_histogram


def test_counts_and_what_passes_a_threshold_exactly() -> None:
    values = np.array([-0.9, -0.4, 0.0, 0.31, 0.31, 0.99, 1.0, 1.0000001])
    histogram = make_histogram(
        "t", {("Kept", Tone.GOOD): values}, [Threshold(label="Cut", value=0.31)]
    )
    [series] = histogram.series
    assert len(series.counts) == 70
    assert (series.counts[0], series.counts[20], series.counts[35], series.counts[69]) == (
        2,
        1,
        2,
        3,
    )
    assert (series.total, sum(series.counts), series.passing) == (8, 8, (5,))
    assert histogram.captions == ["Cut 0.310: at or above it are 62.5 % of kept."]


@given(st.lists(st.floats(-1, 1), max_size=30), st.lists(st.floats(-1, 1), max_size=3))
def test_any_histogram_is_well_formed_and_loses_nothing(
    values: list[float], cuts: list[float]
) -> None:
    histogram = make_histogram(
        "A & <b>",
        {('"Same"', Tone.GOOD): np.array(values), ("<i>", Tone.BAD): np.array([])},
        [Threshold(label="<script>", value=cut) for cut in cuts],
    )
    assert sum(histogram.series[0].counts) == len(values)
    tree = ElementTree.fromstring(draw(histogram))
    texts = ["".join(found.itertext()) for found in tree.iter("text")]
    assert texts[8:] == [f"<script> {cut:.3f}" for cut in cuts]
    areas = [found.get("class") for found in tree.iter("path") if found.get("class")]
    assert areas == (["area good"] if values else [])
    assert draw(histogram) == draw(histogram)
