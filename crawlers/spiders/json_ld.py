"""Images that a page names in JSON-LD with the words of schema.org, and their terms.

https://schema.org/ImageObject: ``contentUrl`` or ``url``, ``license``, ``creator``, ``creditText``,
``copyrightNotice``, ``acquireLicensePage``; and ``image`` of a person, an article or a list's item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from crawlers.spiders.json_text import NotJsonError, parse_json, text_in
from crawlers.spiders.licences import licence_name
from crawlers.spiders.links import absolute
from crawlers.spiders.page_content import FoundImage, Rights, unique_images

_IMAGE_KEYS = frozenset({"image", "photo", "primaryImageOfPage", "associatedMedia"})
# Whose pictures are not of the person: who made, owns or publishes, and small copies.
_OTHERS = frozenset(
    {"author", "brand", "copyrightHolder", "creator", "logo", "publisher", "thumbnail"}
)
_LARGEST_NODES = 20_000
# Longer than what is asked for, so that a cut address never is.
_LONGEST_URL = 10_000


def json_ld_images(scripts: Iterable[str], base: str) -> tuple[FoundImage, ...]:
    """Return the images in the JSON-LD of a page, in its order; what is no JSON is passed over.

    ``scripts`` are the texts of the page's ``application/ld+json``, ``base`` is what its links
    are relative to.
    """
    documents = list(_documents(scripts))
    by_id: dict[str, Mapping[str, Any]] = {}
    for node in _nodes(documents):
        if (name := text_in(node.get("@id"), _LONGEST_URL)) and len(node) > 1:
            by_id.setdefault(name, node)
    return unique_images(
        image for node in _nodes(documents) for image in _images_of(node, by_id, base)
    )


def _documents(scripts: Iterable[str]) -> Iterator[Any]:
    for script in scripts:
        text = script.strip().removeprefix("<!--").removesuffix("-->")
        text = text.removeprefix("//<![CDATA[").removesuffix("//]]>")
        try:
            yield parse_json(text)
        except NotJsonError:
            continue


def _nodes(documents: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield all objects in document order, but for those of other people."""
    left: list[Any] = documents[::-1]
    for _ in range(_LARGEST_NODES):
        if not left:
            return
        value = left.pop()
        if isinstance(value, dict):
            yield value
            left += [inner for key, inner in reversed(value.items()) if key not in _OTHERS]
        elif isinstance(value, list):
            left += reversed(value)


def _images_of(
    node: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]], base: str
) -> Iterator[FoundImage]:
    described = [node] if "ImageObject" in _types(node) else []
    for key, value in node.items():
        if key in _IMAGE_KEYS:
            described += [_dereferenced(one, by_id) for one in _list(value)]
    for one in described:
        if (image := _image_object(one, base)) is not None:
            yield image


def _dereferenced(value: Any, by_id: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return an image's description, which may be its address alone, or its name in the graph."""
    if isinstance(value, str):
        return {"contentUrl": value}
    if not isinstance(value, dict):
        return {}
    name = text_in(value.get("@id"), _LONGEST_URL)
    return by_id.get(name or "", value) if value.keys() == {"@id"} else value


def _image_object(node: Mapping[str, Any], base: str) -> FoundImage | None:
    link = next((url for key in ("contentUrl", "url") for url in _texts(node.get(key))), None)
    if link is None:
        return None
    licence = next(iter(_named(node.get("license"), "@id", "url", "name")), None)
    terms_page = next(iter(_texts(node.get("acquireLicensePage"))), None)
    return FoundImage(
        url=absolute(base, link),
        rights=Rights(
            licence=licence_name(licence),
            licence_url=_address(base, licence) or _address(base, terms_page),
            author=", ".join(_named(node.get("creator") or node.get("author"), "name")) or None,
            attribution=next(
                (one for key in ("creditText", "copyrightNotice") for one in _texts(node.get(key))),
                None,
            ),
        ),
    )


def _address(base: str, text: str | None) -> str | None:
    if text is None or " " in text or not ("/" in text or ":" in text):
        return None
    return absolute(base, text)


def _named(value: Any, *keys: str) -> list[str]:
    """Return the texts of a value, which may be an object: then of its first key that has one."""
    found = []
    for one in _list(value):
        node = one if isinstance(one, dict) else {keys[0]: one}
        found += next((texts for key in keys if (texts := _texts(node.get(key)))), [])
    return found


def _texts(value: Any) -> list[str]:
    return [text for one in _list(value) if (text := text_in(one, _LONGEST_URL))]


def _types(node: Mapping[str, Any]) -> set[str]:
    return {name.rpartition("/")[2] for name in _texts(node.get("@type"))}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
