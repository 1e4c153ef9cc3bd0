from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.causes import Cause
from crawlers.network.tdm import TdmRules, parse_tdm_rules, reservation


def _rules(*rules: tuple[str, int]) -> TdmRules:
    content = [{"location": location, "tdm-reservation": value} for location, value in rules]
    return parse_tdm_rules(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("location", "path", "matches"),
    [
        ("/", "/a/b?c", True),
        ("/a", "/abc", True),
        ("/a/", "/a", False),
        ("/A", "/a", False),
        ("/a$", "/a", True),
        ("/a$", "/ab", False),
        ("/*.jpg", "/x/y.jpg?z", True),
        ("/*.jpg$", "/x/y.jpg?z", False),
        ("/*.jpg$", "/x.jpg/y.jpg", True),
        ("/this/*/then", "/this/or/that/then/more", True),
        ("/this/*/then", "/this/then", False),
        ("*", "/a", True),
        ("/a**b", "/ab", True),
        ("/foo-%24", "/foo-$", True),
        ("/foo-$", "/foo-$", False),
        ("/a%7Eb", "/a~b", True),
        ("/a~b", "/a%7eb", True),
        ("/a%2Fb", "/a/b", False),
        ("/a%2fb", "/a%2Fb", True),
        ("/ä", "/%C3%A4", True),
        ("/%c3%a4", "/%C3%A4", True),
        ("/a b", "/a%20b", True),
        ("/a.b", "/axb", False),
    ],
)
def test_locations(location: str, path: str, matches: bool) -> None:
    refusal = _rules((location, 1)).refusal(path)
    assert (refusal is not None) == matches


def test_the_first_rule_that_matches_counts() -> None:
    rules = _rules(("/b/images/*.jpg", 0), ("/b/", 1), ("/", 0), ("/c", 1))
    paths = ["/b/images/1.jpg", "/b/images/1.png", "/c"]
    assert [rules.refusal(path) is not None for path in paths] == [False, True, False]


def test_the_policy_is_told() -> None:
    rule = {"location": "/", "tdm-reservation": 1, "tdm-policy": "https://example.org/p.json"}
    refusal = parse_tdm_rules(json.dumps([rule]).encode()).refusal("/a")
    assert refusal is not None
    assert refusal.cause is Cause.TDM_RESERVED
    assert refusal.detail == "tdmrep.json, policy https://example.org/p.json"


@pytest.mark.parametrize(
    "rule",
    [
        {"location": "/", "tdm-reservation": 2},
        {"location": "/", "tdm-reservation": True},
        {"location": "/", "tdm-reservation": [1]},
        {"location": "/"},
        {"tdm-reservation": 1},
        {"location": 1, "tdm-reservation": 1},
        "words",
        None,
    ],
)
def test_rules_that_break_the_protocol_are_left_out(rule: object) -> None:
    content = json.dumps([rule, {"location": "/a", "tdm-reservation": "1"}]).encode()
    rules = parse_tdm_rules(content)
    assert [rules.refusal(path) is not None for path in ("/a", "/b")] == [True, False]


@given(st.one_of(st.binary(), st.text(st.sampled_from('[]{}",:01 ')).map(str.encode)))
def test_any_file_is_read(body: bytes) -> None:
    assert parse_tdm_rules(body).refusal("/") is None


def test_a_file_nested_without_end_is_no_file() -> None:
    assert parse_tdm_rules(b"[" * 200_000) == TdmRules()


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    rules = _rules(("/" + "*a" * 200 + "$", 1))
    began = time.process_time()
    assert rules.refusal("/" + "a" * 2000 + "b") is None
    assert time.process_time() - began < 1


@pytest.mark.parametrize("value", [None, "", "0", "2", "01", "yes", "1 1"])
def test_other_values_reserve_nothing(value: str | None) -> None:
    assert reservation(value, "https://h/p", "header") is None
