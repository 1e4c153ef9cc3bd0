"""Which part of an image's path names the person."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRule:
    """How a path below the source gives the person's name.

    ``name_of`` takes a POSIX path of a file and returns the name as written, or None when the
    path has none. ``depth`` is the number of the folder that is a person, counted from 1, when
    it is one number for all. ``expected`` shows the form in messages.
    """

    name_of: Callable[[str], str | None]
    depth: int | None
    expected: str


def identity_rule(rule: int | str) -> IdentityRule:
    """Make a rule of the number of a folder (1 the first, -1 the last) or a regular expression.

    The expression's group ``identity``, or else its first group, is the name.
    """
    if isinstance(rule, int):
        return _folder_rule(rule)
    pattern = re.compile(rule)
    group: int | str = "identity" if "identity" in pattern.groupindex else 1

    def name_of(path: str) -> str | None:
        match = pattern.search(path)
        return match[group] if match else None

    return IdentityRule(name_of=name_of, depth=None, expected=f"paths that match {rule!r}")


def _folder_rule(number: int) -> IdentityRule:
    def name_of(path: str) -> str | None:
        folders = path.split("/")[:-1]
        index = number - 1 if number > 0 else number
        return folders[index] if -len(folders) <= index < len(folders) else None

    above = "<folder>/" + "…/" * (number - 1 if number > 0 else 1)
    below = "" if number > 0 else "…/" * (-number - 1)
    return IdentityRule(
        name_of=name_of,
        depth=number if number > 0 else None,
        expected=f"{above}<identity>/{below}<image>",
    )
