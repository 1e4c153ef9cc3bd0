"""A URL taken apart once, and the reasons for which one is not asked for at all."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit

from yarl import URL

from crawlers.causes import Cause
from crawlers.network.addresses import is_public

_DEFAULT_PORTS = {"http": 80, "https": 443}
# Scheme, authority, and a path and query that need no quoting.
_PLAIN = re.compile(r"(https?)://([^/?#]+)([!$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]*)(?:#.*)?")
_HOST_NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]*")
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)")
_ASCII_MARKS = "!#$%&'()*+,-./:;=?@[]_~"
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why something is not asked for, or its answer not used; ``detail`` is one short line."""

    cause: Cause
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Scheme, host and port.

    ``host`` is lower case and without brackets. ``site`` is host and port as in the URL, without
    the scheme's own port: the unit of pacing. ``origin`` has the scheme in front, and one
    robots.txt. ``is_private`` says that the host is written as an IP address that is not public.
    """

    host: str
    port: int
    site: str
    origin: str
    is_private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An http(s) URL without fragment that can be asked for.

    ``path`` is path and query as sent; ``address`` is the URL for the HTTP client.
    """

    authority: Authority
    path: str
    address: URL


def parse_target(url: str) -> Target | Refusal:
    """Take a URL apart; what is no plain http(s) URL is refused with its cause."""
    plain = _PLAIN.fullmatch(url)
    # A signed URL holds only as it was written, so what can be sent as it is is sent so.
    if plain is None or "/." in url:
        return _quoted(url)
    scheme, netloc, path = plain.groups()
    authority = _authority(scheme, netloc)
    if isinstance(authority, Refusal):
        return authority
    if not path.startswith("/"):
        path = f"/{path}"
    address = URL(f"{authority.origin}{path}", encoded=True)
    return Target(authority=authority, path=path, address=address)


def resolve(base: str, location: str) -> str:
    """Return a redirect's target as an absolute URL.

    Raises:
        ValueError: when it cannot be read as a URL.
    """
    if not location.isprintable():
        # Bytes that are not UTF-8 arrive as surrogates; they are meant as they are.
        raw = location.encode("utf-8", "surrogateescape")
        location = quote(raw, safe=_ASCII_MARKS)
    return urljoin(base, location.strip())


def one_line(problem: object) -> str:
    """Return a short printable text in one line, for ``detail``."""
    return printable(" ".join(str(problem).split())[:_SHOWN_CHARACTERS])


def shown(location: str) -> str:
    """Return a URL for ``detail``: without query, fragment and credentials, which may be secret."""
    bare = re.split(r"[?#]", location, maxsplit=1)[0]
    return one_line(re.sub(r"//[^/]*@", "//", bare))


def printable(text: str) -> str:
    """Return a text without control characters, and without bytes that are no UTF-8."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _quoted(url: str) -> Target | Refusal:
    """Take apart a URL that must be quoted, or whose ``/../`` must be resolved, first."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS:
            cause = Cause.UNSUPPORTED_SCHEME if parts.scheme else Cause.BAD_URL
            return Refusal(cause=cause, detail=f"scheme {parts.scheme[:20]!r}")
        address = URL(parts._replace(fragment="").geturl())
        authority = _authority(address.scheme, address.raw_authority)
    except ValueError as error:
        return Refusal(cause=Cause.BAD_URL, detail=one_line(error))
    if isinstance(authority, Refusal):
        return authority
    return Target(authority=authority, path=address.raw_path_qs or "/", address=address)


@lru_cache(maxsize=4096)
def _authority(scheme: str, netloc: str) -> Authority | Refusal:
    if "@" in netloc:
        return Refusal(cause=Cause.BAD_URL, detail="credentials in the URL")
    try:
        address = URL(f"{scheme}://{netloc}/")
        host, port = (address.raw_host or "").lower(), address.explicit_port
    except ValueError as error:
        return Refusal(cause=Cause.BAD_URL, detail=one_line(error))
    if port == 0 or not (_is_address(host) if ":" in host else _HOST_NAME.fullmatch(host)):
        return Refusal(cause=Cause.BAD_URL, detail=f"no host: {one_line(netloc)}")
    if (refusal := _numeric_refusal(host)) is not None:
        return refusal
    default = _DEFAULT_PORTS[scheme]
    site = f"[{host}]" if ":" in host else host
    if port is not None and port != default:
        site += f":{port}"
    return Authority(
        host=host,
        port=default if port is None else port,
        site=site,
        origin=f"{scheme}://{site}",
        is_private=_is_address(host) and not is_public(host),
    )


def _numeric_refusal(host: str) -> Refusal | None:
    """Refuse numeric IPv4 forms such as ``127.1`` or ``0x7f000001``: only ``a.b.c.d`` is asked.

    A host whose last label is a number is an address in some form (WHATWG URL, 3.5).
    """
    if ":" in host or not _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return None
    try:
        address = socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return Refusal(cause=Cause.BAD_URL, detail=f"{one_line(host)} is no IPv4 address")
    if address == host:
        return None
    cause = Cause.BAD_URL if is_public(address) else Cause.PRIVATE_ADDRESS
    return Refusal(cause=cause, detail=f"{one_line(host)} means {address}; only that form is asked")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
