"""When two names may be one person's: spelling, word order and a source's prefix put aside."""

from __future__ import annotations

import re
import unicodedata

_SOURCE_PREFIX = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}:(?=.)", re.DOTALL)
# Letters of their own in Unicode, and accented ones to most who type them.
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)


def own_name(source: str, name: str) -> str:
    """The identity that a name means in one source alone: ``<source>:<name>``."""
    return name if name.startswith(f"{source}:") else f"{source}:{name}"


def normalise_name(name: str) -> str:
    """One spelling of a name: no accents, case, punctuation or order of its words."""
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_PLAIN)
    kept = "".join(_letter(mark) for mark in plain if not unicodedata.combining(mark))
    return " ".join(sorted(kept.split()))


def name_key(identity: str) -> str | None:
    """What two identities must share to have one name, None when this one has no name.

    The normalised name without the prefix of a source (see ``own_name``). A number alone, such as
    the class 7 of a set, is no name.
    """
    key = normalise_name(_SOURCE_PREFIX.sub("", identity, count=1))
    return key if any(mark.isalpha() for mark in key) else None


def have_one_name(identity_a: str, identity_b: str) -> bool:
    """Whether two identities have one name; a hint that they are one person, and no more."""
    key = name_key(identity_a)
    return key is not None and key == name_key(identity_b)


def _letter(mark: str) -> str:
    """A letter, digit or vowel sign as it is; everything else parts words."""
    return mark if mark.isalnum() or unicodedata.category(mark).startswith("M") else " "
