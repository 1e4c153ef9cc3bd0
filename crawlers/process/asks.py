"""How a crawl's URLs are asked for: with the rules of the site that wishes for them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from crawlers.ledger.rows import Pending
from crawlers.network.answer import Ask
from crawlers.sites import Site, Sites
from crawlers.spiders.json_api_site import JsonApiSite
from crawlers.spiders.readers import ACCEPT

_IMAGES = "image/*,*/*;q=0.5"
_PAGE_BYTES = 16 << 20


class Asks:
    """Makes the requests of a crawl that is cut into so many partitions.

    Raises:
        RequestError: when the environment lacks the key of an interface.
    """

    def __init__(self, sites: Sites, partitions: int) -> None:
        self._sites = {site.name: site for site in sites.sites}
        self._secrets = {
            site.name: {site.api_key.header: site.api_key.value(os.environ)}
            for site in sites.sites
            if isinstance(site, JsonApiSite) and site.api_key is not None
        }
        self._rules = {site.name: site.fetch_rules(partitions) for site in sites.sites}

    def of(self, pending: Pending) -> Ask:
        """Return the request for a page or an image."""
        site = self._sites[pending.site]
        return Ask(
            url=pending.url,
            rules=self._rules[pending.site],
            max_bytes=_PAGE_BYTES if pending.is_page else site.max_image_bytes,
            accept=ACCEPT[site.spider] if pending.is_page else _IMAGES,
            referrer=pending.page_url,
            validators=pending.validators,
            secrets=self._secrets_of(pending, site),
        )

    def _secrets_of(self, pending: Pending, site: Site) -> Mapping[str, str]:
        if pending.is_page and isinstance(site, JsonApiSite) and site.has_key(pending.url):
            return self._secrets[site.name]
        return {}
