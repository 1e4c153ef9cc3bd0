from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from crawlers.identities.read_list import read_list
from crawlers.people import ListedPerson, rows_of, start_url
from facedata.errors import SourceError


@dataclass(frozen=True)
class Gallery:
    name: str = "gallery"
    start_url: str = "https://example.org/{slug}?name={identity}"


SITE = Gallery()


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "people.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_reads_rows_in_order_and_normalises_names(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbfidentity, slug\n"Zoe\xcc\x88, x",zoe\n.., up \n')
    assert rows_of(read_list(path)) == [
        ListedPerson(identity="Zoë, x", columns={"identity": "Zoë, x", "slug": "zoe"}),
        ListedPerson(identity="..", columns={"identity": "..", "slug": "up"}),
    ]


def test_cells_cannot_change_the_shape_of_a_url(tmp_path: Path) -> None:
    path = write(tmp_path, 'identity,slug\n"a&b=c","../x?y#z"\n')
    url = start_url(SITE, rows_of(read_list(path))[0], path)
    assert url == "https://example.org/..%2Fx%3Fy%23z?name=a%26b%3Dc"


def test_an_empty_cell_means_no_start_page(tmp_path: Path) -> None:
    path = write(tmp_path, "identity,slug\nBo,\n")
    assert start_url(SITE, rows_of(read_list(path))[0], path) is None


def test_a_template_needs_its_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "identity,page\nBo,bo\n")
    with pytest.raises(SourceError, match=r"start_url has \{slug\}, but .*has the columns ident"):
        start_url(SITE, rows_of(read_list(path))[0], path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("name,slug\nBo,bo\n", "has no column 'identity'; its columns are ['name', 'slug']"),
        ("", "has no column 'identity'"),
        ("identity,slug,slug\nBo,a,b\n", "has two columns of one name"),
        ("identity,slug\n", "has no row below its header"),
        ("identity,slug\nBo,bo,more\n", "people.csv:2: more cells than the header"),
        ("identity,slug\nBo,bo\n ,x\n", "people.csv:3: identity name '' is empty"),
        (b"identity\n\xff\xfe\n", "is not UTF-8"),
        ('identity\n"Bo\n', "is not a CSV file"),
    ],
)
def test_unusable_lists_are_one_clear_error(
    tmp_path: Path, content: str | bytes, problem: str
) -> None:
    with pytest.raises(SourceError) as caught:
        read_list(write(tmp_path, content))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"people.csv cannot be read \(No such file"):
        read_list(tmp_path / "people.csv")
