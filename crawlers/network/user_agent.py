"""Who asks: the name that requests carry and that rules for robots are looked up under."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAgent:
    """``header`` is sent with each request, such as ``Winnow/0.1 (+mailto:team@example.org)``.

    ``robots_name`` is the name in robots.txt groups, X-Robots-Tag prefixes and meta elements,
    such as ``Winnow``; letter case does not matter there.
    """

    header: str
    robots_name: str
