"""Links as pages write them, made absolute."""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin

from w3lib.url import safe_url_string

_SHOWN_CHARACTERS = 200


def absolute(base: str, link: str) -> str:
    """Return ``link`` as an absolute URL without fragment; one that is none stays as it is.

    What is no http(s) URL is cut to 200 characters: it is recorded, never asked for.
    """
    try:
        url: str = urldefrag(safe_url_string(urljoin(base, link.strip()))).url
    except ValueError:
        return _storable(link[:_SHOWN_CHARACTERS])
    return _storable(url if url.startswith(("http://", "https://")) else url[:_SHOWN_CHARACTERS])


def one_line(text: object, limit: int = _SHOWN_CHARACTERS) -> str:
    """Return a short text in one line, for ``detail`` and rights."""
    return _storable(" ".join(str(text).split())[:limit])


def _storable(text: str) -> str:
    """Replace lone surrogates, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
