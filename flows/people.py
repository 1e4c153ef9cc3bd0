"""Answers of ``winnow people``: JSON values, and the lines that show them to people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from crawlers.identities.diff import diff_lists
from crawlers.identities.duplicates import find_shared_names
from crawlers.identities.near_names import find_near_names
from crawlers.identities.person import Duplicate, IdentityList
from crawlers.identities.read_list import read_list, survey_list

Answer = dict[str, Any]
_SHOWN = 20


def check(path: Path) -> Answer:
    """Everything that is wrong in a list, or worth a look.

    Raises:
        SourceError: when the file cannot be read as a list at all.
    """
    listed, problems = survey_list(path)
    people = listed.people
    near = find_near_names([person.name for person in people])
    return {
        "list": str(path),
        "sha256": listed.sha256,
        "ok": not problems,
        "people": len(people),
        "rows": sum(len(person.rows) for person in people),
        "with_wikidata": sum(person.wikidata is not None for person in people),
        "author": listed.author,
        "purpose": listed.purpose,
        "problems": problems,
        "duplicates": [asdict(one) for one in listed.duplicates],
        "near_names": [
            {
                "identities": [people[one.first].identity, people[one.second].identity],
                "names": [people[one.first].name, people[one.second].name],
                "edits": one.edits,
            }
            for one in near
        ],
        "shared_names": [asdict(one) for one in find_shared_names(people)],
        "missing_references": list(_missing_references(listed)),
    }


def _missing_references(listed: IdentityList) -> Iterator[str]:
    """Ids of people whose reference photo should be beside the list and is not."""
    folder = Path(listed.path).parent
    for person in listed.people:
        if person.reference is None or "://" in person.reference:
            continue
        try:
            there = (folder / person.reference).is_file()
        except OSError:  # such as a name too long for a file
            there = False
        if not there:
            yield person.identity


def check_lines(result: Answer) -> list[str]:
    """The findings, the first of each kind one per line."""
    lines = [
        f"{result['list']}: {result['people']} people in {result['rows']} rows, "
        f"{result['with_wikidata']} with a Wikidata id, sha256 {result['sha256'][:12]}"
    ]
    for what in ("author", "purpose"):
        missing = "none here; a crawl needs one, here or in the recipe's crawl source"
        lines.append(f"  {what:<8}{result[what] or missing}")
    lines += _some([f"problem: {problem}" for problem in result["problems"]])
    lines += _some([f"listed twice: {Duplicate(**one)}" for one in result["duplicates"]])
    lines += _some(
        [
            "alike: " + " and ".join(map(_called, one["identities"], one["names"]))
            for one in result["near_names"]
        ]
    )
    lines += _some(
        [
            f"one name: {one['name']} is an alias or name of {', '.join(one['identities'])}"
            for one in result["shared_names"]
        ]
    )
    return lines + _some(
        [f"no such file: the reference photo of {who}" for who in result["missing_references"]]
    )


def _some(lines: Sequence[str]) -> list[str]:
    shown = [f"  {line}" for line in lines[:_SHOWN]]
    more = len(lines) - len(shown)
    return [*shown, f"  and {more} more like this; --json has all"] if more else shown


def _called(identity: str, name: str) -> str:
    return identity if name == identity else f"{identity} ({name})"


def diff(old: Path, new: Path) -> Answer:
    """What changed from one list to another.

    Raises:
        SourceError: when one of them is not a usable list.
    """
    before, after = read_list(old), read_list(new)
    found = diff_lists(before, after)
    return {
        "old": str(old),
        "new": str(new),
        "added": _named(found.added, after),
        "removed": _named(found.removed, before),
        "id_changed": [{"before": one, "after": other} for one, other in found.id_changed],
        "renamed": [asdict(one) for one in found.renamed],
        "changed": [asdict(one) for one in found.changed],
        "about": [
            {"field": what, "before": one, "after": other} for what, one, other in found.about
        ],
    }


def _named(identities: Sequence[str], listed: IdentityList) -> list[Answer]:
    names = {person.identity: person.name for person in listed.people}
    return [{"identity": identity, "name": names[identity]} for identity in identities]


def diff_lines(result: Answer) -> list[str]:
    """The changes, one per line."""
    lines = [f"{result['old']} → {result['new']}"]
    lines += [f"  + {_called(**one)}" for one in result["added"]]
    lines += [f"  - {_called(**one)}" for one in result["removed"]]
    lines += [
        f"  {one['before']} is now {one['after']}, by the Wikidata id"
        for one in result["id_changed"]
    ]
    for one in (*result["renamed"], *result["changed"], *result["about"]):
        who = f"{one['identity']}: " if "identity" in one else ""
        lines.append(f"  {who}{one['field']} {one['before']!r} → {one['after']!r}")
    return [*lines, _diff_sum(result)]


def diff_table(result: Answer) -> Table:
    """The changes as a table for a terminal."""
    table = Table(
        *("", "id", "what", "before", "after"),
        title=Text(f"{result['old']} → {result['new']}"),
        caption=_diff_sum(result).strip(),
    )
    for one in result["added"]:
        table.add_row(*_cells("+", one["identity"], "person", "", one["name"]), style="green")
    for one in result["removed"]:
        table.add_row(*_cells("-", one["identity"], "person", one["name"], ""), style="red")
    for one in result["id_changed"]:
        table.add_row(*_cells("~", one["after"], "id", one["before"], one["after"]))
    for one in (*result["renamed"], *result["changed"], *result["about"]):
        cells = (one.get("identity", ""), one["field"], one["before"], one["after"])
        table.add_row(*_cells("~", *cells), style="yellow")
    return table


def _cells(*texts: str) -> list[Text]:
    # As they are: a name may look like rich's own markup.
    return [Text(text) for text in texts]


def _diff_sum(result: Answer) -> str:
    counts = {
        what: len(result[key])
        for key, what in (
            ("added", "added"),
            ("removed", "removed"),
            ("id_changed", "under another id"),
            ("renamed", "renamed"),
            ("changed", "other values changed"),
        )
    }
    if not any(counts.values()) and not result["about"]:
        return "  the same people, and the same about each"
    return "  " + ", ".join(f"{count} {what}" for what, count in counts.items())
