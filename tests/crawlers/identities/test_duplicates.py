"""One person under two ids is made one; names that people share are told of and left alone."""

from __future__ import annotations

from collections.abc import Callable

from crawlers.identities.duplicates import SharedName, find_shared_names, merge_same_wikidata
from crawlers.identities.person import Duplicate, Person

MakePerson = Callable[..., Person]


def test_the_first_id_stays_and_the_others_become_aliases(person: MakePerson) -> None:
    people = [
        person("p1", name="Ann", aliases=("A",), wikidata="Q1", birth_year=1980),
        person("p2", wikidata="Q2"),
        person("p3", name="Anna", aliases=("Ann", "A", "安"), wikidata="Q1", birth_year=1981),
        person("p4"),
        person("p5", name="Ann", wikidata="Q1", group="film", birth_year=1980, reference="a.jpg"),
        person("p6"),
    ]
    merged, duplicates = merge_same_wikidata(people)

    assert [one.identity for one in merged] == ["p1", "p2", "p4", "p6"]
    assert merged[0] == Person(
        identity="p1",
        name="Ann",
        aliases=("A", "p3", "Anna", "安", "p5"),
        wikidata="Q1",
        birth_year=1980,
        group="film",
        reference="a.jpg",
        rows=({"identity": "p1"}, {"identity": "p3"}, {"identity": "p5"}),
    )
    assert duplicates == [
        Duplicate(removed="p3", kept="p1", wikidata="Q1", differs=("birth_year",)),
        Duplicate(removed="p5", kept="p1", wikidata="Q1"),
    ]
    assert merge_same_wikidata(merged) == (merged, [])


def test_people_without_a_wikidata_id_are_never_merged(person: MakePerson) -> None:
    people = [person("p1", name="Ann"), person("p2", name="Ann")]
    assert merge_same_wikidata(people) == (people, [])


def test_aliases_that_others_go_by(person: MakePerson) -> None:
    people = [
        person("Ann Lee", aliases=("Annie",)),
        person("p2", name="Bo", aliases=("LEE, ann", "王菲")),
        person("p3", name="王菲"),
        person("p4", aliases=("annie", "only mine")),
        person("p5", name="Same"),
        person("p6", name="Same"),
        person("p7", aliases=("ANN LEE",)),
    ]
    assert find_shared_names(people) == [
        SharedName(name="Ann Lee", identities=("Ann Lee", "p2", "p7")),
        SharedName(name="Annie", identities=("Ann Lee", "p4")),
        SharedName(name="王菲", identities=("p2", "p3")),
    ]


def test_two_spellings_of_an_own_name_are_shared_with_nobody(person: MakePerson) -> None:
    assert find_shared_names([person("p1", name="Zoë", aliases=("Zoe", "ZOË"))]) == []
