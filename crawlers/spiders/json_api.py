"""The jsonapi spider: answers in JSON, read by the paths of a sites file."""

from __future__ import annotations

from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from crawlers.causes import Cause
from crawlers.spiders.json_api_site import JsonApiSite
from crawlers.spiders.json_text import NotJsonError, parse_json, text_in
from crawlers.spiders.licences import licence_name
from crawlers.spiders.links import absolute
from crawlers.spiders.page_content import (
    FetchedPage,
    FoundImage,
    PageContent,
    Rights,
    unique_images,
)
from crawlers.spiders.paging import NumberedPages, next_numbered, with_parameters

_SHOWN_KEYS = 8


def read_json_api(site: JsonApiSite, page: FetchedPage) -> PageContent:
    """Return the images of one answer, and where the next answer is."""
    try:
        answer = parse_json(page.body)
        items = jmespath.search(site.items, answer)
        if not isinstance(items, list):
            return _unusable(f"no list at {site.items}; the answer {_shape(answer)}")
        found = [_images(site, page.url, item) for item in items]
        following = _next_url(site, page.url, answer, bool(items))
    except NotJsonError as error:
        return _unusable(str(error))
    except JMESPathError as error:
        # A function of the path was given a value of another type than it takes.
        return _unusable(f"a path does not fit the answer: {error}")
    return PageContent(
        images=unique_images(image for images in found for image in images),
        next_urls=() if following is None else (following,),
        without_url=sum(not images for images in found),
    )


def _unusable(detail: str) -> PageContent:
    return PageContent(cause=Cause.NOT_A_PAGE, detail=" ".join(detail.split())[:500])


def _shape(answer: Any) -> str:
    if isinstance(answer, dict):
        return f"has the keys {', '.join(str(key) for key in list(answer)[:_SHOWN_KEYS])}"
    return f"is a {type(answer).__name__}"


def _images(site: JsonApiSite, url: str, item: Any) -> list[FoundImage]:
    links = next((found for path in site.image if (found := _links(path, item))), [])
    page_url = _text(site.page, item)
    rights = _rights(site, item)
    return [
        FoundImage(
            url=absolute(url, link),
            page_url=absolute(url, page_url) if page_url else None,
            rights=rights,
        )
        for link in links
    ]


def _links(path: str, item: Any) -> list[str]:
    value = jmespath.search(path, item)
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and one.strip()]


def _rights(site: JsonApiSite, item: Any) -> Rights:
    licence, licence_url = _text(site.rights.licence, item), _text(site.rights.licence_url, item)
    return Rights(
        licence=licence_name(licence, licence_url),
        licence_url=licence_url,
        author=_text(site.rights.author, item),
        attribution=_text(site.rights.attribution, item),
    )


def _text(path: str | None, item: Any) -> str | None:
    return None if path is None else text_in(jmespath.search(path, item))


def _next_url(site: JsonApiSite, url: str, answer: Any, has_items: bool) -> str | None:
    following = site.next_page
    if following is None or (isinstance(following, NumberedPages) and not has_items):
        return None
    if isinstance(following, NumberedPages):
        return next_numbered(following, url)
    value = _text(following.path, answer)
    if value is None:
        return None
    if following.parameter is None:
        return absolute(url, value)
    return with_parameters(url, {following.parameter: value})
