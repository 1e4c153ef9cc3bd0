"""What every kind of site says: its hosts, and how gently it is treated."""

from __future__ import annotations

import re
import string
from functools import lru_cache
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from crawlers.network.addresses import is_public
from crawlers.network.answer import FetchRules

_PLAIN_URL = re.compile(
    r"(https?)://([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)(?::([1-9]\d{0,3}))?(?=[/?])"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
SITE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Model(BaseModel):
    """A part of a sites file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SiteKeys(Model):
    """The keys that all kinds of site share; times in seconds, sizes in bytes.

    A host without a port stands for ports 80 and 443, ``*.`` for all names below.
    """

    name: Annotated[str, StringConstraints(pattern=SITE_NAME)]
    allowed_hosts: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    max_pages: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Pages one after the other from a start page."""
    allow_private: bool = False
    """Whether ``allowed_hosts`` may have private or loopback addresses: for a site of one's own."""
    delay_s: Annotated[float, Field(ge=0, le=3600, strict=False)] = 0.5
    """Least time between two requests to one host; a slow host is given more."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests at one host at the same time."""
    timeout_s: Annotated[float, Field(gt=0, le=3600, strict=False)] = 30.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 5
    max_image_bytes: Annotated[int, Field(ge=1, le=1 << 30)] = 32 << 20

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not is_host_entry(entry):
                raise ValueError(f"{entry!r} is not a host or host:port")
        return value

    def allows(self, url: str) -> bool:
        """Say whether an http(s) URL is within ``allowed_hosts``."""
        place = host_and_port(url)
        return place is not None and self.allows_host(*place)

    def allows_host(self, host: str, port: int) -> bool:
        """Say whether a host name or address with this port is within ``allowed_hosts``."""
        return any(entry_matches(entry, host, port) for entry in self.allowed_hosts)

    def allows_private(self, host: str, port: int) -> bool:
        """Say whether this host may have an address that is not public."""
        return self.allow_private and self.allows_host(host, port)

    def is_api(self, url: str) -> bool:
        """Say whether a URL is a call of a programming interface that the site offers to programs.

        robots.txt speaks to crawlers of pages, and many a site forbids its interface there to
        keep it out of search engines, Wikimedia among them: it is not asked about such calls.
        Images and pages always obey it.
        """
        del url
        return False

    def fetch_rules(self, partitions: int = 1) -> FetchRules:
        """Return how the site is treated by one of so many crawls of it at the same time."""
        return FetchRules(
            allows=self.allows,
            allow_private=self.allows_private,
            is_api=self.is_api,
            delay_s=self.delay_s * partitions,
            concurrency=max(1, self.concurrency // partitions),
            timeout_s=self.timeout_s,
            retries=self.retries,
            max_redirects=self.max_redirects,
        )

    def check_start(self, url: str, key: str) -> None:
        """Check that a start address is one that may be asked for.

        Raises:
            ValueError: when its host is not allowed, or is a private address.
        """
        if not self.allows(url):
            raise ValueError(
                f"the host of {key} ({urlsplit(url).netloc}) is not in "
                f"allowed_hosts {list(self.allowed_hosts)}"
            )
        host = urlsplit(url).hostname or ""
        if not self.allow_private and _is_address(host) and not is_public(host):
            raise ValueError(
                f"{key} has the private address {host}; "
                "for a site of your own say allow_private: true"
            )


class TemplateSite(SiteKeys):
    """A site where a person's first page follows from columns of the identity list."""

    start_url: str

    @field_validator("start_url")
    @classmethod
    def _start_url_is_a_template(cls, value: str) -> str:
        return check_template(value)

    @model_validator(mode="after")
    def _start_is_allowed(self) -> Self:
        self.check_start(self.start_url, "start_url")
        return self


def check_template(value: str) -> str:
    """Check a start URL with ``{column}`` placeholders and return it.

    Raises:
        ValueError: when it is no http(s) URL, its host is not fixed, or a placeholder is odd.
    """
    parts = urlsplit(value)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and a host")
    if "{" in parts.netloc:
        raise ValueError("the host must be fixed: no {column} in it")
    template_columns(value)
    return value


def template_columns(template: str) -> list[str]:
    """Return the column names in a start URL template, in order.

    Raises:
        ValueError: when a placeholder is not a plain ``{column}``.
    """
    columns = []
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            raise ValueError(f"placeholder {name!r} is not a plain {{column}}")
        columns.append(name)
    return columns


def is_host_entry(entry: str) -> bool:
    """Say whether ``entry`` is a host or host:port, with ``*.`` for all names below."""
    try:
        parts = urlsplit(f"//{entry}")
        usable = bool(parts.hostname) and parts.netloc == entry and (parts.port or 1) > 0
    except ValueError:
        return False
    return usable and "@" not in entry


@lru_cache(maxsize=4096)
def entry_matches(entry: str, host: str, port: int) -> bool:
    """Say whether a host and port are what an entry such as ``*.example.org:8443`` stands for."""
    parts = urlsplit(f"//{entry}")
    name, host = parts.hostname or "", host.lower()
    ports = (parts.port,) if parts.port is not None else tuple(_DEFAULT_PORTS.values())
    if port not in ports:
        return False
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def host_and_port(url: str) -> tuple[str, int] | None:
    """Return where an http(s) URL leads, ``None`` when it is no such URL."""
    # Nearly every URL is plain, and taking any apart takes ten times as long.
    if (plain := _PLAIN_URL.match(url)) is not None:
        scheme, host, number = plain.groups()
        return host.lower(), int(number) if number else _DEFAULT_PORTS[scheme]
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        known = parts.scheme in _DEFAULT_PORTS
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port and known else None


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
