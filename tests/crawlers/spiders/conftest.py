"""Pages as they are fetched, and sites as they are described."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crawlers.sites import Site, Sites
from crawlers.spiders.page_content import FetchedPage


@pytest.fixture
def described() -> Callable[..., Site]:
    """Make a site of a kind from the keys of a sites file."""

    def make(spider: str, **keys: Any) -> Site:
        common: dict[str, Any] = {"name": "site", "spider": spider}
        if spider != "wikimedia":
            common |= {
                "start_url": "https://example.org/people/{slug}",
                "allowed_hosts": ["example.org"],
            }
        content = {"contact": "mailto:team@example.org", "sites": [common | keys]}
        return Sites.model_validate(content).sites[0]

    return make


@pytest.fixture
def html() -> Callable[..., FetchedPage]:
    """Make a page of HTML at https://example.org/people/ada."""

    def make(
        text: str | bytes, url: str = "https://example.org/people/ada", **headers: str
    ) -> FetchedPage:
        fields = {"content-type": "text/html; charset=utf-8"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        body = text if isinstance(text, bytes) else text.encode()
        return FetchedPage(url=url, body=body, headers=fields)

    return make
