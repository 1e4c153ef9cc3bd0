from __future__ import annotations

from pathlib import Path

import pytest

from crawlers.url_ledger import ImageRow, LedgerWriter, PageRow, read_rows
from facedata.errors import IntegrityError

WHEN = "2026-01-02T03:04:05+00:00"
PAGE = PageRow(
    identity="Zoë \u2028 🦊",
    site="s",
    spider="gallery",
    url="http://x/p",
    page_url=None,
    fetched_at=WHEN,
    http_status=200,
    image_urls=("http://x/1", "http://x/2"),
    next_url="http://x/p2",
)
IMAGE = ImageRow(
    identity="Bo",
    site="s",
    spider="gallery",
    url="http://x/1",
    page_url="http://x/p",
    fetched_at=WHEN,
    cause="timeout",
)


def write(path: Path, *rows: PageRow | ImageRow) -> None:
    ledger = LedgerWriter(path)
    for row in rows:
        ledger.append(row)
    ledger.close()


def test_rows_come_back_as_written(tmp_path: Path) -> None:
    write(tmp_path / "l", PAGE, IMAGE)
    write(tmp_path / "l", IMAGE)
    assert list(read_rows(tmp_path / "l")) == [PAGE, IMAGE, IMAGE]
    assert list(read_rows(tmp_path / "none")) == []


def test_a_ledger_cut_anywhere_keeps_every_whole_line(tmp_path: Path) -> None:
    write(tmp_path / "l", PAGE, IMAGE)
    whole = (tmp_path / "l").read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:end])
        kept = [PAGE] if end >= first else []
        assert list(read_rows(tmp_path / "cut")) == kept
    write(tmp_path / "cut", IMAGE)
    assert list(read_rows(tmp_path / "cut")) == [PAGE, IMAGE]


def test_a_cut_off_line_longer_than_a_block_is_dropped(tmp_path: Path) -> None:
    write(tmp_path / "l", PAGE)
    with (tmp_path / "l").open("ab") as stream:
        stream.write(b"x" * 200_000)
    write(tmp_path / "l", IMAGE)
    assert list(read_rows(tmp_path / "l")) == [PAGE, IMAGE]


@pytest.mark.parametrize(
    "line", [b"not json\n", b'{"kind":"song"}\n', b'{"kind":"page"}\n', b"3\n"]
)
def test_a_damaged_line_is_an_error_that_names_it(tmp_path: Path, line: bytes) -> None:
    write(tmp_path / "l", PAGE)
    with (tmp_path / "l").open("ab") as stream:
        stream.write(line)
    with pytest.raises(IntegrityError, match=r"/l:2: not a ledger line"):
        list(read_rows(tmp_path / "l"))
