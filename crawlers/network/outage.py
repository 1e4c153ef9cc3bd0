"""When this machine's own network is out: hosts that answered lately cannot be reached any more.

Pure: time goes in (seconds on any clock that only goes forward), a decision comes out.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

_MOST_KNOWN = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageLimits:
    """Times in seconds.

    The network is out when ``hosts`` of those that answered within ``known_s``, or all of them when
    there are fewer, cannot be reached and nobody answers in between; before any host has answered,
    when so many cannot be reached. It is tried again after each of ``pauses_s``, then after the
    last of them again and again.
    """

    hosts: int = 3
    known_s: float = 600.0
    pauses_s: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 60.0)


class Outage:
    """Told of every host that answers or cannot be reached: no way to it, or no such name.

    A host that can be reached and then fails says nothing about the network.
    """

    def __init__(self, limits: OutageLimits) -> None:
        self._limits = limits
        self._answered: OrderedDict[str, float] = OrderedDict()
        self._unreached: dict[str, None] = {}
        self._pauses = 0
        self._since: float | None = None
        self._until = 0.0

    @property
    def unreached(self) -> tuple[str, ...]:
        """The hosts that could not be reached since the last answer."""
        return tuple(self._unreached)

    def answered(self, host: str, now: float) -> None:
        """Note that a host answered: the network is there."""
        self._answered[host] = now
        self._answered.move_to_end(host)
        if len(self._answered) > _MOST_KNOWN:
            self._answered.popitem(last=False)
        self._unreached.clear()
        self._pauses, self._since, self._until = 0, None, 0.0

    def unreachable(self, host: str, now: float) -> bool:
        """Note that a host could not be reached; say whether it is because of the network."""
        if self._since is None and not self._begins(host, now):
            return False
        self._unreached[host] = None
        if now >= self._until:
            pauses = self._limits.pauses_s
            self._until = now + pauses[min(self._pauses, len(pauses) - 1)]
            self._pauses += 1
        return True

    def _begins(self, host: str, now: float) -> bool:
        """Say whether an outage begins with one more host that cannot be reached."""
        known = self._known(now)
        if known and host not in known:
            return False
        self._unreached[host] = None
        needed = min(self._limits.hosts, len(known)) if known else self._limits.hosts
        if len(self._unreached) < needed:
            return False
        self._since = now
        return True

    def wait_s(self, now: float) -> float:
        """Seconds until anybody may be asked; 0 while the network is there."""
        return max(0.0, self._until - now)

    def out_s(self, now: float) -> float:
        """For how long the network has been out; 0 while it is there."""
        return 0.0 if self._since is None else now - self._since

    def _known(self, now: float) -> set[str]:
        known = set()
        for host in reversed(self._answered):
            if now - self._answered[host] > self._limits.known_s:
                break
            known.add(host)
        return known
