from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.causes import Cause
from crawlers.sites import Site, Sites
from crawlers.spiders.gallery import read_gallery
from crawlers.spiders.page_content import FetchedPage, PageContent, Rights

Make = Callable[..., Any]
BASE = "https://example.org/people/"
ANY_IMAGE = {"css": "img"}


def names(content: PageContent) -> list[str]:
    return [image.url.removeprefix(BASE) for image in content.images]


def read(described: Make, page: FetchedPage, **keys: Any) -> PageContent:
    return read_gallery(described("gallery", **{"images": ANY_IMAGE, **keys}), page)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ('<img src="a.jpg">', ["a.jpg"]),
        ('<img src=" a b.jpg ">', ["a%20b.jpg"]),
        ('<img src="a.jpg#top">', ["a.jpg"]),
        ('<img src="s.jpg" srcset="s.jpg 320w, a,b.jpg 1280w">', ["a,b.jpg"]),
        ('<img src="s.jpg" srcset="s.jpg 1x, a.jpg 2x">', ["a.jpg"]),
        ('<img src="p.gif" data-src="a.jpg">', ["a.jpg"]),
        ('<img src="p.gif" data-original="a.jpg">', ["a.jpg"]),
        ('<img data-lazy-src="a.jpg">', ["a.jpg"]),
        ('<img src="p.gif" data-src="m.jpg" data-srcset="m.jpg 1x, a.jpg 3x">', ["a.jpg"]),
        ('<img srcset="data:image/gif;base64,R0 1w" data-srcset="a.jpg 9w">', ["a.jpg"]),
        ('<img src="data:image/gif;base64,R0"><noscript><img src="a.jpg"></noscript>', ["a.jpg"]),
        (
            '<picture><source srcset="a.avif 1600w" type="image/avif">'
            '<source srcset="b.jpg 800w"><img src="c.jpg"></picture>',
            ["a.avif"],
        ),
        (
            '<picture><source srcset="a.webp 800w"><img src="c.jpg" srcset="b.jpg 800w"></picture>',
            ["b.jpg"],
        ),
        ('<picture><source data-srcset="a.jpg 2x"><img src="p.gif"></picture>', ["a.jpg"]),
        ('<img src="data:image/png;base64,AAAA">', []),
        ("<img>", []),
        ('<img src="">', []),
        ('<img src="a.jpg"><img src="a.jpg"><img src="b.jpg">', ["a.jpg", "b.jpg"]),
        # What a template left behind.
        ('<img {{lazy}} {x} @click="y" src="a.jpg">', ["a.jpg"]),
    ],
)
def test_an_image_gives_the_largest_that_it_offers(
    described: Make, html: Make, element: str, expected: list[str]
) -> None:
    content = read(described, html(element))
    assert names(content) == expected
    assert content.without_url == (0 if expected else 1)


@pytest.mark.parametrize(
    ("images", "text", "expected"),
    [
        ({"css": "picture"}, '<picture><source srcset="a 9w"><img src=b></picture>', ["a"]),
        ({"css": "picture"}, '<picture><img src="p.gif" data-src="b"></picture>', ["b"]),
        ({"css": "a.full"}, '<a class=full href="a.jpg"><img src="s.jpg"></a>', ["a.jpg"]),
        ({"xpath": "//img/parent::a"}, '<a href="a.jpg"><img src="s.jpg"></a>', ["a.jpg"]),
        ({"css": "meta[property='og:image']"}, '<meta property="og:image" content="a">', ["a"]),
        ({"css": "div.photo"}, '<div class=photo><img src="a"></div>', ["a"]),
        ({"css": "div.photo"}, '<div class=photo data-src="a"></div>', ["a"]),
        ({"css": "img::attr(data-big)"}, '<img data-big="a">', ["a"]),
        ({"xpath": "//img/@data-big"}, '<img data-big=" a ">', ["a"]),
        # An attribute that is named is taken as it stands.
        ({"css": "img", "attribute": "src"}, '<img src="s" srcset="a 9w" data-src="b">', ["s"]),
        ({"css": "img", "attribute": "data-big"}, '<img src="s" data-big="a">', ["a"]),
        ([{"css": "a.full"}, {"css": "img"}], '<img src="b"><a class=full href="a">', ["a", "b"]),
    ],
)
def test_selectors_find_images_in_what_a_site_is_made_of(
    described: Make, html: Make, images: Any, text: str, expected: list[str]
) -> None:
    assert names(read(described, html(text), images=images)) == expected


def test_elements_without_an_address_are_counted(described: Make, html: Make) -> None:
    page = html('<img src="a"><img><img data-x="b">')
    content = read(described, page, images={"css": "img", "attribute": "src"})
    assert (names(content), content.without_url) == (["a"], 2)


def test_links_are_relative_to_the_base(described: Make, html: Make) -> None:
    page = html('<base href="/big/"><img src="a.jpg"><a rel=next href="?p=2">on</a>')
    content = read(described, page, next_page={"css": "a[rel=next]", "attribute": "href"})
    assert content.images[0].url == "https://example.org/big/a.jpg"
    assert content.next_urls == ("https://example.org/big/?p=2",)


def test_a_base_that_is_no_address_is_none(described: Make, html: Make) -> None:
    assert names(read(described, html('<base href="http://[x"><img src="a.jpg">'))) == ["a.jpg"]


@pytest.mark.parametrize("link", ["http://[x", "data:image/png;base64,AA", "ftp://x/y", "x" * 9])
def test_links_that_lead_nowhere_stay_as_they_are(described: Make, html: Make, link: str) -> None:
    content = read(
        described, html(f'<img src="{link}">'), images={"css": "img", "attribute": "src"}
    )
    assert content.images[0].url == (BASE + link if link == "x" * 9 else link)


def test_json_ld_says_the_terms_of_an_image_and_names_more(described: Make, html: Make) -> None:
    text = """<img src="a.jpg"><img src="c.jpg"><script type="application/ld+json">
    {"@type": "ItemList", "image": [
      {"@type": "ImageObject", "contentUrl": "a.jpg", "creditText": "Jo",
       "license": "https://creativecommons.org/publicdomain/zero/1.0/"},
      {"@type": "ImageObject", "contentUrl": "b.jpg"}]}</script>"""
    assert names(read(described, html(text))) == ["a.jpg", "c.jpg"]
    content = read(described, html(text), json_ld=True)
    assert names(content) == ["a.jpg", "c.jpg", "b.jpg"]
    assert content.images[0].rights == Rights(
        licence="cc0",
        licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
        attribution="Jo",
    )
    assert content.images[1].rights == Rights()


def test_the_licence_of_the_page_holds_for_images_without_their_own(
    described: Make, html: Make
) -> None:
    link = '<a rel="nofollow license" href="https://creativecommons.org/licenses/by/4.0/">CC</a>'
    content = read(described, html(f'{link}<img src="a.jpg">'))
    assert content.images[0].rights == Rights(
        licence="cc-by-4.0", licence_url="https://creativecommons.org/licenses/by/4.0/"
    )
    # Of several nobody knows which is meant.
    other = '<a rel=license href="https://creativecommons.org/licenses/by-nc/4.0/">CC</a>'
    assert read(described, html(f'{link}{other}<img src="a">')).images[0].rights == Rights()


def test_terms_that_stand_beside_an_image_are_read_by_path(described: Make, html: Make) -> None:
    text = """
    <figure><img src="a.jpg"><figcaption>by <b>Jo <i>Ex</i></b>,
      <a class=l href="https://creativecommons.org/licenses/by-sa/2.0/">licence</a></figcaption>
    </figure><figure><img src="b.jpg"><figcaption><small>House licence</small></figcaption></figure>
    <figure><img src="c.jpg"></figure>"""
    rights = {
        "licence": "ancestor::figure//a[@class='l']/@href | ancestor::figure//small",
        "author": "ancestor::figure//b",
        "attribution": "string(ancestor::figure/figcaption)",
    }
    first, second, third = read(described, html(text), rights=rights).images
    assert first.rights == Rights(
        licence="cc-by-sa-2.0",
        licence_url="https://creativecommons.org/licenses/by-sa/2.0/",
        author="Jo Ex",
        attribution="by Jo Ex, licence",
    )
    assert second.rights == Rights(licence="House licence", attribution="House licence")
    assert third.rights == Rights()


@pytest.mark.parametrize(
    ("head", "cause", "detail"),
    [
        ('<meta name="robots" content="noai, noimageai">', Cause.OPTED_OUT, "meta robots: noai"),
        ('<META NAME="Robots" CONTENT="NOINDEX">', Cause.OPTED_OUT, "meta robots: noindex"),
        ('<meta name="winnow" content="noimageai">', Cause.OPTED_OUT, "meta winnow: noimageai"),
        ('<meta name="tdm-reservation" content="1">', Cause.TDM_RESERVED, "meta"),
        (
            '<meta name="robots" content="unavailable_after: 1 Jan 2020 00:00:00 GMT">',
            Cause.OPTED_OUT,
            "meta robots: unavailable_after: 1 jan 2020 00:00:00 gmt",
        ),
    ],
)
def test_a_page_that_opts_out_is_not_read(
    described: Make, html: Make, head: str, cause: Cause, detail: str
) -> None:
    page = html(f'<head>{head}</head><img src="a">', date="Sun, 22 Nov 2026 18:00:00 GMT")
    assert read(described, page) == PageContent(cause=cause, detail=detail)


@pytest.mark.parametrize(
    "head",
    [
        '<meta name="robots" content="nofollow, max-snippet:-1">',
        '<meta name="otherbot" content="noai">',
        '<meta name="tdm-reservation" content="0">',
        '<meta name="description" content="noai">',
        '<meta name="robots" content="unavailable_after: 1 Jan 2030 00:00:00 GMT">',
    ],
)
def test_orders_for_others_or_of_other_kinds_do_not_count(
    described: Make, html: Make, head: str
) -> None:
    page = html(f'<head>{head}</head><img src="a">', date="Sun, 22 Nov 2026 18:00:00 GMT")
    assert names(read(described, page)) == ["a"]


@pytest.mark.parametrize(
    ("next_page", "url", "following"),
    [
        ({"pattern": "?page={n}"}, f"{BASE}ada", f"{BASE}ada?page=2"),
        ({"pattern": "?page={n}"}, f"{BASE}ada?q=a%20b&page=9", f"{BASE}ada?q=a+b&page=10"),
        ({"pattern": "?at={n}", "first": 0, "step": 30}, f"{BASE}ada", f"{BASE}ada?at=30"),
        ({"pattern": "?at={n}", "first": 0, "step": 30}, f"{BASE}ada?at=60", f"{BASE}ada?at=90"),
        ({"pattern": "?page={n}"}, f"{BASE}ada?page=x", f"{BASE}ada?page=2"),
        ({"pattern": "page/{n}/"}, f"{BASE}ada/", f"{BASE}ada/page/2/"),
        ({"pattern": "page/{n}/"}, f"{BASE}ada/page/2/", f"{BASE}ada/page/3/"),
        ({"pattern": "/all/p{n}.html"}, f"{BASE}ada", "https://example.org/all/p2.html"),
        ({"pattern": "/all/p{n}.html"}, "https://example.org/all/p9.html",
         "https://example.org/all/p10.html"),
    ],
)  # fmt: skip
def test_pages_by_number_go_on_until_one_is_empty(
    described: Make, html: Make, next_page: dict[str, Any], url: str, following: str
) -> None:
    content = read(described, html('<img src="a.jpg">', url), next_page=next_page)
    assert content.next_urls == (following,)
    assert read(described, html("<p>no more</p>", url), next_page=next_page).next_urls == ()


def test_the_first_next_link_that_leads_somewhere_counts(described: Make, html: Make) -> None:
    page = html("<a rel=next>1</a><a rel=next href=''>2</a><a rel=next href='?p=3'>3</a>")
    content = read(described, page, next_page={"css": "a[rel=next]", "attribute": "href"})
    assert content.next_urls == (f"{BASE}ada?p=3",)


@pytest.mark.parametrize(
    ("content_type", "body", "is_page"),
    [
        ("text/html", b"", True),
        ("TEXT/HTML ; charset=x", b"<p>", True),
        ("application/xhtml+xml", b"<html/>", True),
        ("", b" \n<!doctype html>", True),
        ("", b"\xff\xd8\xff", False),
        ("image/jpeg", b"<html>", False),
        ("application/json", b"{}", False),
    ],
)
def test_only_html_is_a_page(
    described: Make, content_type: str, body: bytes, is_page: bool
) -> None:
    page = FetchedPage(url=BASE, body=body, headers={"content-type": content_type})
    content = read(described, page)
    assert content.cause is (None if is_page else Cause.NOT_A_PAGE)
    assert content.detail == (content_type or None if not is_page else None)


@pytest.mark.parametrize(
    ("body", "content_type", "name"),
    [
        ("<img src='é.jpg'>".encode("latin-1"), "text/html; charset=latin-1", "%C3%A9.jpg"),
        (b"<meta charset=windows-1251><img src='\xe6.jpg'>", "text/html", "%D0%B6.jpg"),
        ("\ufeff<img src='é.jpg'>".encode("utf-16-le"), "text/html", "%C3%A9.jpg"),
    ],
)
def test_pages_are_read_in_their_own_encoding(
    described: Make, body: bytes, content_type: str, name: str
) -> None:
    page = FetchedPage(url=BASE, body=body, headers={"content-type": content_type})
    assert names(read(described, page)) == [name]


SITE: Site = Sites.model_validate(
    {
        "contact": "mailto:a@example.org",
        "sites": [
            {
                "name": "any",
                "start_url": "https://example.org/",
                "allowed_hosts": ["example.org"],
                "images": [{"css": "img"}, {"xpath": "//@href"}, {"css": "*"}],
                "json_ld": True,
                "rights": {"author": "ancestor::figure//text()", "licence": "string(//a)"},
                "next_page": {"css": "a", "attribute": "href"},
            }
        ],
    }
).sites[0]
_PIECES = """<img src=' ' > <picture> <source~srcset= a~1w, <noscript> </picture> <!-- {} é \x00
<a~rel=license~href= <script~type='application/ld+json'> </script> <base~ href=http://[ <?xml~?>
&#xD800; <meta~name=robots~content="""
_piece = st.sampled_from(_PIECES.split()).map(lambda piece: piece.replace("~", " "))


@settings(deadline=None)
@given(st.lists(_piece, max_size=25))
def test_no_page_makes_the_reader_fail(pieces: list[str]) -> None:
    page = FetchedPage(
        url=BASE, body="".join(pieces).encode(), headers={"content-type": "text/html"}
    )
    content = read_gallery(SITE, page)
    assert all(image.url.encode() for image in content.images)
