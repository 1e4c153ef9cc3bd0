"""Content codings (RFC 9110, 8.4) undone within a bound, so that no body grows without end."""

from __future__ import annotations

import zlib

_GZIP_OR_ZLIB = 47
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})


class CodingError(ValueError):
    """A body is not coded as its header says, or in a way that nobody asked for."""


def decoded(body: bytes, coding: str, limit: int, *, may_be_cut: bool = False) -> bytes:
    """Undo ``coding`` (a Content-Encoding header) and return at most ``limit`` bytes.

    Raises:
        CodingError: when the coding is none of gzip and deflate, the bytes are damaged, or they
            end too early, unless they ``may_be_cut``.
    """
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return body[:limit]
    if name not in _KNOWN:
        raise CodingError(f"content encoding {name[:40]!r} was not asked for")
    decoder, text = zlib.decompressobj(_GZIP_OR_ZLIB), b""
    try:
        text = decoder.decompress(body, limit)
        # A gzip file may have several members (RFC 1952, 2.2).
        while decoder.eof and decoder.unused_data and len(text) < limit:
            body, decoder = decoder.unused_data, zlib.decompressobj(_GZIP_OR_ZLIB)
            text += decoder.decompress(body, limit - len(text))
    except zlib.error as error:
        raise CodingError(f"{name} body is damaged ({error})") from error
    if len(text) < limit and not decoder.eof and not may_be_cut:
        raise CodingError(f"{name} body ends too early")
    return text
