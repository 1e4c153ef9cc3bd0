"""The largest picture that an element of a page offers, however the page loads it."""

from __future__ import annotations

from collections.abc import Iterator

from parsel import Selector

from crawlers.spiders.srcset import Candidate, largest, parse_srcset

# What scripts for lazy loading put an image's address in; the first that is there counts.
_LAZY_SOURCES = (
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-echo",
    "data-url",
    "data-image",
)
_SRCSETS = ("srcset", "data-srcset", "data-lazy-srcset", "data-original-set")
_PLAIN = {"a": "href", "area": "href", "link": "href", "meta": "content", "video": "poster"}
_NOSCRIPT = (
    "./noscript//img | ./following-sibling::*[1][self::noscript]//img"
    " | ./ancestor::picture[1]/following-sibling::*[1][self::noscript]//img"
)


def best_link(element: Selector) -> str | None:
    """Return the address of an element's largest picture as it stands there, ``None`` without one.

    An image of several sizes gives its largest; else what waits for lazy loading is taken before
    ``src``, which is a placeholder then, and ``<noscript>`` beside it when there is nothing else.
    Links, ``meta`` and ``video`` give what they point to; other elements the first image inside.
    What a selector gives as text is the address itself.
    """
    if isinstance(element.root, str):
        return _usable(element.root)
    tag = element.root.tag if isinstance(element.root.tag, str) else ""
    if tag in _PLAIN:
        return _usable(attribute(element, _PLAIN[tag]))
    if tag in {"img", "source", "picture"}:
        return _of_image(element)
    inside = (_of_image(image) for image in element.xpath(".//img"))
    return next((link for link in inside if link), None) or _lazy(element)


def attribute(element: Selector, name: str) -> str | None:
    """Return an attribute without space around it, ``None`` when it is not there or empty.

    A selector may give the attribute itself: then that is it. parsel's own table of attributes
    fails for pages with such names as ``{x}``, which templates leave behind.
    """
    text = element.root if isinstance(element.root, str) else element.root.get(name)
    return (text or "").strip() or None


def _of_image(element: Selector) -> str | None:
    best = largest(_candidates(element))
    if best is not None:
        return best.url
    image = next(iter(element.xpath("self::picture//img")), element)
    link = _lazy(image) or _usable(attribute(image, "src"))
    return link or next(filter(None, map(_of_hidden, element.xpath(_NOSCRIPT))), None)


def _candidates(element: Selector) -> Iterator[Candidate]:
    """Yield the candidates of an image and of the ``<picture>`` around it, the image's own last."""
    # The parser does not know that <source> is empty: what follows it lies inside it.
    around = "self::picture//source | self::picture//img | ancestor::picture[1]//source | ."
    for source in element.xpath(around):
        for name in _SRCSETS:
            yield from parse_srcset(attribute(source, name) or "")


def _of_hidden(image: Selector) -> str | None:
    best = largest(parse_srcset(attribute(image, "srcset") or ""))
    return best.url if best is not None else _usable(attribute(image, "src"))


def _lazy(element: Selector) -> str | None:
    return next(
        (link for name in _LAZY_SOURCES if (link := _usable(attribute(element, name)))), None
    )


def _usable(link: str | None) -> str | None:
    """Return a link that is no placeholder, which is often an image in the address itself."""
    stripped = (link or "").strip()
    return None if not stripped or stripped[:5].lower() == "data:" else stripped
