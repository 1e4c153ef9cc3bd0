"""Real crawls of sites that say what may be done: refusals are counted, none is passed over."""

from __future__ import annotations

import json

from crawlers.run import crawl


def test_everything_that_a_site_may_say_is_obeyed_and_counted(
    odd_site, second_odd_site, respond, listing, image_bytes, crawl_files, job_of
) -> None:
    photo = image_bytes(1)
    reserved = [{"location": "/reserved/*", "tdm-reservation": 1}]
    opted_out = b'<html><meta name="robots" content="noai"><img src="/never"></html>'
    odd_site.routes |= {
        "/robots.txt": respond(b"User-agent: *\nDisallow: /private/\n", Content_Type="text/plain"),
        "/.well-known/tdmrep.json": respond(
            json.dumps(reserved).encode(), Content_Type="application/json"
        ),
        "/people/ada": listing(
            ["/fine", "/noai", "/tdm", "/private/x", "/reserved/y"], following="/opted-out"
        ),
        "/opted-out": respond(opted_out, Content_Type="text/html"),
        "/fine": respond(photo),
        "/noai": respond(photo, X_Robots_Tag="noai, noimageai"),
        "/tdm": respond(photo, tdm_reservation="1"),
        "/private/x": respond(photo),
        "/reserved/y": respond(photo),
        "/never": respond(photo),
    }
    second_odd_site.routes["/robots.txt"] = respond(status=503)
    result = crawl(job_of(crawl_files([odd_site, second_odd_site])))
    assert result.counts.failed == {"opted_out": 1, "robots_forbidden": 1, "tdm_reserved": 2}
    assert result.counts.pages_failed == {"opted_out": 1, "robots_forbidden": 1}
    assert (result.counts.stored, result.counts.pages) == (1, 1)
    assert not {"/private/x", "/reserved/y", "/never"} & set(odd_site.requests)
    assert set(second_odd_site.requests) <= {"/robots.txt"}

    report = json.loads(result.report.with_suffix(".json").read_text("utf-8"))
    assert report["counts"]["failed"] == dict(result.counts.failed)
    assert report["hosts"][odd_site.host]["stored"] == 1
    assert report["images_of"] == {"Ada": 1}
    assert report["people"]["purpose"] == "Testing the crawler"
    page = result.report.read_text("utf-8")
    assert "robots.txt forbids it" in page
    assert "Testing the crawler" in page
