"""The candidates of a ``srcset`` attribute, parsed as the HTML standard says, and the largest."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

_SPACE = " \t\n\f\r"
_WIDTH = re.compile(r"[0-9]+w")
_HEIGHT = re.compile(r"[0-9]+h")
_DENSITY = re.compile(r"-?(?:[0-9]+|[0-9]*\.[0-9]+)(?:[eE][+-]?[0-9]+)?x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One image of several: ``width`` in pixels, or else ``density`` in device pixels per pixel."""

    url: str
    width: int | None = None
    density: float = 1.0


def parse_srcset(text: str) -> list[Candidate]:
    """Return the candidates of a ``srcset``; those with wrong descriptors are left out.

    Commas may stand inside an address; only one at its end ends the candidate
    (https://html.spec.whatwg.org/multipage/images.html#parsing-a-srcset-attribute).
    """
    found: list[Candidate] = []
    position = 0
    while True:
        position = _skip(text, position, _SPACE + ",")
        if position >= len(text):
            return found
        start = position
        while position < len(text) and text[position] not in _SPACE:
            position += 1
        url = text[start:position]
        descriptors: list[str] = []
        if url.endswith(","):
            url = url.rstrip(",")
        else:
            descriptors, position = _descriptors(text, position)
        candidate = _candidate(url, descriptors)
        if candidate is not None:
            found.append(candidate)


def largest(candidates: Iterable[Candidate]) -> Candidate | None:
    """Return the candidate with the most pixels as far as said, the last of several such.

    A width says more than a density. Addresses with ``data:`` are placeholders.
    """
    best: Candidate | None = None
    for candidate in candidates:
        if candidate.url and not candidate.url[:5].lower().startswith("data:"):
            best = candidate if best is None or _size(candidate) >= _size(best) else best
    return best


def _size(candidate: Candidate) -> tuple[int, float]:
    return candidate.width or 0, candidate.density


def _skip(text: str, position: int, characters: str) -> int:
    while position < len(text) and text[position] in characters:
        position += 1
    return position


def _descriptors(text: str, position: int) -> tuple[list[str], int]:
    """Return the words up to the next comma outside brackets, and where that ends."""
    words: list[str] = []
    current, depth = "", 0
    while position < len(text):
        character = text[position]
        position += 1
        if not depth and character == ",":
            break
        if not depth and character in _SPACE:
            words.append(current)
            current = ""
            continue
        depth += (character == "(") - (character == ")" and depth > 0)
        current += character
    return [word for word in [*words, current] if word], position


def _candidate(url: str, descriptors: list[str]) -> Candidate | None:
    """Return the candidate, ``None`` when its descriptors are wrong."""
    width: int | None = None
    density: float | None = None
    height = False
    for word in descriptors:
        if _WIDTH.fullmatch(word) and width is None and density is None and len(word) < 10:
            width = int(word[:-1])
        elif _DENSITY.fullmatch(word) and width is None and density is None and not height:
            density = float(word[:-1])
        elif _HEIGHT.fullmatch(word) and not height and density is None:
            height = True
        else:
            return None
    if width == 0 or (density is not None and not 0 <= density < math.inf):
        return None
    # A future-compatible height counts only beside a width.
    if height and width is None:
        return None
    return Candidate(url=url, width=width, density=1.0 if density is None else density)
