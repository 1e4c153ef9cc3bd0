"""The gallery spider: listing pages in HTML, read by the selectors of a sites file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from parsel import Selector
from w3lib.encoding import html_to_unicode
from w3lib.html import get_base_url

from crawlers.causes import Cause
from crawlers.network.opt_out import page_refusal
from crawlers.spiders.gallery_site import ElementSelector, GallerySite, ImageRights, ImageSelector
from crawlers.spiders.image_element import attribute, best_link
from crawlers.spiders.json_ld import json_ld_images
from crawlers.spiders.licences import licence_name
from crawlers.spiders.links import absolute, one_line
from crawlers.spiders.page_content import (
    FetchedPage,
    FoundImage,
    PageContent,
    Rights,
    unique_images,
)
from crawlers.spiders.paging import NumberedPages, next_numbered

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_JSON_LD = "//script[contains(@type, 'application/ld+json')]/text()"
_LICENCE_LINKS = (
    "//a[contains(concat(' ', @rel, ' '), ' license ')]/@href"
    " | //link[contains(concat(' ', @rel, ' '), ' license ')]/@href"
)
_LONGEST_TEXT = 1000


def read_gallery(site: GallerySite, page: FetchedPage) -> PageContent:
    """Return the images of a listing page and its next page, unless the page opts out."""
    content_type = page.headers.get("content-type", "")
    if not _is_html(content_type, page.body):
        return PageContent(cause=Cause.NOT_A_PAGE, detail=one_line(content_type) or None)
    _, text = html_to_unicode(content_type, page.body)
    document = Selector(text=text, type="html")
    refusal = page_refusal(_meta(document), page.robots_name, _answered_at(page))
    if refusal is not None:
        return PageContent(cause=refusal.cause, detail=refusal.detail)
    base = _base(text, page.url)
    images, without_url = _images(site, document, base)
    following = _next_url(site, document, page.url, base, bool(images))
    return PageContent(
        images=images,
        next_urls=() if following is None else (following,),
        without_url=without_url,
    )


def _is_html(content_type: str, body: bytes) -> bool:
    """Say whether this is a page: by its content type, or without one by its first character."""
    if not content_type.strip():
        return body.lstrip()[:1] == b"<"
    return content_type.partition(";")[0].strip().lower() in _HTML_TYPES


def _base(text: str, url: str) -> str:
    """Return what the page's links are relative to; a ``base`` that is no address is none."""
    try:
        return str(get_base_url(text, url))
    except ValueError:
        return url


def _answered_at(page: FetchedPage) -> datetime:
    """Return when the page was sent, by its server's clock; without one every date is over."""
    try:
        return parsedate_to_datetime(page.headers.get("date", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def _meta(document: Selector) -> list[tuple[str, str]]:
    elements = document.xpath("//meta[@name and @content]")
    return [
        (attribute(element, "name") or "", attribute(element, "content") or "")
        for element in elements
    ]


def _images(site: GallerySite, document: Selector, base: str) -> tuple[tuple[FoundImage, ...], int]:
    """Return the images, and how many selected elements have none."""
    described = json_ld_images(document.xpath(_JSON_LD).getall(), base)
    rights = {image.url: image.rights for image in described}
    of_page = _page_rights(document, base)
    found: list[FoundImage] = []
    without_url = 0
    for selector in site.images:
        for element in _selected(document, selector):
            link = _link(element, selector)
            if link is None:
                without_url += 1
                continue
            url = absolute(base, link)
            said = _element_rights(site.rights, element, base)
            found.append(FoundImage(url=url, rights=_filled(said, rights.get(url), of_page)))
    if site.json_ld:
        found += [
            FoundImage(url=image.url, rights=_filled(image.rights, of_page)) for image in described
        ]
    return unique_images(found), without_url


def _selected(document: Selector, selector: ImageSelector | ElementSelector) -> Iterable[Selector]:
    found: Iterable[Selector] = (
        document.css(selector.css)
        if selector.css is not None
        else document.xpath(selector.xpath or "")
    )
    return found


def _link(element: Selector, selector: ImageSelector) -> str | None:
    if selector.attribute is None:
        return best_link(element)
    return attribute(element, selector.attribute)


def _element_rights(rights: ImageRights, element: Selector, base: str) -> Rights:
    """Return the terms that stand at the paths of a sites file; a link is the licence's address."""
    licence = _first_text(element, rights.licence)
    is_link = licence is not None and "/" in licence and " " not in licence
    return Rights(
        licence=licence_name(licence),
        licence_url=absolute(base, licence) if licence is not None and is_link else None,
        author=_first_text(element, rights.author),
        attribution=_first_text(element, rights.attribution),
    )


def _first_text(element: Selector, path: str | None) -> str | None:
    """Return the first text at an XPath: a value as it is, of an element all that is in it."""
    if path is None:
        return None
    for found in element.xpath(path):
        text = found.get() if isinstance(found.root, str) else found.xpath("string()").get()
        if text and (line := one_line(text, _LONGEST_TEXT)):
            return line
    return None


def _page_rights(document: Selector, base: str) -> Rights:
    """Return the licence that the page gives for its content, when it names only one.

    https://html.spec.whatwg.org/multipage/links.html#link-type-license
    """
    links = {absolute(base, link) for link in document.xpath(_LICENCE_LINKS).getall()}
    if len(links) != 1:
        return Rights()
    (link,) = links
    return Rights(licence=licence_name(link), licence_url=link)


def _filled(*said: Rights | None) -> Rights:
    """Return the first terms that say a licence, with author and attribution from wherever said."""
    known = [rights for rights in said if rights is not None]
    terms = next((rights for rights in known if rights.licence or rights.licence_url), Rights())
    return Rights(
        licence=terms.licence,
        licence_url=terms.licence_url,
        author=next((rights.author for rights in known if rights.author), None),
        attribution=next((rights.attribution for rights in known if rights.attribution), None),
    )


def _next_url(
    site: GallerySite, document: Selector, url: str, base: str, has_images: bool
) -> str | None:
    following = site.next_page
    if following is None:
        return None
    if isinstance(following, NumberedPages):
        return next_numbered(following, url) if has_images else None
    links = (attribute(element, following.attribute) for element in _selected(document, following))
    return next((absolute(base, link) for link in links if link), None)
