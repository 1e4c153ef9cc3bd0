"""A site that answers in JSON, page by page, described in YAML.

.. code-block:: yaml

    - name: stock
      spider: jsonapi
      start_url: https://api.example.org/search?q={identity}&per_page=30
      allowed_hosts: [api.example.org, images.example.org]
      items: results[*]                      # JMESPath: where the images of an answer are
      image: urls.full                       # within an item: an address, or a list of them
      page: links.html
      rights: {licence: license.name, licence_url: license.url, author: user.name}
      api_key: {header: Authorization, variable: STOCK_KEY}  # whose value is in the environment
      next_page: {path: paging.next}         # or {path: paging.cursor, parameter: cursor},
                                             # or {pattern: "?page={n}"}
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from crawlers.spiders.paging import LINKED, NUMBERED, NumberedPages, way_of
from crawlers.spiders.site_keys import Model, TemplateSite, host_and_port
from facedata.errors import RequestError

_OWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "cookie",
        "host",
        "if-modified-since",
        "if-none-match",
        "referer",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


def _checked_path(value: str) -> str:
    try:
        jmespath.compile(value)
    except JMESPathError as error:
        raise ValueError(f"is no JMESPath ({' '.join(str(error).split())})") from error
    return value


JsonPath = Annotated[
    str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_checked_path)
]
"""An expression of https://jmespath.org, such as ``results[*].urls.full``."""


class JsonNextPage(Model):
    """The next page by what the answer says: its address, or a value for a query parameter."""

    path: JsonPath
    parameter: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None


class JsonRights(Model):
    """Where an item says its terms."""

    licence: JsonPath | None = None
    licence_url: JsonPath | None = None
    author: JsonPath | None = None
    attribution: JsonPath | None = None


class ApiKey(Model):
    """A secret that goes with each call: in which header, and which environment variable has it."""

    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
    variable: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]

    @field_validator("header")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value.lower() in _OWN_HEADERS:
            raise ValueError(f"{value!r} is set by the crawler; name the header of the key")
        return value

    def value(self, environment: Mapping[str, str]) -> str:
        """Return the secret.

        Raises:
            RequestError: when it is not there, or cannot be sent in a header; it is not repeated.
        """
        secret = environment.get(self.variable, "")
        if not secret:
            raise RequestError(
                f"environment variable {self.variable} is not set; it holds what is sent as "
                f"{self.header}"
            )
        if not (secret.isascii() and secret.isprintable()):
            raise RequestError(
                f"environment variable {self.variable} holds what no header can: more than one "
                "line, or other than ASCII; copy the key again"
            )
        return secret


NextPage: TypeAlias = Annotated[
    Annotated[NumberedPages, Tag(NUMBERED)] | Annotated[JsonNextPage, Tag(LINKED)],
    Discriminator(way_of),
]


class JsonApiSite(TemplateSite):
    """One site that answers in JSON."""

    spider: Literal["jsonapi"] = "jsonapi"
    items: JsonPath
    image: Annotated[tuple[JsonPath, ...], Field(min_length=1, strict=False)]
    """One path or several; the first that gives anything counts."""
    page: JsonPath | None = None
    rights: JsonRights = JsonRights()
    next_page: NextPage | None = None
    terms_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+")] | None = None
    """Where the owner allows programs to use the interface: then robots.txt, which speaks to
    crawlers of pages, is not asked about addresses with the path of ``start_url``."""
    api_key: ApiKey | None = None
    """Sent with pages of the origin of ``start_url`` and with nothing else."""

    @model_validator(mode="after")
    def _key_is_not_sent_in_the_open(self) -> Self:
        is_open = self.start_url.startswith("http:") and not self.allow_private
        if self.api_key is not None and is_open:
            raise ValueError("api_key needs a start_url with https://, or others can read the key")
        return self

    @field_validator("image", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def is_api(self, url: str) -> bool:
        """Say whether ``url`` has the path of ``start_url``, and the owner's terms are known."""
        if self.terms_url is None:
            return False
        return self._path.fullmatch(url.partition("?")[0]) is not None

    def has_key(self, url: str) -> bool:
        """Say whether the key is sent with a page: whether ``url`` is of ``start_url``'s origin."""
        places = [(urlsplit(one).scheme, host_and_port(one)) for one in (url, self.start_url)]
        return self.api_key is not None and places[0] == places[1]

    @cached_property
    def _path(self) -> re.Pattern[str]:
        parts = string.Formatter().parse(self.start_url.partition("?")[0])
        return re.compile(
            "".join(
                re.escape(text) + ("" if column is None else "[^/]+")
                for text, column, _, _ in parts
            )
        )
