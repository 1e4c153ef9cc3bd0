"""What changed between two lists, by id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crawlers.identities.diff import Change, ListDiff, diff_lists
from crawlers.identities.person import IdentityList, Person

MakePerson = Callable[..., Person]
NOTHING = ListDiff(added=(), removed=(), id_changed=(), renamed=(), changed=(), about=())


def listing(*people: Person, **values: str) -> IdentityList:
    return IdentityList(path="people.csv", sha256="0" * 64, people=people, **values)


def test_people_come_and_go(person: MakePerson) -> None:
    old = listing(person("p1"), person("p2"), person("p3", wikidata="Q3"))
    new = listing(person("p4", wikidata="Q4"), person("p2"), person("p0"))
    assert diff_lists(old, new) == replace(NOTHING, added=("p4", "p0"), removed=("p1", "p3"))


def test_an_id_that_changed_is_followed_by_the_wikidata_id(person: MakePerson) -> None:
    old = listing(
        person("p1", name="Ann", wikidata="Q1", group="film"),
        person("Bo", wikidata="Q2"),
        person("Cy", wikidata="Q3"),
    )
    new = listing(
        person("n1", name="Anna", wikidata="Q1", group="music"),
        person("Bo B", wikidata="Q2"),
        person("Cyd", name="Di", wikidata="Q3"),
    )
    assert diff_lists(old, new) == replace(
        NOTHING,
        id_changed=(("p1", "n1"), ("Bo", "Bo B"), ("Cy", "Cyd")),
        renamed=(
            Change(identity="n1", field="name", before="Ann", after="Anna"),
            Change(identity="Cyd", field="name", before="Cy", after="Di"),
        ),
        changed=(Change(identity="n1", field="group", before="film", after="music"),),
    )


def test_fields_and_further_columns(person: MakePerson) -> None:
    old = listing(
        person(
            "p1",
            aliases=("a",),
            birth_year=1980,
            rows=({"identity": "p1", "slug": "x"}, {"identity": "p1", "slug": "y"}),
        )
    )
    new = listing(
        person(
            "p1",
            aliases=("a", "b"),
            wikidata="Q1",
            rows=({"identity": "p1", "slug": "x", "page": "3"},),
        ),
        author="Ann",
    )
    assert diff_lists(old, new) == replace(
        NOTHING,
        changed=(
            Change(identity="p1", field="aliases", before="a", after="a|b"),
            Change(identity="p1", field="wikidata", before="", after="Q1"),
            Change(identity="p1", field="birth_year", before="1980", after=""),
            Change(identity="p1", field="slug", before="x|y", after="x"),
            Change(identity="p1", field="page", before="", after="3"),
        ),
        about=(("author", "", "Ann"),),
    )


def test_order_and_layout_are_no_change(person: MakePerson) -> None:
    one, other = person("p1", name="Ann"), person("p2")
    found = diff_lists(listing(one, other), replace(listing(other, one), path="x", sha256="1" * 64))
    assert found == NOTHING
    assert found.is_empty
    assert not replace(found, added=("p3",)).is_empty
