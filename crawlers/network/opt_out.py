"""Opt-outs in X-Robots-Tag headers and in a page's meta elements.

``noai`` and ``noimageai`` are DeviantArt's directives of 2022; ``noindex``, ``noimageindex``,
``none`` (noindex and nofollow) and ``unavailable_after`` are those of search engines (Google
Search Central, "Robots meta tag, data-nosnippet, and X-Robots-Tag specifications").
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from crawlers.causes import Cause
from crawlers.network.target import Refusal, one_line
from crawlers.network.tdm import reservation

_OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
# Directives with a value; any other name before a colon is that of a robot.
_WITH_VALUE = frozenset(
    {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
)
_UNAVAILABLE = "unavailable_after"


def header_opt_out(values: Iterable[str], robots_name: str, now: datetime) -> str | None:
    """Return the directive of X-Robots-Tag headers by which they opt out, null for none.

    ``values`` holds one text per header. Directives after ``robot:`` are for that robot up to the
    next such prefix or the header's end; only those for ``robots_name`` or for all count.
    """
    name = robots_name.lower()
    for value in values:
        robot = None
        for directive in _directives(value):
            prefix, colon, rest = directive.partition(":")
            if colon and prefix.strip() not in _WITH_VALUE:
                robot, directive = prefix.strip(), rest.strip()
            if robot in (None, "*", name) and _opts_out(directive, now):
                return directive
    return None


def page_refusal(
    elements: Iterable[tuple[str, str]], robots_name: str, now: datetime
) -> Refusal | None:
    """Return why a page and its images may not be used, from its meta elements.

    ``elements`` are ``name`` and ``content`` of each meta element, in page order.
    """
    names = ("robots", robots_name.lower())
    found = [(name.strip().lower(), content) for name, content in elements]
    for name, content in found:
        if name in names:
            for directive in _directives(content):
                if _opts_out(directive, now):
                    detail = one_line(f"meta {name}: {directive}")
                    return Refusal(cause=Cause.OPTED_OUT, detail=detail)
    tdm = {name: content for name, content in reversed(found) if name.startswith("tdm-")}
    return reservation(tdm.get("tdm-reservation"), tdm.get("tdm-policy"), "meta")


def _directives(text: str) -> list[str]:
    """Split a list of directives; the comma within a date does not separate."""
    directives: list[str] = []
    for part in text.lower().split(","):
        part = part.strip()
        before = directives[-1] if directives else ""
        is_date_begun = _UNAVAILABLE in before and not any(map(str.isdigit, before))
        if is_date_begun:
            directives[-1] = f"{before}, {part}"
        elif part:
            directives.append(part)
    return directives


def _opts_out(directive: str, now: datetime) -> bool:
    if directive in _OPT_OUTS:
        return True
    name, _, value = directive.partition(":")
    return name.strip() == _UNAVAILABLE and _is_past(value.strip(), now)


def _is_past(text: str, now: datetime) -> bool:
    """Say whether a date, as in RFC 822, RFC 850 or ISO 8601, is over; unreadable ones are not."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            when = read(text.upper())
        except ValueError:
            continue
        return (when if when.tzinfo else when.replace(tzinfo=UTC)) <= now
    return False
