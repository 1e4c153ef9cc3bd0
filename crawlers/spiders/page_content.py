"""What a spider is given of one page, and what it reads out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crawlers.causes import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedPage:
    """A page as it was fetched with success.

    ``url`` is where it was found, after redirects; ``headers`` have lower-case names.
    ``robots_name`` is the crawler's name, for orders that a page gives to one crawler alone.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    robots_name: str = "Winnow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Under what terms an image stands there, as its page says it; null where nothing is said.

    ``licence`` is a normalised name such as ``cc-by-sa-4.0`` (see ``crawlers.spiders.licences``)
    or, when unknown there, the page's own words; ``licence_url`` the licence's text or deed.
    ``attribution`` is the line that must go with the image, in plain text.
    """

    licence: str | None = None
    licence_url: str | None = None
    author: str | None = None
    attribution: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImage:
    """An image that a page shows: absolute URL without fragment, the page about it, its rights."""

    url: str
    page_url: str | None = None
    rights: Rights = Rights()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContent:
    """What one page holds, in page order.

    ``next_urls`` are pages to be read for the same person. ``without_url`` counts elements that
    were selected but gave no image. ``cause`` says that the page cannot or may not be used
    (``not_a_page``, ``opted_out``, …): then nothing else is set but ``detail``, which otherwise
    says what else is worth a record, such as why files were left out. ``retry_after_s`` asks for
    the same page again after so many seconds, such as of an API that is busy.
    """

    images: tuple[FoundImage, ...] = ()
    next_urls: tuple[str, ...] = ()
    without_url: int = 0
    cause: Cause | None = None
    detail: str | None = None
    retry_after_s: float | None = None


def unique_images(images: Iterable[FoundImage]) -> tuple[FoundImage, ...]:
    """Return each URL's first image, in order."""
    by_url: dict[str, FoundImage] = {}
    for image in images:
        by_url.setdefault(image.url, image)
    return tuple(by_url.values())
