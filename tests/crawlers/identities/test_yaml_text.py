"""YAML as texts: nothing guessed, nothing expanded."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crawlers.identities.yaml_text import YamlMapping, read_yaml_text

PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=20)


def test_scalars_are_what_is_written() -> None:
    text = "a: 007\nb: no\nc: 2001-01-01\nd: ~\ne: '~'\nf:\ng: 'null'\nh: !!int 5\n"
    assert read_yaml_text(text) == YamlMapping(
        1,
        {"a": "007", "b": "no", "c": "2001-01-01", "d": "", "e": "~"}
        | {"f": "", "g": "null", "h": "5"},
    )


def test_mappings_know_their_lines() -> None:
    assert read_yaml_text("# head\n\n- a: b\n-\n  c: [d, {e: f}]\n") == [
        YamlMapping(3, {"a": "b"}),
        YamlMapping(5, {"c": ["d", YamlMapping(5, {"e": "f"})]}),
    ]


def test_an_empty_file_is_an_empty_text() -> None:
    assert read_yaml_text("") == read_yaml_text("# nothing\n") == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2\n", "line 2: key 'a' is there twice"),
        ("[a]: 1\n", "line 1: key"),
        ("--- a\n--- b\n", "several documents; write one"),
        ("- &x a\n- *x\n", "line 2: a reference"),
        ("[" * 10 + "]" * 10, "line 1: nested more than 8 deep"),
    ],
)
def test_what_a_list_does_not_need_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_yaml_text(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "a: 'b", "\t- a", "{a: b}}", "a: \x00"])
def test_what_is_no_yaml_is_an_error(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml_text(text)


@given(st.dictionaries(PLAIN, st.lists(PLAIN, max_size=3), max_size=5))
def test_what_is_written_comes_back(content: dict[str, list[str]]) -> None:
    text = yaml.safe_dump(content, allow_unicode=True, width=10_000)
    read = read_yaml_text(text)
    assert isinstance(read, YamlMapping)
    assert read.values == content
