"""The wikimedia spider: what the Wikidata and Commons APIs answer, one function for each call.

A person's item leads to the file that is its image, to its Commons category and to a search for
files that depict it; lists lead on by their ``continue``, and to calls for the files' addresses and
terms. Shapes as of ``formatversion=2``: https://www.mediawiki.org/wiki/API:Query.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from crawlers.causes import Cause
from crawlers.spiders.json_text import NotJsonError, parse_json, text_in
from crawlers.spiders.links import one_line
from crawlers.spiders.page_content import FetchedPage, PageContent
from crawlers.spiders.wikimedia_calls import (
    category_call,
    continued,
    depicts_call,
    depth_of,
    file_calls,
    parameters_of,
)
from crawlers.spiders.wikimedia_files import read_files
from crawlers.spiders.wikimedia_site import WikimediaSite

_BUSY = frozenset({"maxlag", "ratelimited"})
_BUSY_WAIT_S = 5.0
_LONGEST_WAIT_S = 3600.0
_ITEM_ID = re.compile(r"Q[1-9][0-9]*")
_CATEGORY = "Category:"

_Answer = Mapping[str, Any]


def read_wikimedia(site: WikimediaSite, page: FetchedPage) -> PageContent:
    """Return what one answer holds: files with their terms, and the calls that follow."""
    try:
        answer = parse_json(page.body)
    except NotJsonError as error:
        return _unusable(str(error))
    if not isinstance(answer, dict):
        return _unusable(f"the answer is a {type(answer).__name__}")
    if (problem := answer.get("error")) is not None:
        return _read_error(problem, page)
    parameters = parameters_of(page.url)
    for name, value, read in _CALLS:
        if parameters.get(name) == value:
            return _with_warnings(read(site, page.url, answer), answer)
    return _unusable("no call of this spider")


def _read_entity(site: WikimediaSite, url: str, answer: _Answer) -> PageContent:
    asked = parameters_of(url).get("ids", "")
    entities = _dict(answer.get("entities"))
    entity = _dict(entities.get(asked) or next(iter(entities.values()), None))
    found = text_in(entity.get("id"))
    if found is None or not _ITEM_ID.fullmatch(found) or "missing" in entity:
        return _unusable(f"no item {one_line(asked, 40)} on Wikidata")
    claims = _dict(entity.get("claims"))
    calls = list(_calls_of_claims(site, claims, _category_title(entity, claims)))
    # Files may still name the id that the item had before it was merged into another.
    ids = dict.fromkeys([found, asked] if _ITEM_ID.fullmatch(asked) else [found])
    return PageContent(next_urls=(*calls, depicts_call(site.apis, ids)))


def _calls_of_claims(site: WikimediaSite, claims: _Answer, category: str | None) -> list[str]:
    titles = [f"File:{name}" for name in _values(claims, "P18")]
    calls = list(file_calls(site.apis, {"titles": titles}, site.width))
    if category is not None:
        calls.append(category_call(site.apis, category, site.depth))
    return calls


def _category_title(entity: _Answer, claims: _Answer) -> str | None:
    """Return the person's category on Commons: as stated (P373), or as linked."""
    stated = next(iter(_values(claims, "P373")), None)
    if stated is not None:
        return f"{_CATEGORY}{stated.removeprefix(_CATEGORY)}"
    linked = text_in(_dict(_dict(entity.get("sitelinks")).get("commonswiki")).get("title"))
    return linked if linked and linked.startswith(_CATEGORY) else None


def _values(claims: _Answer, name: str) -> list[str]:
    """Return the text values of a property, deprecated statements left out."""
    found = []
    for claim in _list(claims.get(name)):
        snak = _dict(_dict(claim).get("mainsnak"))
        text = text_in(_dict(snak.get("datavalue")).get("value"))
        if _dict(claim).get("rank") != "deprecated" and snak.get("snaktype") == "value" and text:
            found.append(text)
    return list(dict.fromkeys(found))


def _read_category(site: WikimediaSite, url: str, answer: _Answer) -> PageContent:
    members = [_dict(one) for one in _list(_query(answer).get("categorymembers"))]
    depth = depth_of(parameters_of(url))
    below = [
        category_call(site.apis, title, depth - 1)
        for one in members
        if depth and one.get("type") == "subcat" and (title := text_in(one.get("title")))
    ]
    files = [one for one in members if one.get("type", "file") == "file"]
    return _listing(site, url, answer, files, below)


def _read_search(site: WikimediaSite, url: str, answer: _Answer) -> PageContent:
    files = [_dict(one) for one in _list(_query(answer).get("search"))]
    return _listing(site, url, answer, files, [])


def _listing(
    site: WikimediaSite, url: str, answer: _Answer, files: list[_Answer], below: list[str]
) -> PageContent:
    ids = [text for one in files if (text := text_in(one.get("pageid")))]
    calls = file_calls(site.apis, {"pageids": dict.fromkeys(ids)}, site.width)
    return PageContent(
        next_urls=(*calls, *below, *_continuation(url, answer)), without_url=len(files) - len(ids)
    )


def _read_imageinfo(site: WikimediaSite, url: str, answer: _Answer) -> PageContent:
    del site
    is_first = "iicontinue" not in parameters_of(url)
    found = read_files(_list(_query(answer).get("pages")), is_first=is_first)
    return PageContent(
        images=found.images,
        next_urls=_continuation(url, answer),
        without_url=sum(found.left_out.values()),
        detail=found.detail(),
    )


def _continuation(url: str, answer: _Answer) -> tuple[str, ...]:
    following = answer.get("continue")
    return (continued(url, following),) if isinstance(following, dict) and following else ()


def _read_error(problem: Any, page: FetchedPage) -> PageContent:
    """An error comes with status 200; a busy server says when to ask again."""
    error = _dict(problem)
    code = text_in(error.get("code")) or "unknown"
    detail = f"API error {code}: {one_line(error.get('info', problem))}"
    if code not in _BUSY:
        return _unusable(detail)
    wait_s = _seconds(page.headers.get("retry-after")) or _seconds(error.get("lag"))
    return PageContent(
        detail=detail, retry_after_s=min(max(wait_s or 0.0, _BUSY_WAIT_S), _LONGEST_WAIT_S)
    )


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 < seconds < float("inf") else None


def _with_warnings(content: PageContent, answer: _Answer) -> PageContent:
    said = [
        f"API warning {module}: {one_line(_dict(warning).get('warnings', warning))}"
        for module, warning in _dict(answer.get("warnings")).items()
    ]
    return replace(content, detail="; ".join(filter(None, [content.detail, *said])) or None)


def _unusable(detail: str) -> PageContent:
    return PageContent(cause=Cause.NOT_A_PAGE, detail=detail)


def _query(answer: _Answer) -> _Answer:
    return _dict(answer.get("query"))


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_CALLS: tuple[tuple[str, str, Callable[[WikimediaSite, str, _Answer], PageContent]], ...] = (
    ("action", "wbgetentities", _read_entity),
    ("list", "categorymembers", _read_category),
    ("list", "search", _read_search),
    ("prop", "imageinfo", _read_imageinfo),
)
