"""People: pure functions of a seed, siblings near their elder, names invented and distinct."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.casting import make_person, make_sibling, person_of
from demo.names import invent_names, not_a_person, sibling_name, slug, stage_name


def numbers(value: Any) -> list[float]:
    """All numbers of a dataclass, depth first."""
    if is_dataclass(value):
        parts = [numbers(getattr(value, field.name)) for field in fields(value)]
        return [number for part in parts for number in part]
    if isinstance(value, float):
        return [value]
    if isinstance(value, tuple):
        return [number for part in value for number in numbers(part)]
    return []


def bones(person: Any) -> np.ndarray:
    parts = (person.skull, person.eyes, person.brows, person.nose, person.mouth)
    return np.array([number for part in parts for number in numbers(part)])


@given(st.integers(0, 2**31))
def test_a_person_is_a_function_of_the_seed(seed: int) -> None:
    assert make_person(seed) == make_person(seed)


def test_a_person_is_about_seventy_numbers() -> None:
    assert 55 <= len(numbers(make_person(3))) <= 85


@given(st.integers(0, 10**6))
def test_people_stay_within_natural_limits(seed: int) -> None:
    person = make_person(seed)
    assert 18 <= person.age <= 75
    assert 0.9 < person.skull.width < 1.1
    assert 0.39 < person.eyes.spacing < 0.52
    assert person.nose.base < person.mouth.y < person.skull.chin_length
    assert all(0 <= channel <= 1 for channel in person.hair.colour)


def test_a_sibling_is_nearer_than_a_stranger() -> None:
    nearer = 0
    for seed in range(40):
        person = make_person(seed)
        sibling = make_sibling(person, seed + 1000, "s")
        stranger = make_person(seed + 2000)
        to_sibling = np.abs(bones(person) - bones(sibling)).mean()
        nearer += to_sibling < np.abs(bones(person) - bones(stranger)).mean()
        assert to_sibling > 0
    assert nearer == 40


def test_an_id_names_the_person_and_the_sibling() -> None:
    assert person_of("p7").seed == 7
    sibling = person_of("p7s900")
    assert sibling.person_id == "p7s900"
    assert sibling.hair == make_person(7).hair


@given(st.integers(0, 1000), st.integers(2, 60))
def test_names_are_distinct_and_repeatable(seed: int, count: int) -> None:
    women = [index % 2 == 0 for index in range(count)]
    names = invent_names(seed, women)
    assert names == invent_names(seed, women)
    assert len(set(names)) == len({slug(name) for name in names}) == count
    if count <= 50:
        assert len({name.split(" ", 1)[1] for name in names}) == count


def test_names_hold_unicode_and_apostrophes() -> None:
    names = " ".join(invent_names(0, [True, False] * 60))
    assert "’" in names
    assert any(ord(letter) > 127 for letter in names.replace("’", ""))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Zoë O’Malley-Fox", "zoe-o-malley-fox"), ("Søren Łukowiak", "soren-lukowiak"),
     ("Cast & Crew", "cast-crew")],
)  # fmt: skip
def test_slugs_are_plain(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_other_names_keep_one_part() -> None:
    names = set(invent_names(1, [True] * 20))
    name = min(names)
    given, family = name.split(" ", 1)
    for seed in range(20):
        sister, stage = sibling_name(seed, name, names, woman=True), stage_name(seed, name, names)
        assert sister.endswith(f" {family}")
        assert stage.startswith(f"{given} ")
        assert not {sister, stage} & names
    assert not_a_person(5) == not_a_person(1)
