"""How a crawl's URLs are asked for: with the rules of the site that wishes for them."""

from __future__ import annotations

from crawlers.ledger.rows import Pending
from crawlers.network.answer import Ask
from crawlers.sites import Sites
from crawlers.spiders.readers import ACCEPT

_IMAGES = "image/*,*/*;q=0.5"
_PAGE_BYTES = 16 << 20


class Asks:
    """Makes the requests of a crawl that is cut into so many partitions."""

    def __init__(self, sites: Sites, partitions: int) -> None:
        self._sites = {site.name: site for site in sites.sites}
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
        )
