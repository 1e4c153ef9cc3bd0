from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.causes import Cause
from crawlers.network.target import Refusal, Target, parse_target, printable, resolve, shown


def _target(url: str) -> Target:
    target = parse_target(url)
    assert isinstance(target, Target), target
    return target


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://h", "http://h/"),
        ("http://h?x", "http://h/?x"),
        ("http://H.Example:80/A#part", "http://h.example/A"),
        ("https://h:443/a?b#c", "https://h/a?b"),
        ("http://h:8080/a%2Fb?sig=%27%2B+%7E", "http://h:8080/a%2Fb?sig=%27%2B+%7E"),
        ("http://h/a b/ä?q=ü", "http://h/a%20b/%C3%A4?q=%C3%BC"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://h/a/../../b/./c", "http://h/b/c"),
        ("http://h//a//b", "http://h//a//b"),
        ("http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080/"),
        (" http://h/\n", "http://h/"),
    ],
)
def test_what_is_sent(url: str, sent: str) -> None:
    target = _target(url)
    assert str(target.address) == sent
    assert sent.endswith(target.path)


def test_the_parts() -> None:
    authority = _target("https://[2606:4700::1111]/a").authority
    assert (authority.host, authority.port) == ("2606:4700::1111", 443)
    assert (authority.site, authority.origin) == (
        "[2606:4700::1111]",
        "https://[2606:4700::1111]",
    )
    assert not authority.is_private
    assert _target("https://h:443/").authority == _target("https://h/").authority
    assert _target("http://h/").authority.site == _target("https://h/").authority.site
    assert _target("http://h:443/").authority.site == "h:443"
    assert _target("http://10.1.2.3/").authority.is_private
    assert not _target("http://localhost/").authority.is_private


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("", Cause.BAD_URL),
        ("a/b", Cause.BAD_URL),
        ("//h/a", Cause.BAD_URL),
        ("http:///a", Cause.BAD_URL),
        ("http://h:x/", Cause.BAD_URL),
        ("http://h:65536/", Cause.BAD_URL),
        ("http://h:0/", Cause.BAD_URL),
        ("http://a b/", Cause.BAD_URL),
        ("http://a%62/", Cause.BAD_URL),
        ("http://h\\@x/", Cause.BAD_URL),
        ("http://u@h/", Cause.BAD_URL),
        ("http://[::1", Cause.BAD_URL),
        ("http://[1::2::3]/", Cause.BAD_URL),
        ("http://256.1.1.1/", Cause.BAD_URL),
        ("http://1.2.3.4.5/", Cause.BAD_URL),
        ("http://16843009/", Cause.BAD_URL),
        ("http://127.1/", Cause.PRIVATE_ADDRESS),
        ("javascript:alert(1)", Cause.UNSUPPORTED_SCHEME),
        ("FILE:///etc/passwd", Cause.UNSUPPORTED_SCHEME),
        ("ws://h/", Cause.UNSUPPORTED_SCHEME),
    ],
)
def test_refusals(url: str, cause: Cause) -> None:
    refusal = parse_target(url)
    assert isinstance(refusal, Refusal)
    assert refusal.cause is cause


_WITH_ANY_TEXT = st.builds(
    lambda scheme, rest: f"{scheme}{rest}",
    st.sampled_from(["http://", "https://", "http:", "", "HTTP://"]),
    st.text(st.one_of(st.sampled_from("/:@?#[]%.0127fx\\"), st.characters(codec="utf-8"))),
)


@given(_WITH_ANY_TEXT)
def test_any_text_is_taken_apart_or_refused(url: str) -> None:
    target = parse_target(url)
    if isinstance(target, Refusal):
        return
    # The client connects to the host and port that were checked.
    assert target.address.raw_host is not None
    assert target.address.raw_host.lower() == target.authority.host
    assert target.address.port == target.authority.port
    assert target.path.startswith("/")
    assert str(target.address).isascii()
    if target.authority.host.rpartition(".")[2].isdigit():
        ipaddress.IPv4Address(target.authority.host)


@given(st.ip_addresses(v=4), st.sampled_from(["{0}", "{0:#x}", "{0:#o}"]))
def test_no_number_is_asked_that_is_not_written_as_an_address(
    address: ipaddress.IPv4Address, form: str
) -> None:
    number = form.format(int(address)).replace("0o", "0")
    assert isinstance(parse_target(f"http://{number}/"), Refusal)
    assert _target(f"http://{address}/").authority.host == str(address)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("../b?c", "http://h/b?c"),
        ("//x/y", "http://x/y"),
        ("https://x/ä", "https://x/ä"),
        ("/\udcff\udc80", "http://h/%FF%80"),
        (" /a ", "http://h/a"),
    ],
)
def test_redirects_are_resolved(location: str, url: str) -> None:
    assert resolve("http://h/a/c", location) == url


def test_details_show_no_secrets_and_no_control_characters() -> None:
    assert shown("http://user:word@h/a?token=1#b") == "http://h/a"
    assert shown("/a\x1b[31m\r\nb") == "/a�[31m b"
    assert printable("a\udcffb") == "a�b"
    assert len(shown("x" * 1000)) == 200
