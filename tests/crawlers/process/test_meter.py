"""The rate of the last thirty seconds."""

from __future__ import annotations

from crawlers.process.meter import Meter, Rate


def test_the_rate_forgets_what_is_long_ago() -> None:
    meter = Meter(started=100.0)
    assert meter.rate(100.0) == Rate()
    for _ in range(10):
        meter.add(50)
    assert meter.rate(105.0) == Rate(urls_per_s=2.0, bytes_per_s=100.0)
    for moment in range(106, 146):
        meter.add(10)
        last = meter.rate(float(moment))
    assert last == Rate(urls_per_s=1.0, bytes_per_s=10.0)
    assert meter.rate(200.0).urls_per_s == 0.0
