"""The spiders: one function for each kind of site, from a fetched page to what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from crawlers.sites import Site
from crawlers.spiders.gallery import read_gallery
from crawlers.spiders.json_api import read_json_api
from crawlers.spiders.page_content import FetchedPage, PageContent
from crawlers.spiders.wikimedia import read_wikimedia

READERS: Mapping[str, Callable[[Any, FetchedPage], PageContent]] = MappingProxyType(
    {"gallery": read_gallery, "jsonapi": read_json_api, "wikimedia": read_wikimedia}
)
"""By a site's ``spider``. A URL list has no pages, and no reader."""
ACCEPT: Mapping[str, str] = MappingProxyType(
    {
        "gallery": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.5",
        "jsonapi": "application/json,*/*;q=0.5",
        "wikimedia": "application/json",
    }
)
"""What pages of each kind are asked for as, in the Accept header."""


def read_page(site: Site, page: FetchedPage) -> PageContent:
    """Return what a page of this site holds; pure, and no page makes it raise."""
    return READERS[site.spider](site, page)
