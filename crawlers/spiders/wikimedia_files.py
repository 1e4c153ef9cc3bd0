"""Files as the Commons API describes them: their addresses, and under what terms they stand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w3lib.html import remove_tags, remove_tags_with_content, replace_entities

from crawlers.spiders.json_text import text_in
from crawlers.spiders.licences import known_licence, licence_name
from crawlers.spiders.links import absolute, one_line
from crawlers.spiders.page_content import FoundImage, Rights, unique_images

_NO_PHOTOS = frozenset({"image/svg+xml", "image/vnd.djvu", "image/x-xcf"})
_LONGEST_HTML = 20_000
_LONGEST_TEXT = 1000
# Longer than what is asked for, so that a cut address never is.
_LONGEST_URL = 10_000
_BREAKS = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|td|th|dd|dt)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The photos of one answer, and by what they were left out; ``restrictions`` are counted."""

    images: tuple[FoundImage, ...]
    left_out: Mapping[str, int]
    restrictions: Mapping[str, int]

    def detail(self) -> str | None:
        """What a page's record says beside the images, ``None`` when there is nothing to say."""
        said = [f"{count} {what}" for what, count in sorted(self.left_out.items())]
        said += [
            f"restrictions {what}: {count}" for what, count in sorted(self.restrictions.items())
        ]
        return "; ".join(said) or None


def read_files(pages: Sequence[Any], *, is_first: bool) -> Files:
    """Return the photos among the pages of an answer to ``prop=imageinfo``.

    Every answer of a call that is continued lists all pages, and each file in only one of them:
    what is missing is counted with the first.
    """
    images: list[FoundImage] = []
    left_out: Counter[str] = Counter()
    restrictions: Counter[str] = Counter()
    for page in pages:
        described = page if isinstance(page, dict) else {}
        info = next(iter(_list(described.get("imageinfo"))), None)
        why = _why_not(described, info)
        if why is not None:
            left_out[why] += is_first or info is not None
        elif isinstance(info, dict):
            images.append(_image(described, info))
            restrictions.update(_fact(info, "Restrictions").split("|"))
    restrictions.pop("", None)
    return Files(images=unique_images(images), left_out=+left_out, restrictions=restrictions)


def _why_not(page: Mapping[str, Any], info: Any) -> str | None:
    """Return why a page gives no photo, ``None`` when it does, or does in another answer."""
    if "missing" in page or "invalid" in page:
        return "deleted or never there"
    if info is None:
        return None
    if not isinstance(info, dict) or info.get("filemissing") or not text_in(info.get("url")):
        return "hidden or lost"
    mime = text_in(info.get("mime")) or ""
    if not mime.startswith("image/") or mime in _NO_PHOTOS:
        return f"no photo ({mime or 'of unknown type'})"
    return None


def _image(page: Mapping[str, Any], info: Mapping[str, Any]) -> FoundImage:
    original = text_in(info.get("url"), _LONGEST_URL) or ""
    page_url = text_in(info.get("descriptionurl"), _LONGEST_URL)
    return FoundImage(
        # Scaled by the server when a width was asked for; never larger than the original.
        url=absolute(original, text_in(info.get("thumburl"), _LONGEST_URL) or original),
        page_url=page_url,
        rights=_rights(page, info, page_url),
    )


def _rights(page: Mapping[str, Any], info: Mapping[str, Any], page_url: str | None) -> Rights:
    short = _fact(info, "LicenseShortName")
    licence_url = _fact(info, "LicenseUrl") or None
    author = _fact(info, "Artist") or None
    title = (text_in(page.get("title")) or "").partition(":")[2]
    line = [title, author, short or _fact(info, "UsageTerms"), page_url]
    return Rights(
        licence=_licence(info, short, licence_url),
        licence_url=f"https:{licence_url}" if (licence_url or "").startswith("//") else licence_url,
        author=author,
        attribution=_fact(info, "Attribution") or ", ".join(filter(None, line)) or None,
    )


def _licence(info: Mapping[str, Any], short: str, licence_url: str | None) -> str | None:
    """Return the licence's name; what a wiki keeps as unfree is so whatever else it says."""
    if _fact(info, "NonFree").lower() == "true":
        return "fair-use" if known_licence(short) == "fair-use" else "non-free"
    return licence_name(short, _fact(info, "License"), licence_url, _fact(info, "UsageTerms"))


def _fact(info: Mapping[str, Any], name: str) -> str:
    """Return a value of ``extmetadata`` as plain text; it comes as HTML."""
    facts = info.get("extmetadata")
    fact = facts.get(name) if isinstance(facts, dict) else None
    value = fact.get("value") if isinstance(fact, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return _plain(text_in(value, _LONGEST_HTML) or "")


def _plain(html: str) -> str:
    if "<" in html:
        html = remove_tags_with_content(html, which_ones=("style", "script"))
        html = remove_tags(_BREAKS.sub(" ", html))
    return one_line(replace_entities(html), _LONGEST_TEXT)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
