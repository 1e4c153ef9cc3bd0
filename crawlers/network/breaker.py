"""A circuit breaker: a host that fails again and again is asked rarely, and then given up.

Pure: time goes in (seconds on any clock that only goes forward), a decision comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Gate(Enum):
    """What the breaker says to one request."""

    OPEN = auto()
    """It may go."""
    PROBE = auto()
    """It may go, alone, to see whether the host is back."""
    SHUT = auto()
    """Not now: the host is left in peace, or a probe is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """``failures`` in a row make a host suspect; times in seconds.

    It is probed after each of ``pauses_s``; when the last probe fails it is given up for
    ``given_up_s``, twice as long after each further probe, up to ``longest_s``.
    """

    failures: int = 5
    pauses_s: tuple[float, ...] = (1.0, 5.0, 25.0)
    given_up_s: float = 600.0
    longest_s: float = 3600.0


class Breaker:
    """The state of one host."""

    __slots__ = ("_failures", "_is_probing", "_limits", "_pauses", "until")

    def __init__(self, limits: BreakerLimits) -> None:
        self._limits = limits
        self._failures = self._pauses = 0
        self._is_probing = False
        self.until: float | None = None
        """When the next probe may go; null while the host is not suspect."""

    @property
    def is_given_up(self) -> bool:
        """Whether all probes failed."""
        return self._pauses > len(self._limits.pauses_s)

    def gate(self, now: float) -> Gate:
        """Decide about one request; after ``PROBE`` its end must be told."""
        if self.until is None:
            return Gate.OPEN
        if now >= self.until and not self._is_probing:
            self._is_probing = True
            return Gate.PROBE
        return Gate.SHUT

    def succeeded(self) -> None:
        """Note that the host answered: it is no longer suspect."""
        self._failures = self._pauses = 0
        self._is_probing = False
        self.until = None

    def failed(self, now: float, *, was_probe: bool) -> None:
        """Note that the host failed; once it is suspect only probes count."""
        if was_probe:
            self._is_probing = False
        elif self.until is not None:
            return
        self._failures += 1
        if self._failures >= self._limits.failures:
            self._pauses += 1
            self.until = now + self._pause_s()

    def undecided(self, *, was_probe: bool) -> None:
        """Note that a request ended without a word about the host."""
        if was_probe:
            self._is_probing = False

    def _pause_s(self) -> float:
        limits, number = self._limits, self._pauses
        if number <= len(limits.pauses_s):
            return limits.pauses_s[number - 1]
        doublings = min(number - len(limits.pauses_s) - 1, 30)
        return min(limits.longest_s, limits.given_up_s * 2.0**doublings)
