"""Names of licences: many spellings and addresses become one name, and a list says which may in.

A name is in small letters with hyphens: ``cc-by-sa-4.0``, ``cc-by-3.0-de``, ``cc0``,
``public-domain``, ``gfdl-1.2``, ``odbl-1.0``, ``fair-use``, ``all-rights-reserved``, or ``rs-`` and
the code of a statement of rightsstatements.org (``rs-inc-edu``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote, urlsplit

_LONGEST = 200
_ADDRESS = re.compile(r"(?:https?:)?//|(?:[a-z0-9-]+\.)+(?:org|com|net|gov|uk|eu)/")
_CC_WORDS = (
    (r"creative[\s_-]*commons", "cc"),
    (r"attribution", "by"),
    (r"non[\s_-]*commercial", "nc"),
    (r"no[\s_-]*deriv(?:ative)?s?(?:[\s_-]*works)?", "nd"),
    (r"share[\s_-]*alike", "sa"),
)
_CC = re.compile(
    r"\bcc[\s_-]*(?P<parts>by(?:[\s_-]+(?:nc|nd|sa))*)(?![a-z])"
    r"[\s_-]*(?:v(?:ersion)?[\s_.-]*)?(?P<version>\d(?:\.\d)?)?(?!\d)"
    r"(?:[\s_-]+(?P<place>[a-z]{2}|igo|scotland)\b(?![\s_-]*[a-z]))?"
)
_CC_PATH = re.compile(
    r"/licenses/(?P<parts>by[a-z-]*)/(?P<version>\d(?:\.\d)?)(?:/(?P<place>[a-z]+))?"
)
_CC_CONDITIONS = ("nc", "nd", "sa")
_CC_ORDER = ("by", *_CC_CONDITIONS)
_PLACE = re.compile(r"[a-z]{2}|igo|scotland")
_SHORT_CC = re.compile(r"by(?: (?:nc|nd|sa))*(?: \d\.\d)?(?: (?:international|generic|unported))?")
_DENIED = re.compile(r"\b(?:not|never|except|unless|isn't|without)\b")
_RESERVING = (
    (r"\ball[\s_-]rights[\s_-]reserved\b", "all-rights-reserved"),
    (r"\bfair[\s_-]?use\b|\bfair dealing\b", "fair-use"),
    (r"\bnon[\s_-]free\b", "non-free"),
)
_PLAIN = (
    (r"\bno known copyright\b", "rs-nkc"),
    (r"\bcc[\s_-]?0\b|\bcc[\s_-]zero\b|\bcreative commons zero\b", "cc0"),
    (r"\bpublic[\s_-]domain\b|^publicdomain$|^(?:cc[\s_-])?pdm?(?:$|[\s_-])", "public-domain"),
    (r"^pddl\b", "public-domain"),
    (r"\bcopyrighted[\s_-]free[\s_-]use\b", "copyrighted-free-use"),
    (r"^fal\b|\bfree art licen[cs]e\b|\blicence art libre\b", "fal"),
)
_VERSIONED = (
    (r"\bgfdl\b|\bgnu free documentation licen[cs]e\b", "gfdl"),
    (r"\bodbl\b|\bopen database licen[cs]e\b", "odbl"),
    (r"\bodc[\s_-]by\b", "odc-by"),
    (r"\bogl\b|\bopen government licen[cs]e\b", "ogl"),
)
_VERSION = r"[\s_,-]*(?:v(?:ersion)?[\s_.-]*)?(?P<version>\d(?:\.\d)?)?"
_PUBLIC = "public-domain"
_OPEN_DATA = {"odbl": "odbl", "by": "odc-by", "pddl": _PUBLIC}


def licence_name(*texts: str | None) -> str | None:
    """Return the name of the licence that some texts say: codes, names or addresses.

    The first text that is understood counts. When none is, the first that says anything is given
    back in its own words, in one line of at most 200 characters; ``None`` when none says anything.
    """
    said = [line for text in texts if (line := " ".join((text or "").split()))]
    for text in said:
        if (name := known_licence(text)) is not None:
            return name
    return said[0][:_LONGEST].rstrip() if said else None


@lru_cache(maxsize=4096)
def known_licence(text: str) -> str | None:
    """Return the licence's name when ``text`` is a spelling or an address of a known one.

    A text that denies something ("not in the public domain") is not understood.
    """
    plain = " ".join(text.split()).lower()[:_LONGEST]
    if _ADDRESS.match(plain):
        return _of_address(f"//{plain.rpartition('://')[2].removeprefix('//')}")
    if _DENIED.search(plain):
        return None
    return next((name for read in _READERS if (name := read(plain)) is not None), None)


def is_allowed(licence: str | None, allowed: Sequence[str]) -> bool:
    """Say whether an image under ``licence`` may be fetched or taken in.

    An empty list allows everything, also an unknown licence. Otherwise an entry stands for the
    licence itself and for its versions and ports: ``cc-by`` for ``cc-by-4.0`` and ``cc-by-3.0-de``,
    but not for ``cc-by-sa-4.0``; ``cc-by-3.0`` for ``cc-by-3.0-de``. ``public-domain`` stands for
    ``cc0`` too, not the other way round. Entries may be written as any known spelling; a licence
    that is not known is compared word by word. Without a licence nothing is allowed.
    """
    if not allowed:
        return True
    name = licence_name(licence)
    return name is not None and any(_covers(entry, name) for entry in allowed)


def unknown_entries(allowed: Sequence[str]) -> list[str]:
    """Return the entries of an allow-list that are no known licence: perhaps misspelt."""
    return [entry for entry in allowed if known_licence(entry) is None]


def _covers(entry: str, name: str) -> bool:
    wanted = (known_licence(entry) or " ".join(entry.split())).lower()
    found = name.lower()
    if found == wanted or (wanted, found) == (_PUBLIC, "cc0"):
        return True
    rest = found.removeprefix(f"{wanted}-")
    if rest == found:
        return False
    return rest[0].isdigit() or (wanted[-1].isdigit() and _PLACE.fullmatch(rest) is not None)


def _of_address(address: str) -> str | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.netloc == "artlibre.org":
        return "fal"
    read = _HOSTS.get(parts.netloc.removeprefix("www."))
    return None if read is None else read(unquote(parts.path))


def _of_statement_path(path: str) -> str | None:
    words = [word for word in path.split("/") if word not in {"", "vocab", "page"}]
    return f"rs-{words[0]}" if words and words[0].replace("-", "").isalpha() else None


def _of_open_data_path(path: str) -> str | None:
    words = [word for word in path.split("/") if word not in {"", "licenses"}]
    name = _OPEN_DATA.get(words[0]) if words else None
    if name is None or name == _PUBLIC:
        return name
    version = next((word for word in words if re.fullmatch(r"\d[.-]\d", word)), "")
    return _joined(name, version.replace("-", "."))


def _of_gnu_path(path: str) -> str | None:
    found = re.search(r"fdl(?:-(\d\.\d))?", path)
    return _joined("gfdl", found[1]) if found else None


def _of_creative_commons_path(path: str) -> str | None:
    if "/publicdomain/zero" in path:
        return "cc0"
    if "/publicdomain/" in path or path.startswith("/licenses/publicdomain"):
        return _PUBLIC
    found = _CC_PATH.search(path)
    if found is None:
        return None
    place = found["place"] or ""
    return _cc(found["parts"], found["version"], place if _PLACE.fullmatch(place) else None)


def _of_cc_words(plain: str) -> str | None:
    for pattern, short in _CC_WORDS:
        plain = re.sub(pattern, f" {short} ", plain)
    plain = re.sub(r"[\s_,/()-]+", " ", plain).strip()
    bare = re.sub(r" licen[cs]e$", " generic", plain)
    if bare != "by" and _SHORT_CC.fullmatch(bare):
        plain = f"cc {plain}"
    found = _CC.search(plain)
    if found is None:
        return None
    said = set(plain.split()) & set(_CC_CONDITIONS)
    # "CC BY 4.0, non-commercial": a condition that stands elsewhere is not passed over.
    if not said <= set(found["parts"].split()):
        return None
    return _cc(found["parts"], found["version"], found["place"])


def _cc(parts: str, version: str | None, place: str | None) -> str | None:
    words = re.split(r"[\s_-]+", parts.strip(" -_"))
    if not set(words) <= set(_CC_ORDER):
        return None
    # The order in which Creative Commons writes them: by, nc, then nd or sa.
    name = "-".join(["cc", *(word for word in _CC_ORDER if word in words)])
    return _joined(name, version, place if version else None)


def _of_words(plain: str) -> str | None:
    return next((name for pattern, name in _PLAIN if re.search(pattern, plain)), None)


def _of_reserving_words(plain: str) -> str | None:
    return next((name for pattern, name in _RESERVING if re.search(pattern, plain)), None)


def _of_versioned_words(plain: str) -> str | None:
    for pattern, name in _VERSIONED:
        if found := re.search(f"(?:{pattern}){_VERSION}", plain):
            return _joined(name, found["version"])
    return None


def _of_statement(plain: str) -> str | None:
    return plain if re.fullmatch(r"rs-[a-z]+(?:-[a-z]+)*", plain) else None


def _joined(name: str, version: str | None, place: str | None = None) -> str:
    if version and "." not in version:
        version = f"{version}.0"
    return "-".join(part for part in (name, version, place) if part)


_HOSTS: Mapping[str, Callable[[str], str | None]] = {
    "creativecommons.org": _of_creative_commons_path,
    "rightsstatements.org": _of_statement_path,
    "opendatacommons.org": _of_open_data_path,
    "gnu.org": _of_gnu_path,
}
_READERS: tuple[Callable[[str], str | None], ...] = (
    _of_statement,
    # What reserves rights comes first: a text may speak of several terms.
    _of_reserving_words,
    _of_cc_words,
    _of_words,
    _of_versioned_words,
)
