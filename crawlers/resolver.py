"""Name resolution that hides addresses a crawler may not connect to.

Every connection of the child process, robots.txt and redirects included, goes to an address that
this resolver handed out, so the check is of the very address that is used, not of an earlier
look-up. Twisted's types go no further than the crawler's child process.
"""

from __future__ import annotations

from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.resolver import CachingHostnameResolver
from twisted.internet.base import ReactorBase
from twisted.internet.interfaces import IResolutionReceiver
from zope.interface import implementer  # type: ignore[import-untyped]

from crawlers.network.addresses import is_public
from crawlers.sites import Sites

SITES_SETTING = "WINNOW_SITES"


class PublicResolver(CachingHostnameResolver):  # type: ignore[misc]
    """Resolves IPv4 and IPv6 names to public addresses; to any for sites that allow it.

    ``refused_hosts`` are the names that had addresses, none of which was public.
    """

    def __init__(self, reactor: ReactorBase, cache_size: int, sites: Sites) -> None:
        super().__init__(reactor, cache_size)
        self._private_sites = [site for site in sites.sites if site.allow_private]
        self.refused_hosts: set[str] = set()

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: ReactorBase) -> Self:
        """Build from the process settings: the sites travel in ``WINNOW_SITES``."""
        settings = crawler.settings
        return cls(reactor, settings.getint("DNSCACHE_SIZE"), settings[SITES_SETTING])

    def resolveHostName(  # noqa: N802
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        **kinds: Any,
    ) -> Any:
        """Resolve as the base class does (the names are Twisted's), less what may not be used."""
        receiver = resolutionReceiver
        if not any(site.allows_host(hostName, portNumber) for site in self._private_sites):
            receiver = _PublicOnly(receiver, hostName, self.refused_hosts)
        return super().resolveHostName(receiver, hostName, portNumber, **kinds)


@implementer(IResolutionReceiver)
class _PublicOnly:
    """Passes public addresses on and notes the host when there was nothing else."""

    def __init__(self, receiver: Any, host: str, refused_hosts: set[str]) -> None:
        self._receiver = receiver
        self._host = host
        self._refused_hosts = refused_hosts
        self._passed = self._held_back = 0

    def resolutionBegan(self, resolution: Any) -> None:  # noqa: N802
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: Any) -> None:  # noqa: N802
        if is_public(address.host):
            self._passed += 1
            self._receiver.addressResolved(address)
        else:
            self._held_back += 1

    def resolutionComplete(self) -> None:  # noqa: N802
        if self._held_back and not self._passed:
            self._refused_hosts.add(self._host)
        self._receiver.resolutionComplete()


def was_refused(host: str) -> bool:
    """Say whether this process refused to connect to ``host`` for its address."""
    # Importing the reactor installs one, so it must wait until Scrapy has chosen.
    from twisted.internet import reactor

    resolver = reactor.nameResolver
    return isinstance(resolver, PublicResolver) and host in resolver.refused_hosts
