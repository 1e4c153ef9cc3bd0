"""Why something was not fetched, in words for people."""

from __future__ import annotations

from crawlers.causes import Cause

REFUSALS = (
    Cause.ROBOTS_FORBIDDEN,
    Cause.OPTED_OUT,
    Cause.TDM_RESERVED,
    Cause.LICENCE_REFUSED,
    Cause.NOT_LISTED,
    Cause.PRIVATE_ADDRESS,
    Cause.OFF_SITE,
    Cause.REDIRECT_OFF_SITE,
    Cause.PAGE_LIMIT,
)
"""Causes for which Winnow itself held back; with the others the site or the network failed."""

CAUSES: dict[Cause, str] = {
    Cause.BAD_URL: "Not a URL that can be asked for",
    Cause.UNSUPPORTED_SCHEME: "Neither http nor https",
    Cause.OFF_SITE: "Leads outside the site's hosts",
    Cause.PAGE_LIMIT: "A page beyond the site's page limit",
    Cause.NOT_LISTED: "For somebody who is not on the list, or no longer on it",
    Cause.LICENCE_REFUSED: "Its licence is not one of those allowed, or it says none",
    Cause.ROBOTS_FORBIDDEN: "robots.txt forbids it, or could not be had",
    Cause.HOST_DOWN: "The host failed so often that it was no longer asked",
    Cause.PRIVATE_ADDRESS: "The host's address is not public",
    Cause.UNKNOWN_HOST: "The host's name has no address",
    Cause.CONNECTION_FAILED: "The connection was refused or lost",
    Cause.TIMEOUT: "No whole answer in time",
    Cause.UNEXPECTED: "An error that nobody foresaw; the ledger names it",
    Cause.NOT_FOUND: "Not found, or gone",
    Cause.REFUSED: "The site refused it",
    Cause.RATE_LIMITED: "The site asked for fewer requests, also after waiting",
    Cause.HTTP_ERROR: "The site answered with an error",
    Cause.OPTED_OUT: "The site opts out of such use",
    Cause.TDM_RESERVED: "Text and data mining is reserved",
    Cause.BAD_REDIRECT: "A redirect without a usable target",
    Cause.REDIRECT_OFF_SITE: "A redirect that leads outside the site's hosts",
    Cause.TOO_MANY_REDIRECTS: "Too many redirects",
    Cause.TRUNCATED: "The body ended early",
    Cause.TOO_LARGE: "More bytes than allowed",
    Cause.EMPTY: "No bytes",
    Cause.TOO_MANY_PIXELS: "More pixels than are ever decoded",
    Cause.NOT_AN_IMAGE: "Not an image, whatever its name says",
    Cause.NOT_A_PAGE: "Not a page that can be read",
}


def in_words(cause: str) -> str:
    """Return the sentence for a cause; the cause itself when it is of another version."""
    try:
        return CAUSES[Cause(cause)]
    except (ValueError, KeyError):
        return cause.replace("_", " ")


def is_refusal(cause: str) -> bool:
    """Whether Winnow held back, rather than the site or the network."""
    return cause in {refusal.value for refusal in REFUSALS}
