"""Lists as their authors write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crawlers.identities.person import Person


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write(content, name="people.csv")`` puts a list into a folder of its own."""

    def to_file(content: str | bytes, name: str = "people.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


@pytest.fixture
def person() -> Callable[..., Person]:
    """``person("p1", name="Ada")``: a person of one row."""

    def made(identity: str, **values: object) -> Person:
        rows = ({"identity": identity},)
        return Person(**{"identity": identity, "name": identity, "rows": rows, **values})  # type: ignore[arg-type]

    return made
