"""Reservation of text and data mining: the TDM Reservation Protocol.

W3C Community Group Final Report, 10 May 2024 (https://www.w3.org/2022/tdmrep/): a rule in
``/.well-known/tdmrep.json``, a header or a meta element reserves with the value 1. Where they
disagree, the one that reserves holds here; the report lets the later one win.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from crawlers.causes import Cause
from crawlers.network.target import Refusal, one_line

WELL_KNOWN = "/.well-known/tdmrep.json"
MAX_BYTES = 512 << 10
_MOST_RULES = 10_000
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# ``$`` and ``*`` are special in patterns, so the characters themselves are always escaped.
_SAFE = "%!&'()+,/:;=?@[]"
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TdmRule:
    """One rule of a host's file: which paths, whether they are reserved, and the policy's URL."""

    pattern: re.Pattern[str]
    is_reserved: bool
    policy: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TdmRules:
    """The rules of a host's file, in its order; none when it has no such file."""

    rules: tuple[TdmRule, ...] = ()

    def refusal(self, path: str) -> Refusal | None:
        """Return the reservation of a path with query; the first rule that matches counts."""
        if not self.rules:
            return None
        plain = _normal(path)
        rule = next((one for one in self.rules if one.pattern.match(plain)), None)
        if rule is None or not rule.is_reserved:
            return None
        return _refusal("tdmrep.json", rule.policy)


def parse_tdm_rules(body: bytes) -> TdmRules:
    """Read a ``tdmrep.json``; rules that are not as the report says are left out."""
    try:
        content = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return TdmRules()
    rules = content if isinstance(content, list) else [content]
    found = (_rule(one) for one in rules[:_MOST_RULES])
    return TdmRules(rules=tuple(rule for rule in found if rule is not None))


def reservation(value: str | None, policy: str | None, where: str) -> Refusal | None:
    """Return the refusal of a ``tdm-reservation`` of 1; any other value reserves nothing."""
    if value is None or value.strip() != "1":
        return None
    return _refusal(where, policy)


def _refusal(where: str, policy: str | None) -> Refusal:
    detail = f"{where}, policy {policy.strip()}" if policy and policy.strip() else where
    return Refusal(cause=Cause.TDM_RESERVED, detail=one_line(detail))


def _rule(content: Any) -> TdmRule | None:
    if not isinstance(content, dict):
        return None
    location, value = content.get("location"), content.get("tdm-reservation")
    policy = content.get("tdm-policy")
    # True is an int, and 1 as text is a common mistake.
    if not isinstance(location, str) or str(value) not in {"0", "1"}:
        return None
    return TdmRule(
        pattern=_pattern(location),
        is_reserved=str(value) == "1",
        policy=policy if isinstance(policy, str) else None,
    )


def _pattern(location: str) -> re.Pattern[str]:
    """Return the pattern of a location, in the notation of robots.txt (RFC 9309, 2.2.3)."""
    text, end = (location[:-1], r"\Z") if location.endswith("$") else (location, "")
    parts = [re.escape(_normal(part)) for part in re.split(r"\*+", text)]
    # Possessive: a pattern of many stars takes no more than one pass per star.
    first, *others = parts
    body = first + "".join(f"(?>.*?{part})" for part in others[:-1])
    last = f".*{others[-1]}" if others else ""
    return re.compile(body + last + end, re.DOTALL)


def _normal(path: str) -> str:
    """Return a path with each character written in one way only, so that paths compare."""
    return _ESCAPE.sub(_as_is_if_unreserved, quote(path, safe=_SAFE))


def _as_is_if_unreserved(escape: re.Match[str]) -> str:
    character = chr(int(escape.group()[1:], 16))
    return character if character in _UNRESERVED else escape.group().upper()
