"""The sites of a crawl: a YAML file with who crawls, and one entry for each site.

.. code-block:: yaml

    contact: mailto:data-team@example.org     # who a site's owner can write to; sent with requests
    user_agent: Winnow                        # the name that robots.txt rules are looked up under
    sites:
      - name: gallery
        spider: gallery                       # gallery (the default), jsonapi or wikimedia
        ...

Only http and https are crawled, and only hosts in ``allowed_hosts``. Hosts with private or loopback
addresses are refused unless the site says ``allow_private: true``. The kinds of site are described
in ``crawlers.spiders``: ``gallery_site``, ``json_api_site`` and ``wikimedia_site``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

import yaml
from pydantic import (
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from crawlers.spiders.gallery_site import GallerySite
from crawlers.spiders.json_api_site import ApiKey, JsonApiSite
from crawlers.spiders.paging import LINKED, NUMBERED
from crawlers.spiders.site_keys import Model, template_columns
from crawlers.spiders.url_list_site import UrlListSite
from crawlers.spiders.wikimedia_site import WikimediaSite
from facedata.errors import SourceError

__all__ = ["DEFAULT_SPIDER", "SPIDERS", "Site", "Sites", "load_sites", "template_columns"]

DEFAULT_SPIDER = "gallery"
SPIDERS = ("gallery", "jsonapi", "wikimedia")
"""The kinds of site that a file may describe."""
_TAGS = frozenset({*SPIDERS, "urllist", NUMBERED, LINKED})
_ERRORS_IN_A_MESSAGE = 3
_SPIDER = "spider"
_OneLine = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x20-\x7e]+$")
]


def _kind(value: Any) -> str:
    kind = value.get(_SPIDER) if isinstance(value, dict) else getattr(value, _SPIDER, None)
    return str(kind or DEFAULT_SPIDER)


Site: TypeAlias = Annotated[
    Annotated[GallerySite, Tag("gallery")]
    | Annotated[JsonApiSite, Tag("jsonapi")]
    | Annotated[WikimediaSite, Tag("wikimedia")]
    | Annotated[UrlListSite, Tag("urllist")],
    Discriminator(_kind),
]
"""A site of any kind; ``spider`` names the kind."""


class Sites(Model):
    """A whole ``sites.yaml``, or the one site of a URL list."""

    contact: _OneLine
    user_agent: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")] = (
        "Winnow"
    )
    sites: Annotated[tuple[Site, ...], Field(min_length=1, strict=False)]

    @property
    def api_keys(self) -> list[ApiKey]:
        """The keys that sites are called with."""
        sites = [site for site in self.sites if isinstance(site, JsonApiSite)]
        return [site.api_key for site in sites if site.api_key is not None]

    @field_validator("sites")
    @classmethod
    def _names_differ(cls, value: tuple[Site, ...]) -> tuple[Site, ...]:
        names = [site.name for site in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several sites are named {twice}; give each its own name")
        return value

    @model_validator(mode="after")
    def _wikimedia_can_write_back(self) -> Self:
        """Wikimedia's user-agent policy asks for an e-mail address or a web page."""
        asks = any(isinstance(site, WikimediaSite) for site in self.sites)
        if asks and "@" not in self.contact and "://" not in self.contact:
            raise ValueError(
                f"contact is {self.contact!r}; "
                "Wikimedia asks for an e-mail address or a web page to write to"
            )
        return self


def load_sites(path: Path, spider: str = DEFAULT_SPIDER) -> Sites:
    """Read and check a ``sites.yaml``; sites that do not say their kind are of kind ``spider``.

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
        return Sites.model_validate(_with_kinds(content, spider, path))
    except ValidationError as error:
        raise SourceError(f"sites file {path}: {_one_line(error)}") from error


def _with_kinds(content: Any, spider: str, path: Path) -> Any:
    """Give ``spider`` to the sites that do not say their kind."""
    sites = content.get("sites") if isinstance(content, dict) else None
    if not isinstance(sites, list):
        return content
    described = [{_SPIDER: spider} | site if isinstance(site, dict) else site for site in sites]
    for number, site in enumerate(described):
        if isinstance(site, dict) and site[_SPIDER] not in SPIDERS:
            raise SourceError(
                f"sites file {path}: sites.{number}.spider = {repr(site[_SPIDER])[:80]}: "
                f"allowed: {', '.join(SPIDERS)}"
            )
    return content | {"sites": described}


def _one_line(error: ValidationError) -> str:
    """Say which keys are wrong, with the values found, in one line."""
    problems = []
    # A list whose entries are all wrong is called too short as well.
    errors = [one for one in error.errors() if one["type"] != "too_short" or not one["input"]]
    for one in errors[:_ERRORS_IN_A_MESSAGE]:
        key = ".".join(str(part) for part in one["loc"] if part not in _TAGS) or "the file"
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "missing":
            problems.append(f"key {key} is missing")
        elif one["type"] == "extra_forbidden":
            problems.append(f"unknown key {key}")
        else:
            problems.append(f"{key} = {repr(one['input'])[:80]}: {message}")
    if (more := len(errors) - _ERRORS_IN_A_MESSAGE) > 0:
        problems.append(f"and {more} more")
    return " ".join("; ".join(problems).split())
