"""robots.txt as RFC 9309 has it; protego reads the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from protego import Protego

PATH = "/robots.txt"
MAX_BYTES = 500 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotsRules:
    """What one origin's robots.txt says to one robot; without ``rules`` it has no such file.

    ``delay_s`` is what Crawl-delay and Request-rate ask for, 0 without them.
    """

    rules: Protego | None = None
    robots_name: str = ""
    delay_s: float = 0.0

    @classmethod
    def parse(cls, body: bytes, robots_name: str) -> Self:
        """Read a robots.txt of any bytes."""
        rules = Protego.parse(body.decode("utf-8-sig", "replace").replace("\x00", ""))
        rate = rules.request_rate(robots_name)
        per_request_s = rate.seconds / rate.requests if rate is not None else 0.0
        delay_s = max(rules.crawl_delay(robots_name) or 0.0, per_request_s)
        return cls(rules=rules, robots_name=robots_name, delay_s=delay_s)

    @property
    def decision(self) -> str:
        """How ``Answer.robots`` names what is allowed here."""
        return "none" if self.rules is None else "allowed"

    def allows(self, path: str) -> bool:
        """Say whether a path with query may be asked for."""
        # With a host in front, a path that begins with // is not taken for one.
        return self.rules is None or self.rules.can_fetch(f"http://host{path}", self.robots_name)
