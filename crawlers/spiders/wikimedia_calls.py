"""Calls of the Wikidata and Commons APIs, each with all that it needs in its address.

https://www.mediawiki.org/wiki/API:Etiquette: as much as possible in one call, ``maxlag`` so that
a busy server may say so. How many subcategories deep a listing still goes stands in ``requestid``,
which the API only repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import parse_qsl, urlencode, urlsplit

BATCH = 50
"""Most files in one call, by the API's own limit."""
_LIST_LIMIT = "500"
_DEPTH = "depth-"
_COMMON = {"format": "json", "formatversion": "2", "maxlag": "5"}
_FACTS = (
    "Artist|Attribution|Copyrighted|License|LicenseShortName|LicenseUrl|NonFree|Restrictions"
    "|UsageTerms"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Apis:
    """The addresses of the two ``api.php``."""

    wikidata: str
    commons: str


def entity_call(apis: Apis, wikidata_id: str) -> str:
    """Return the call for a person's item; the id is put in as it is: it may be a placeholder."""
    parameters = {
        "action": "wbgetentities",
        "props": "claims|sitelinks",
        "sitefilter": "commonswiki",
        "redirects": "yes",
    }
    return f"{_call(apis.wikidata, parameters)}&ids={wikidata_id}"


def category_call(apis: Apis, title: str, depth: int) -> str:
    """Return the call for the files of a category, with its subcategories when depth is left."""
    parameters = {
        "action": "query",
        "list": "categorymembers",
        "cmtitle": title,
        "cmtype": "file|subcat" if depth else "file",
        "cmprop": "ids|title|type",
        "cmlimit": _LIST_LIMIT,
        "requestid": f"{_DEPTH}{depth}",
    }
    return _call(apis.commons, parameters)


def depicts_call(apis: Apis, wikidata_ids: Iterable[str]) -> str:
    """Return the call for the files that say they depict an item under any of its ids."""
    parameters = {
        "action": "query",
        "list": "search",
        "srsearch": "haswbstatement:" + "|".join(f"P180={one}" for one in wikidata_ids),
        "srnamespace": "6",
        "srlimit": _LIST_LIMIT,
        "srprop": "",
        "srinfo": "",
    }
    return _call(apis.commons, parameters)


def file_calls(apis: Apis, files: Mapping[str, Iterable[str]], width: int | None) -> Iterator[str]:
    """Yield calls for the addresses and terms of files, 50 at a time.

    ``files`` maps ``titles`` or ``pageids`` to the files named so. Titles may be long, so lists
    are asked about by number.
    """
    parameters = {
        "action": "query",
        "prop": "imageinfo",
        "iiprop": "url|size|mime|sha1|user|extmetadata",
        "iiextmetadatafilter": _FACTS,
        "iiextmetadatalanguage": "en",
        "redirects": "1",
    }
    if width is not None:
        parameters["iiurlwidth"] = str(width)
    for name, ones in files.items():
        rest = iter(ones)
        while batch := list(islice(rest, BATCH)):
            yield _call(apis.commons, {**parameters, name: "|".join(batch)})


def parameters_of(url: str) -> dict[str, str]:
    """Return the parameters of a call."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def depth_of(parameters: Mapping[str, str]) -> int:
    """Return how many subcategories deep a category's listing still goes."""
    digits = parameters.get("requestid", "").removeprefix(_DEPTH)
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def continued(url: str, following: Mapping[str, object]) -> str:
    """Return the call that goes on where an answer's ``continue`` says."""
    parameters = parameters_of(url) | {name: str(value) for name, value in following.items()}
    return f"{url.partition('?')[0]}?{urlencode(parameters)}"


def _call(endpoint: str, parameters: Mapping[str, str]) -> str:
    return f"{endpoint}?{urlencode({**_COMMON, **parameters})}"
