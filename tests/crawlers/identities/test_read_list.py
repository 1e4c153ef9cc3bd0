"""Lists are read whole, checked whole, and say the same in every format and script."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawlers.identities import list_files
from crawlers.identities.person import Duplicate, Person
from crawlers.identities.read_list import read_list, survey_list
from facedata.errors import SourceError
from facedata.versions import IdentityListFacts

Write = Callable[..., Path]

CSV = """\
identity,name,aliases,wikidata,birth_year,group,reference,slug
p1,Zoe\u0308 Müller,Zoe M.|  Z. Müller ,Q42,1980,film,photos/zoe.jpg,zoe-mueller
p2,王菲,Faye Wong|왕페이,,1969,music,,faye
p3,نجيب محفوظ,Naguib Mahfouz,Q7176,1911,,https://example.org/n.jpg,
No,,,,,,,no
"""
YAML = """\
author: Data team
purpose: Research on ageing
people:
  - identity: p1
    name: Zoë Müller
    aliases: [Zoe M., Z. Müller]
    wikidata: Q42
    birth_year: 1980
    group: film
    reference: photos/zoe.jpg
    slug: zoe-mueller
  - {identity: p2, name: 王菲, aliases: Faye Wong|왕페이, birth_year: 1969, group: music,
     slug: faye}
  - identity: p3
    name: نجيب محفوظ
    aliases:
      - Naguib Mahfouz
    wikidata: Q7176
    birth_year: 1911
    reference: https://example.org/n.jpg
    slug: ~
  - {identity: No, slug: no}
"""
PEOPLE = [
    Person(
        identity="p1",
        name="Zoë Müller",
        aliases=("Zoe M.", "Z. Müller"),
        wikidata="Q42",
        birth_year=1980,
        group="film",
        reference="photos/zoe.jpg",
        rows=(),
    ),
    Person(
        identity="p2",
        name="王菲",
        aliases=("Faye Wong", "왕페이"),
        birth_year=1969,
        group="music",
        rows=(),
    ),
    Person(
        identity="p3",
        name="نجيب محفوظ",
        aliases=("Naguib Mahfouz",),
        wikidata="Q7176",
        birth_year=1911,
        reference="https://example.org/n.jpg",
        rows=(),
    ),
    Person(identity="No", name="No", rows=()),
]
COLUMNS = {
    "identity": ["p1", "p2", "p3", "No"],
    "name": ["Zoë Müller", "王菲", "نجيب محفوظ", None],
    "aliases": [["Zoe M.", "Z. Müller"], ["Faye Wong", "왕페이"], ["Naguib Mahfouz"], None],
    "wikidata": ["Q42", None, "Q7176", None],
    # As pandas writes whole numbers when one is missing.
    "birth_year": [1980.0, 1969.0, 1911.0, None],
    "group": ["film", "music", None, None],
    "reference": ["photos/zoe.jpg", None, "https://example.org/n.jpg", None],
    "slug": ["zoe-mueller", "faye", None, "no"],
}


def write_parquet(path: Path, columns: dict[str, list[object]], **metadata: str) -> Path:
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


def test_every_format_says_the_same(write: Write, tmp_path: Path) -> None:
    from_csv = read_list(write("\ufeff" + CSV), author="Data team", purpose="Research on ageing")
    from_yaml = read_list(write(YAML, "people.yaml"))
    parquet = write_parquet(
        tmp_path / "people.parquet", COLUMNS, author="Data team", purpose="Research on ageing"
    )
    from_parquet = read_list(parquet)

    for listed in (from_csv, from_yaml, from_parquet):
        assert [replace(one, rows=()) for one in listed.people] == PEOPLE
        assert [one.rows[0]["slug"] for one in listed.people] == ["zoe-mueller", "faye", "", "no"]
        assert (listed.author, listed.purpose) == ("Data team", "Research on ageing")
        assert listed.sha256 == hashlib.sha256(Path(listed.path).read_bytes()).hexdigest()
        listed.check_recorded()


def test_the_caller_may_say_author_and_purpose(write: Write) -> None:
    listed = read_list(write(YAML, "people.yml"), purpose="A test")
    assert (listed.author, listed.purpose) == ("Data team", "A test")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "no author and no purpose; write author and purpose beside identities"),
        ({"author": "  "}, "no author and no purpose"),
        ({"author": "Ann"}, "no purpose; write purpose beside identities in the recipe"),
    ],
)
def test_a_crawl_needs_author_and_purpose(
    write: Write, given: dict[str, str], missing: str
) -> None:
    listed = read_list(write(CSV), **given)
    with pytest.raises(SourceError, match=rf"people\.csv names {re.escape(missing)}"):
        listed.check_recorded()


def test_ids_keep_their_zeros_and_words(write: Write) -> None:
    text = 'people: [{identity: 007}, {identity: no}, {identity: "null"}, {identity: 1e3}]'
    listed = read_list(write(text, "people.yaml"))
    assert [one.identity for one in listed.people] == ["007", "no", "null", "1e3"]


def test_whole_numbers_of_parquet_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    write_parquet(path, {"identity": [7, 8], "score": [0.5, float("nan")], "page": [1.0, None]})
    assert [one.rows for one in read_list(path).people] == [
        ({"identity": "7", "score": "0.5", "page": "1"},),
        ({"identity": "8", "score": "", "page": ""},),
    ]


def test_several_rows_of_one_person_are_one_person(write: Write) -> None:
    path = write(
        "identity,wikidata,birth_year,slug\np1,,1980,a\np2,,,x\np1,Q1,,b\nZoe\u0308,,,\nZoë,,,z\n"
    )
    first, second, third = read_list(path).people
    assert (first.identity, first.wikidata, first.birth_year) == ("p1", "Q1", 1980)
    assert [row["slug"] for row in first.rows] == ["a", "b"]
    assert (second.identity, len(second.rows)) == ("p2", 1)
    assert [row["identity"] for row in third.rows] == ["Zoë", "Zoë"]


def test_the_same_wikidata_id_is_the_same_person(write: Write) -> None:
    text = "identity,name,wikidata,slug\np1,Ann,Q1,a\np2,Bo,Q2,b\np3,Anna,Q1,c\n"
    listed = read_list(write(text), author="Ann", purpose="A test")
    assert [(one.identity, one.aliases) for one in listed.people] == [
        ("p1", ("p3", "Anna")),
        ("p2", ()),
    ]
    # Start addresses stay those of the page's own row.
    assert [(row["identity"], row["slug"]) for row in listed.people[0].rows] == [
        ("p1", "a"),
        ("p3", "c"),
    ]
    assert listed.duplicates == (Duplicate(removed="p3", kept="p1", wikidata="Q1"),)
    assert listed.facts("crawl") == IdentityListFacts(
        source="crawl",
        sha256=listed.sha256,
        people=2,
        author="Ann",
        purpose="A test",
        duplicates={"p3": "p1"},
    )


def test_the_own_name_is_no_alias(write: Write) -> None:
    (only,) = read_list(write("identity,name,aliases\np1,Ann,p1|Ann|Anna|Anna| |\n")).people
    assert only.aliases == ("Anna",)
    assert only.names == ("p1", "Ann", "Anna")


THIS_YEAR = datetime.now(UTC).year


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("p1,Ann,,X5,,,", "people.csv:2: wikidata 'X5' is no Wikidata id; give Q and its number"),
        ("p1,Ann,,Q05,,,", "wikidata 'Q05' is no Wikidata id"),
        ("p1,Ann,,https://www.wikidata.org/wiki/Q5,,,", "is no Wikidata id"),
        ("p1,Ann,,,198,,", "birth_year '198' cannot be; give a year from 1740 to"),
        ("p1,Ann,,,1739,,", "birth_year '1739' cannot be"),
        (f"p1,Ann,,,{THIS_YEAR + 1},,", f"cannot be; give a year from 1740 to {THIS_YEAR}, or"),
        ("p1,Ann,,,१९८०,,", "cannot be"),
        (" ,Ann,,,,,", "people.csv:2: identity name '' is empty"),
        ('"p\n1",Ann,,,,,', "unprintable character '\\n'"),
        ("p1,A\x07nn,,,,,", "name: identity name 'A\\x07nn' has the unprintable character"),
        ("p1,Ann,a|b\u2028c,,,,", "aliases: identity name"),
        ("p1,Ann,,,,gr\x00oup,", "group: identity name"),
        ("p1,Ann,,,,,a\tb", "reference: identity name"),
        (
            "p1,Ann,,,,,\np1,Anna,,,,,",
            "people.csv:3: name of identity 'p1' is 'Anna', but 'Ann' in",
        ),
        ("p1,,a|b,,,,\np1,,b|a,,,,", "aliases of identity 'p1' is 'b|a', but 'a|b' in"),
        ("p1,,,Q1,,,\np1,,,,1980,,\np1,,,,1981,,", "people.csv:4: birth_year of identity 'p1'"),
    ],
)
def test_impossible_values_are_named(write: Write, row: str, problem: str) -> None:
    header = "identity,name,aliases,wikidata,birth_year,group,reference"
    with pytest.raises(SourceError) as caught:
        read_list(write(f"{header}\n{row}\n"))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_found_at_once(write: Write) -> None:
    path = write("identity,wikidata\np1,x\np2,Q2\n,Q3\np4,Q\n")
    with pytest.raises(SourceError, match=r"csv:2: .*\(and 2 more: winnow people check .*csv\)$"):
        read_list(path)
    listed, problems = survey_list(path)
    assert [one.identity for one in listed.people] == ["p2"]
    places = [problem.rpartition("people.csv")[2].split(" ")[0] for problem in problems]
    assert places == [":2:", ":4:", ":5:"]


@pytest.mark.parametrize("column", ["Wikidata", "Birth Year", "birth-year", "IDENTITY"])
def test_a_column_that_is_nearly_one_of_ours_is_asked_about(write: Write, column: str) -> None:
    meant = column.lower().replace(" ", "_").replace("-", "_")
    with pytest.raises(SourceError, match=f"has the column '{column}'; call it '{meant}'"):
        read_list(write(f"identity,{column}\np1,x\n"))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("people.xlsx", "x", "ends in '.xlsx'; give one of .csv, .yaml, .yml, .parquet"),
        ("people", "x", "ends in 'nothing'"),
        ("p.yaml", "people: [", "p.yaml is not valid YAML"),
        ("p.yaml", "- identity: a\n", "has no list under the key 'people'"),
        ("p.yaml", "people: []\n", "has nobody under the key 'people'; list the people"),
        ("p.yaml", "people: [{name: a}]\n", "has no column 'identity'; its columns are ['name']"),
        ("p.yaml", "people: [{identity: a}]\ntitle: x\n", "unknown key 'title'; allowed: author"),
        ("p.yaml", "people:\n  - a\n", "people has 'a', which is no mapping"),
        ("p.yaml", "people:\n- identity: a\n- identity: [a]\n", "p.yaml:3: identity is no plain"),
        ("p.yaml", "people:\n- {identity: a, aliases: ['b|c']}\n", "alias 'b|c' is no name; give"),
        ("p.yaml", "people: [&a {identity: a}, *a]\n", "a reference (*); write the value out"),
        ("p.yaml", b"people: [{identity: \xff}]\n", "is not UTF-8"),
        ("p.yaml", "author: [x]\npeople: [{identity: a}]\n", "author is no plain text"),
        ("p.yaml", 'author: "a\\nb"\npeople: [{identity: a}]\n', "author: identity name"),
        ("p.yaml", "people: " + "[" * 100_000, "nested more than 8 deep"),
        ("p.parquet", "PAR1 no", "not a whole Parquet file"),
    ],
)
def test_unusable_files_are_one_clear_error(
    write: Write, name: str, content: str | bytes, problem: str
) -> None:
    with pytest.raises(SourceError) as caught:
        read_list(write(content, name))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_cut_short_is_one_clear_error(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "people.parquet", COLUMNS)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"people\.parquet"):
            read_list(path)


def problem_of(path: Path) -> str:
    try:
        return " ".join(survey_list(path)[1])
    except SourceError as error:
        return str(error)


@pytest.mark.parametrize("name", ["people.csv", "people.yaml", "people.parquet"])
def test_damage_is_one_clear_error_or_none(write: Write, tmp_path: Path, name: str) -> None:
    whole = {"people.csv": CSV.encode(), "people.yaml": YAML.encode()}.get(name)
    if whole is None:
        whole = write_parquet(tmp_path / name, COLUMNS).read_bytes()
    draws = np.random.default_rng(5)
    for _ in range(150):
        damaged = bytearray(whole)
        for at in draws.integers(0, len(whole), 3):
            damaged[at] = draws.choice(list(b'\x00\xff\n"|,:[{&*'))
        assert "\n" not in problem_of(write(bytes(damaged), name))


def test_parquet_columns_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    write_parquet(path, {"identity": ["a"], "face": [[0.1, 0.2]]})
    with pytest.raises(SourceError, match=r"column 'face' holds list<.*leave it out"):
        read_list(path)


@pytest.mark.parametrize("name", ["people.csv", "people.yaml", "people.parquet"])
def test_sizes_are_looked_at_before_reading(
    write: Write, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix = Path(name).suffix
    reader = list_files._READERS[suffix][1]
    monkeypatch.setitem(list_files._READERS, suffix, (10, reader))
    with pytest.raises(SourceError, match=f"has 11 bytes; at most 10 are read of a {suffix} file"):
        read_list(write("identity\nab", name))


def test_only_so_many_rows_are_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_files, "_MAX_ROWS", 2)
    read_list(write("identity\na\nb\n"))
    with pytest.raises(SourceError, match="more than 2 rows; split it"):
        read_list(write("identity\na\nb\nc\n"))


def test_odd_names_are_just_names(write: Write) -> None:
    names = ["..", "a/b", "🦊 fox", "-rf", "=1+1", "x" * 1000, "שָׁלוֹם", "สมชาย", "सोनिया", "a b"]
    text = "identity\n" + "\n".join(names) + "\n"
    people = read_list(write(text)).people
    assert [one.identity for one in people] == names
    assert all(isinstance(one, Person) and one.name == one.identity for one in people)
