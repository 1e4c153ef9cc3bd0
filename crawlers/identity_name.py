"""The one rule that turns any text into an identity name."""

from __future__ import annotations

import unicodedata

from facedata.errors import SourceError

# Control characters and lone surrogates (undecodable bytes) cannot be shown, typed or stored.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def normalise_identity(text: str, *, where: str) -> str:
    """Return ``text`` in Unicode NFC without surrounding white space.

    Spaces, quotes, ``..``, emoji and any length are fine: a name is never used as a path.
    ``where`` says in the error where the text came from.

    Raises:
        SourceError: when the name is empty, or has control characters or undecodable bytes.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise SourceError(f"{where}: identity name {text!r} is empty; give it a name")
    for character in name:
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise SourceError(
                f"{where}: identity name {shown(name)} has the unprintable character "
                f"{character!a}; rename it"
            )
    return name


def shown(name: str, *, limit: int = 80) -> str:
    """Return ``name`` quoted for a message, in plain escapes.

    Of one that is longer than ``limit`` characters the middle is left out: a path's end says which
    file it is.
    """
    half = limit // 2
    kept = name if len(name) <= limit else f"{name[:half]}…{name[-half:]}"
    return repr(kept).encode("utf-8", "backslashreplace").decode("utf-8")
