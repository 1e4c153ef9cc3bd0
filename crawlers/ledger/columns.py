"""How rights and the contents of pages are kept in the ledger's columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple

from crawlers.spiders.page_content import FoundImage, PageContent, Rights


def rights_columns(rights: Rights) -> tuple[str | None, ...]:
    """Return the four columns of rights, in the order of their fields."""
    return rights.licence, rights.licence_url, rights.author, rights.attribution


def rights_of(columns: Sequence[object]) -> Rights:
    """Return the rights of their four columns, in the order of their fields."""
    licence, licence_url, author, attribution = (
        None if text is None else str(text) for text in columns
    )
    return Rights(licence=licence, licence_url=licence_url, author=author, attribution=attribution)


def content_text(content: PageContent) -> str:
    """Return what a page holds as one line of JSON."""
    images = [[image.url, image.page_url, *astuple(image.rights)] for image in content.images]
    facts = {"images": images, "next": content.next_urls, "without_url": content.without_url}
    return json.dumps(facts, separators=(",", ":"))


def content_of(text: str) -> PageContent:
    """Return what :func:`content_text` wrote."""
    facts = json.loads(text)
    images = (
        FoundImage(url=url, page_url=page_url, rights=rights_of(rights))
        for url, page_url, *rights in facts["images"]
    )
    return PageContent(
        images=tuple(images),
        next_urls=tuple(facts["next"]),
        without_url=facts["without_url"],
    )
