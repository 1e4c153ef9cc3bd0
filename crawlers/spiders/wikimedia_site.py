"""Wikimedia Commons, asked through its API for the photos of people on Wikidata.

.. code-block:: yaml

    - name: commons
      spider: wikimedia                      # the identity list has a column wikidata: Q42
      width: 1280                            # scaled to at most so many pixels; else the original
      depth: 0                               # subcategories followed below a person's category
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from crawlers.spiders.site_keys import SiteKeys
from crawlers.spiders.wikimedia_calls import Apis, entity_call

_IMAGE_HOST = "upload.wikimedia.org"
WIKIDATA_URL = "https://www.wikidata.org/w/api.php"
COMMONS_URL = "https://commons.wikimedia.org/w/api.php"


class WikimediaSite(SiteKeys):
    """Photos of a person: the item's image, its Commons category, and files that depict it."""

    spider: Literal["wikimedia"] = "wikimedia"
    allowed_hosts: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    wikidata_url: str = WIKIDATA_URL
    commons_url: str = COMMONS_URL
    column: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "wikidata"
    """The column of the identity list that has the person's Wikidata id."""
    width: Annotated[int, Field(ge=64, le=10_000)] | None = None
    depth: Annotated[int, Field(ge=0, le=5)] = 0
    concurrency: Annotated[int, Field(ge=1, le=64)] = 1
    """Wikimedia asks for one call after the other."""

    @model_validator(mode="before")
    @classmethod
    def _hosts_from_endpoints(cls, value: Any) -> Any:
        """Without ``allowed_hosts``: the two endpoints' hosts, and Wikimedia's images."""
        if not isinstance(value, dict) or "allowed_hosts" in value:
            return value
        endpoints = (value.get("wikidata_url", WIKIDATA_URL), value.get("commons_url", COMMONS_URL))
        hosts = [urlsplit(url).netloc for url in endpoints if isinstance(url, str)]
        return value | {"allowed_hosts": tuple(dict.fromkeys([*hosts, _IMAGE_HOST]))}

    @field_validator("wikidata_url", "commons_url")
    @classmethod
    def _is_an_endpoint(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and a host")
        if parts.query or parts.fragment or "{" in value:
            raise ValueError("must be the address of an api.php, without parameters")
        return value

    @model_validator(mode="after")
    def _endpoints_are_allowed(self) -> Self:
        self.check_start(self.wikidata_url, "wikidata_url")
        self.check_start(self.commons_url, "commons_url")
        return self

    @property
    def apis(self) -> Apis:
        """The two endpoints."""
        return Apis(wikidata=self.wikidata_url, commons=self.commons_url)

    @property
    def start_url(self) -> str:
        """The first call for a person, with a placeholder for the Wikidata id."""
        return entity_call(self.apis, f"{{{self.column}}}")

    def is_api(self, url: str) -> bool:
        """Say whether ``url`` is a call of one of the two endpoints."""
        return url.partition("?")[0] in {self.wikidata_url, self.commons_url}
