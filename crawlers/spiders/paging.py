"""Pages that are counted: the address of the next one follows from the address of this one."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from crawlers.spiders.site_keys import Model

NUMBERED, LINKED = "(by number)", "(by link)"
"""Tags of the two ways to say where the next page is."""
_NUMBER = "{n}"
_LARGEST = 10**12


class NumberedPages(Model):
    """Pages by number: ``pattern: "?page={n}"`` sets a query parameter and keeps the others,
    ``pattern: "page/{n}/"`` is an address relative to the start page.

    The start page is number ``first`` and each page's number is ``step`` more, so that
    ``{pattern: "?offset={n}", first: 0, step: 30}`` counts images. A page without images is the
    last, and so is page ``max_pages``.
    """

    pattern: str
    first: Annotated[int, Field(ge=0, le=_LARGEST)] = 1
    step: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @field_validator("pattern")
    @classmethod
    def _has_a_number(cls, value: str) -> str:
        if value.count(_NUMBER) != 1:
            raise ValueError("must have {n}, the page's number, exactly once")
        if "://" in value or value.startswith("//") or "#" in value:
            raise ValueError('must be relative, such as "?page={n}" or "page/{n}/"')
        return value

    @model_validator(mode="after")
    def _names_a_parameter(self) -> Self:
        if self.pattern.startswith("?") and not re.fullmatch(r"\?[^=&?]+=\{n\}", self.pattern):
            raise ValueError('a pattern that begins with ? sets one parameter: "?page={n}"')
        return self


def way_of(value: Any) -> str:
    """Return the tag of the way in which a sites file says where the next page is."""
    numbered = "pattern" in value if isinstance(value, dict) else isinstance(value, NumberedPages)
    return NUMBERED if numbered else LINKED


def next_numbered(pages: NumberedPages, url: str) -> str:
    """Return the address of the page after ``url``."""
    if pages.pattern.startswith("?"):
        name = pages.pattern[1:].partition("=")[0]
        now = _number(dict(_query(url)).get(name), pages.first)
        return with_parameters(url, {name: str(now + pages.step)})
    before, _, after = pages.pattern.partition(_NUMBER)
    numbered = re.compile(rf"{re.escape(before)}(\d{{1,12}}){re.escape(after)}$")
    found = numbered.search(url)
    if found is None:
        return urljoin(url, pages.pattern.replace(_NUMBER, str(pages.first + pages.step)))
    following = str(int(found[1]) + pages.step)
    return url[: found.start(1)] + following + url[found.end(1) :]


def with_parameters(url: str, parameters: dict[str, str]) -> str:
    """Return ``url`` with these query parameters set; the others stay, in their order."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in _query(url) if name not in parameters]
    return urlunsplit(parts._replace(query=urlencode([*kept, *parameters.items()]), fragment=""))


def _query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 13 else default
