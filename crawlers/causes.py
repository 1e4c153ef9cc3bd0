"""Why a page or an image was not fetched: the only words in which the crawl ledger says so."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """The cause of a failure; each failed URL has exactly one."""

    # Decided before asking the site: no request is made.
    BAD_URL = "bad_url"
    """Not a URL that can be asked for."""
    UNSUPPORTED_SCHEME = "unsupported_scheme"
    """Neither http nor https, such as ``data:`` or ``file:``."""
    OFF_SITE = "off_site"
    """The link leads outside ``allowed_hosts``."""
    PAGE_LIMIT = "page_limit"
    """A next page beyond ``max_pages``."""
    NOT_LISTED = "not_listed"
    """For a person who is not on the identity list, or no longer on the list it came from."""
    LICENCE_REFUSED = "licence_refused"
    """Its licence is not among the recipe's ``licences``, or it says none."""
    ROBOTS_FORBIDDEN = "robots_forbidden"
    """The site's robots.txt forbids it, or could not be had."""
    HOST_DOWN = "host_down"
    """The host failed so often in a row that it is no longer asked."""

    # Met while connecting.
    PRIVATE_ADDRESS = "private_address"
    """The host's address is private, loopback or otherwise not public."""
    UNKNOWN_HOST = "unknown_host"
    """The host's name has no address."""
    CONNECTION_FAILED = "connection_failed"
    """Refused or lost, or the certificate is not valid."""
    TIMEOUT = "timeout"
    """No whole answer within ``timeout_s``."""
    UNEXPECTED = "unexpected"
    """An error that nobody foresaw; the row's ``detail`` names it."""

    # Said by the answer.
    NOT_FOUND = "not_found"
    """Status 404 or 410."""
    REFUSED = "refused"
    """Status 401, 403 or 451."""
    RATE_LIMITED = "rate_limited"
    """Status 429, also after the retries."""
    HTTP_ERROR = "http_error"
    """Another status that is no success, 5xx also after the retries."""
    OPTED_OUT = "opted_out"
    """``noai``, ``noimageai`` or ``noindex`` in an X-Robots-Tag header or a page's meta element."""
    TDM_RESERVED = "tdm_reserved"
    """Text and data mining is reserved, by header or ``/.well-known/tdmrep.json``."""
    BAD_REDIRECT = "bad_redirect"
    """A redirect without a usable target."""
    REDIRECT_OFF_SITE = "redirect_off_site"
    """A redirect that leads outside ``allowed_hosts``; it is not followed."""
    TOO_MANY_REDIRECTS = "too_many_redirects"
    """More redirects than ``max_redirects``."""

    # Found in the body.
    TRUNCATED = "truncated"
    """The body ended before its announced length."""
    TOO_LARGE = "too_large"
    """More bytes than ``max_image_bytes``."""
    EMPTY = "empty"
    """No bytes."""
    TOO_MANY_PIXELS = "too_many_pixels"
    """The image's header announces more pixels than are ever decoded."""
    NOT_AN_IMAGE = "not_an_image"
    """The bytes are no image format that is known here, whatever the content type says."""
    NOT_A_PAGE = "not_a_page"
    """A listing page that is not HTML."""


def cause_of_status(status: int) -> Cause | None:
    """Return the cause that an HTTP status means, ``None`` for 200."""
    if status == 200:
        return None
    if status in {404, 410}:
        return Cause.NOT_FOUND
    if status in {401, 403, 451}:
        return Cause.REFUSED
    return Cause.RATE_LIMITED if status == 429 else Cause.HTTP_ERROR
