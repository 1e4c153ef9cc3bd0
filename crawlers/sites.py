"""Sites described in YAML: where a person's pages are and how images are found on them.

.. code-block:: yaml

    contact: mailto:data-team@example.org     # who a site's owner can write to; sent with requests
    user_agent: Winnow                        # the name that robots.txt rules are looked up under
    sites:
      - name: gallery
        start_url: https://example.org/people/{slug}   # columns of the identity list
        allowed_hosts: [example.org, "*.images.example.org", "example.org:8443"]
        images: {css: "figure img", attribute: src}
        next_page: {css: "a[rel=next]", attribute: href}
        max_pages: 100

Only http and https are crawled, and only hosts in ``allowed_hosts``: a host without a port stands
for ports 80 and 443, ``*.`` for all names below. Hosts with private or loopback addresses are
refused unless the site says ``allow_private: true``.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

import yaml
from parsel import Selector as Document
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from crawlers.addresses import is_public
from facedata.errors import SourceError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ERRORS_IN_A_MESSAGE = 3
_OneLine = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x20-\x7e]+$")
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ElementSelector(_Model):
    """Elements by CSS or XPath, and the attribute that holds the URL."""

    css: str | None = None
    xpath: str | None = None
    attribute: Annotated[str, StringConstraints(min_length=1)]

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if (self.css is None) == (self.xpath is None):
            raise ValueError("give either css or xpath")
        document = Document("<html></html>")
        try:
            document.css(self.css) if self.css is not None else document.xpath(self.xpath or "")
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"selector cannot be read ({error})") from error
        return self


class Site(_Model):
    """One site of the gallery spider; times in seconds, sizes in bytes."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    start_url: str
    allowed_hosts: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    images: ElementSelector
    next_page: ElementSelector | None = None
    max_pages: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Pages per start URL."""
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

    @field_validator("start_url")
    @classmethod
    def _start_url_is_a_template(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and a host")
        if "{" in parts.netloc:
            raise ValueError("the host must be fixed: no {column} in it")
        template_columns(value)
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            try:
                host_parts = urlsplit(f"//{entry}")
                usable = bool(host_parts.hostname) and host_parts.netloc == entry
                usable = usable and (host_parts.port or 1) > 0
            except ValueError:
                usable = False
            if not usable or "@" in entry:
                raise ValueError(f"{entry!r} is not a host or host:port")
        return value

    @model_validator(mode="after")
    def _start_is_allowed(self) -> Self:
        if not self.allows(self.start_url):
            raise ValueError(
                f"the host of start_url ({urlsplit(self.start_url).netloc}) is not in "
                f"allowed_hosts {list(self.allowed_hosts)}"
            )
        host = urlsplit(self.start_url).hostname or ""
        if not self.allow_private and _is_address(host) and not is_public(host):
            raise ValueError(
                f"start_url has the private address {host}; "
                "for a site of your own say allow_private: true"
            )
        return self

    def allows(self, url: str) -> bool:
        """Say whether an http(s) URL is within ``allowed_hosts``."""
        parts = urlsplit(url)
        port = _port_of(parts)
        return port is not None and self.allows_host(parts.hostname or "", port)

    def allows_host(self, host: str, port: int) -> bool:
        """Say whether a host name or address with this port is within ``allowed_hosts``."""
        return any(_entry_matches(entry, host.lower(), port) for entry in self.allowed_hosts)


class Sites(_Model):
    """A whole ``sites.yaml``."""

    contact: _OneLine
    user_agent: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")] = (
        "Winnow"
    )
    sites: Annotated[tuple[Site, ...], Field(min_length=1, strict=False)]

    @field_validator("sites")
    @classmethod
    def _names_differ(cls, value: tuple[Site, ...]) -> tuple[Site, ...]:
        names = [site.name for site in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several sites are named {twice}; give each its own name")
        return value


def load_sites(path: Path) -> Sites:
    """Read and check a ``sites.yaml``.

    Raises:
        SourceError: when it is missing, no YAML, or has an unknown key or a bad value; the
            message names key and value.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise SourceError(
            f"sites file {path} cannot be read ({error.strerror}); check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise SourceError(f"sites file {path} is not valid YAML: {problem}") from error
    try:
        return Sites.model_validate(content)
    except ValidationError as error:
        raise SourceError(f"sites file {path}: {_one_line(error)}") from error


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


def _port_of(parts: SplitResult) -> int | None:
    try:
        return parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None


def _entry_matches(entry: str, host: str, port: int) -> bool:
    parts = urlsplit(f"//{entry}")
    name = parts.hostname or ""
    ports = (parts.port,) if parts.port is not None else tuple(_DEFAULT_PORTS.values())
    if port not in ports:
        return False
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _one_line(error: ValidationError) -> str:
    """Say which keys are wrong, with the values found, in one line."""
    problems = []
    for one in error.errors()[:_ERRORS_IN_A_MESSAGE]:
        key = ".".join(str(part) for part in one["loc"]) or "the file"
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "missing":
            problems.append(f"key {key} is missing")
        elif one["type"] == "extra_forbidden":
            problems.append(f"unknown key {key}")
        else:
            problems.append(f"{key} = {repr(one['input'])[:80]}: {message}")
    if (more := error.error_count() - _ERRORS_IN_A_MESSAGE) > 0:
        problems.append(f"and {more} more")
    return " ".join("; ".join(problems).split())
