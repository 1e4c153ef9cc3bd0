"""A small Wikidata and Commons: what is in them, and what their APIs answer, call by call.

The answers have the shapes of ``formatversion=2`` (https://www.mediawiki.org/wiki/API:Query,
API:Imageinfo, API:Categorymembers, API:Search, and Wikibase's wbgetentities): normalised titles,
redirects, missing pages, continuation, limits and errors, as the real ones give them with status
200.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import quote

MOST_VALUES = 50
MOST_LISTED = 500
_FILE = "File:"
_LISTS = {
    "categorymembers": ("cmlimit", "cmcontinue", "file|"),
    "search": ("srlimit", "sroffset", ""),
}

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WikiFile:
    """A file: ``facts`` are its ``extmetadata``, in HTML; a deleted one has a page no more."""

    title: str
    page_id: int
    body: bytes
    mime: str = "image/jpeg"
    width: int = 640
    height: int = 480
    facts: Mapping[str, str] = field(default_factory=dict)
    depicts: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    is_deleted: bool = False
    is_hidden: bool = False

    @property
    def path(self) -> str:
        """Where its bytes are below the server's root."""
        return f"/images/{quote(self.title.removeprefix(_FILE).replace(' ', '_'))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WikiItem:
    """A person: ``images`` (P18) are file names, ``category`` (P373) is one without its prefix;
    ``linked_category`` is the Commons page that the item links."""

    item_id: str
    images: tuple[str, ...] = ()
    deprecated_images: tuple[str, ...] = ()
    category: str | None = None
    linked_category: str | None = None
    redirects_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiki:
    """Both wikis. An answer lists at most ``page_size`` members and describes ``info_size`` files,
    however many were asked for, and says how to go on."""

    files: Sequence[WikiFile]
    items: Sequence[WikiItem] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    subcategories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    page_size: int = MOST_LISTED
    info_size: int = MOST_VALUES

    def wikidata(self, parameters: Mapping[str, str]) -> Answer:
        """Answer a call of Wikidata's API."""
        if parameters.get("action") != "wbgetentities":
            return _error("badvalue", 'Unrecognized value for parameter "action".')
        asked = parameters.get("ids", "").split("|")
        items = {item.item_id: item for item in self.items}
        if bad := [one for one in asked if not _is_item_id(one)]:
            return _error("no-such-entity", f'Could not find an entity with the ID "{bad[0]}".')
        return {"entities": {one: _entity(one, items) for one in asked}, "success": 1}

    def commons(self, parameters: Mapping[str, str], root: str) -> Answer:
        """Answer a call of Commons' API; ``root`` is the address that images are below."""
        if parameters.get("list") == "categorymembers":
            return self._category(parameters)
        if parameters.get("list") == "search":
            return self._search(parameters)
        if parameters.get("prop") == "imageinfo":
            return self._imageinfo(parameters, root)
        return _error("badvalue", 'Unrecognized value for parameter "list" or "prop".')

    def _category(self, parameters: Mapping[str, str]) -> Answer:
        title = parameters.get("cmtitle", "")
        members = [
            {"pageid": one.page_id, "ns": 6, "title": one.title, "type": "file"}
            for one in self.files
            if title.removeprefix("Category:") in one.categories
        ]
        if "subcat" in parameters.get("cmtype", "").split("|"):
            members += [
                {"pageid": 0, "ns": 14, "title": below, "type": "subcat"}
                for below in self.subcategories.get(title, ())
            ]
        return self._listed("categorymembers", members, parameters)

    def _search(self, parameters: Mapping[str, str]) -> Answer:
        wanted = parameters.get("srsearch", "").removeprefix("haswbstatement:").split("|")
        ids = {one.removeprefix("P180=") for one in wanted}
        found = [
            {"ns": 6, "title": one.title, "pageid": one.page_id}
            for one in self.files
            if ids & set(one.depicts)
        ]
        return self._listed("search", found, parameters)

    def _listed(self, name: str, rows: list[Answer], parameters: Mapping[str, str]) -> Answer:
        limit_key, continue_key, mark = _LISTS[name]
        limit = int(parameters.get(limit_key, "10"))
        start = int(parameters.get(continue_key, "0").removeprefix(mark))
        end = start + min(limit, self.page_size, MOST_LISTED)
        answer: Answer = {"query": {name: rows[start:end]}}
        if limit > MOST_LISTED:
            said = f'"{limit_key}" may not be over {MOST_LISTED} (set to {limit}) for users.'
            answer["warnings"] = {name: {"warnings": said}}
        if end < len(rows):
            answer["continue"] = {continue_key: f"{mark}{end}" if mark else end, "continue": "-||"}
        else:
            answer["batchcomplete"] = True
        if "requestid" in parameters:
            answer["requestid"] = parameters["requestid"]
        return answer

    def _imageinfo(self, parameters: Mapping[str, str], root: str) -> Answer:
        by_id = "pageids" in parameters
        asked = parameters.get("pageids" if by_id else "titles", "").split("|")
        if len(asked) > MOST_VALUES:
            name = "pageids" if by_id else "titles"
            said = f'Too many values supplied for parameter "{name}". The limit is {MOST_VALUES}.'
            return _error("toomanyvalues", said)
        query: Answer = {"pages": []}
        found = self._by_id(asked) if by_id else self._by_title(asked, query)
        files = {one.page_id: one for one in self.files if not one.is_deleted}
        described = sorted({page["pageid"] for page in found if page.get("pageid") in files})
        start = parameters.get("iicontinue")
        left = [one for one in described if start is None or one >= int(start)]
        now = set(islice(left, self.info_size))
        width = int(parameters["iiurlwidth"]) if "iiurlwidth" in parameters else None
        for page in found:
            if page.get("pageid") in now:
                page["imageinfo"] = [_info(files[page["pageid"]], root, width)]
            query["pages"].append(page)
        if len(left) > len(now):
            following = {"iicontinue": str(left[len(now)]), "continue": "||"}
            return {"continue": following, "query": query}
        return {"batchcomplete": True, "query": query}

    def _by_id(self, asked: Sequence[str]) -> list[Answer]:
        files = {str(one.page_id): one for one in self.files if not one.is_deleted}
        return [
            _page(files[one]) if one in files else {"pageid": int(one), "missing": True}
            for one in dict.fromkeys(asked)
        ]

    def _by_title(self, asked: Sequence[str], query: Answer) -> list[Answer]:
        """Return the pages; what was normalised or redirected is said in ``query``."""
        files = {one.title: one for one in self.files if not one.is_deleted}
        found: dict[str, Answer] = {}
        for one in asked:
            title = _normal(one)
            if title != one:
                query.setdefault("normalized", []).append({"from": one, "to": title})
            if title in self.renamed:
                query.setdefault("redirects", []).append({"from": title, "to": self.renamed[title]})
                title = self.renamed[title]
            missing = {"ns": 6, "title": title, "missing": True, "imagerepository": ""}
            found[title] = _page(files[title]) if title in files else missing
        return list(found.values())


def _entity(asked: str, items: Mapping[str, WikiItem]) -> Answer:
    item = items.get(asked)
    if item is None:
        return {"id": asked, "missing": ""}
    entity: Answer = {}
    if item.redirects_to is not None:
        entity["redirects"] = {"from": asked, "to": item.redirects_to}
        item = items[item.redirects_to]
    claims: Answer = {}
    if item.images or item.deprecated_images:
        claims["P18"] = [_claim("P18", one, "normal") for one in item.images]
        claims["P18"] += [_claim("P18", one, "deprecated") for one in item.deprecated_images]
    if item.category is not None:
        claims["P373"] = [_claim("P373", item.category, "normal")]
    entity |= {"type": "item", "id": item.item_id, "claims": claims, "sitelinks": {}}
    if item.linked_category is not None:
        link = {"site": "commonswiki", "title": item.linked_category, "badges": []}
        entity["sitelinks"]["commonswiki"] = link
    return entity


def _claim(name: str, value: str, rank: str) -> Answer:
    snak = {
        "snaktype": "value",
        "property": name,
        "datavalue": {"value": value, "type": "string"},
        "datatype": "commonsMedia" if name == "P18" else "string",
    }
    return {"mainsnak": snak, "type": "statement", "rank": rank}


def _page(file: WikiFile) -> Answer:
    return {"pageid": file.page_id, "ns": 6, "title": file.title, "imagerepository": "local"}


def _info(file: WikiFile, root: str, width: int | None) -> Answer:
    if file.is_hidden:
        return {"filehidden": True}
    info: Answer = {
        "user": "Uploader",
        "size": len(file.body),
        "width": file.width,
        "height": file.height,
        "url": root + file.path,
        "descriptionurl": f"{root}/wiki/{quote(file.title.replace(' ', '_'), safe=':')}",
        "sha1": hashlib.sha1(file.body, usedforsecurity=False).hexdigest(),
        "mime": file.mime,
        "extmetadata": {
            name: {"value": value, "source": "commons-desc-page", "hidden": ""}
            for name, value in file.facts.items()
        },
    }
    if width is not None:
        scaled = width < file.width
        info["thumburl"] = f"{root}/thumb{file.path}/{width}px" if scaled else info["url"]
        info["thumbwidth"] = min(width, file.width)
    return info


def _normal(title: str) -> str:
    """Return a title as MediaWiki writes it: spaces, and a capital first letter."""
    name = title.removeprefix(_FILE).replace("_", " ").strip()
    return f"{_FILE}{name[:1].upper()}{name[1:]}"


def _is_item_id(text: str) -> bool:
    return text[:1] == "Q" and text[1:].isdecimal() and text[1:2] != "0"


def _error(code: str, info: str) -> Answer:
    return {"error": {"code": code, "info": info, "docref": "See the API's help for usage."}}
