"""How quickly a crawl goes: the rate over the last seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_WINDOW_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """URLs settled and bytes stored per second."""

    urls_per_s: float = 0.0
    bytes_per_s: float = 0.0


class Meter:
    """Adds up what was done, and says how quickly it went lately. Time goes in, in seconds."""

    def __init__(self, started: float) -> None:
        self._marks: deque[tuple[float, int, int]] = deque([(started, 0, 0)])
        self._urls = self._bytes = 0

    def add(self, size_bytes: int) -> None:
        """One URL is settled; ``size_bytes`` of it were stored."""
        self._urls += 1
        self._bytes += size_bytes

    def rate(self, now: float) -> Rate:
        """Return the rate since about thirty seconds ago, or since the start."""
        self._marks.append((now, self._urls, self._bytes))
        while len(self._marks) > 2 and self._marks[1][0] <= now - _WINDOW_S:
            self._marks.popleft()
        then, urls, size_bytes = self._marks[0]
        if now <= then:
            return Rate()
        return Rate(
            urls_per_s=(self._urls - urls) / (now - then),
            bytes_per_s=(self._bytes - size_bytes) / (now - then),
        )
