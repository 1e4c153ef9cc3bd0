"""A site of listing pages, described in YAML.

.. code-block:: yaml

    - name: gallery
      start_url: https://example.org/people/{slug}   # columns of the identity list
      allowed_hosts: [example.org, "*.images.example.org", "example.org:8443"]
      images: {css: "figure img"}                    # the largest picture that each one offers
      next_page: {css: "a[rel=next]", attribute: href}
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from parsel import Selector as Document
from pydantic import (
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from crawlers.spiders.paging import LINKED, NUMBERED, NumberedPages, way_of
from crawlers.spiders.site_keys import Model, TemplateSite

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_:][A-Za-z0-9_:.-]{0,99}$")]


class ElementSelector(Model):
    """Elements by CSS or XPath, and the attribute that holds the URL."""

    css: str | None = None
    xpath: str | None = None
    attribute: _Name

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        _check_selector(self.css, self.xpath)
        return self


class ImageSelector(Model):
    """Elements that show an image, or link one.

    Without ``attribute`` the largest picture that the element offers is taken: from ``srcset``
    and ``<picture>``, attributes of lazy loading, ``<noscript>``, ``src``, and ``href`` of a link.
    """

    css: str | None = None
    xpath: str | None = None
    attribute: _Name | None = None

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        _check_selector(self.css, self.xpath)
        return self


class ImageRights(Model):
    """Where an image's terms stand: XPath from the image's element, a value or an element each."""

    licence: str | None = None
    author: str | None = None
    attribution: str | None = None

    @field_validator("licence", "author", "attribution")
    @classmethod
    def _is_xpath(cls, value: str | None) -> str | None:
        if value is not None:
            _check_selector(None, value)
        return value


NextPage: TypeAlias = Annotated[
    Annotated[NumberedPages, Tag(NUMBERED)] | Annotated[ElementSelector, Tag(LINKED)],
    Discriminator(way_of),
]


class GallerySite(TemplateSite):
    """One site of listing pages."""

    spider: Literal["gallery"] = "gallery"
    images: Annotated[tuple[ImageSelector, ...], Field(min_length=1, strict=False)]
    """One selector or several; what they find comes in this order."""
    json_ld: bool = False
    """Whether images that the page names in JSON-LD (schema.org) are wanted too."""
    rights: ImageRights = ImageRights()
    next_page: NextPage | None = None

    @field_validator("images", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, dict | ImageSelector) else value


def _check_selector(css: str | None, xpath: str | None) -> None:
    if (css is None) == (xpath is None):
        raise ValueError("give either css or xpath")
    document = Document("<html></html>")
    try:
        found = document.css(css) if css is not None else document.xpath(xpath or "")
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"selector cannot be read ({error})") from error
    if any(isinstance(one.root, float | bool) for one in found):
        raise ValueError("selects a number or a truth value; select elements")
