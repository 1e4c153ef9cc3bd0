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
      next_page: {path: paging.next}         # or {path: paging.cursor, parameter: cursor},
                                             # or {pattern: "?page={n}"}
"""

from __future__ import annotations

import re
import string
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
)

from crawlers.spiders.paging import LINKED, NUMBERED, NumberedPages, way_of
from crawlers.spiders.site_keys import Model, TemplateSite


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

    @field_validator("image", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def is_api(self, url: str) -> bool:
        """Say whether ``url`` has the path of ``start_url``, and the owner's terms are known."""
        if self.terms_url is None:
            return False
        return self._path.fullmatch(url.partition("?")[0]) is not None

    @cached_property
    def _path(self) -> re.Pattern[str]:
        parts = string.Formatter().parse(self.start_url.partition("?")[0])
        return re.compile(
            "".join(
                re.escape(text) + ("" if column is None else "[^/]+")
                for text, column, _, _ in parts
            )
        )
