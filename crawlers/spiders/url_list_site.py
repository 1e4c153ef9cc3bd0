"""The addresses of a URL list as a site: any host, gently treated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from crawlers.spiders.site_keys import SiteKeys, entry_matches, host_and_port, is_host_entry


class UrlListSite(SiteKeys):
    """Images by address, on any public host; ``private_hosts`` may have other addresses."""

    spider: Literal["urllist"] = "urllist"
    allowed_hosts: Annotated[tuple[str, ...], Field(strict=False)] = ()
    private_hosts: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @field_validator("private_hosts")
    @classmethod
    def _private_hosts_are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not is_host_entry(entry):
                raise ValueError(f"{entry!r} is not a host or host:port")
        return value

    def allows(self, url: str) -> bool:
        """Say whether this is an http(s) URL: a list may name any host."""
        return host_and_port(url) is not None

    def allows_host(self, host: str, port: int) -> bool:
        """Say yes: a list may name any host."""
        del host, port
        return True

    def allows_private(self, host: str, port: int) -> bool:
        """Say whether this host may have an address that is not public."""
        return any(entry_matches(entry, host, port) for entry in self.private_hosts)
