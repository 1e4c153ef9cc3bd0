"""Files of sets, near and far: found, and told of in one line when they cannot be read."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from crawlers.importers.listing import LeftOut, Notes, find_files, opened, short_names, state_of
from facedata.errors import SourceError, StorageError
from facedata.location import read_location


class Silent(http.server.SimpleHTTPRequestHandler):
    """A server that knows no ranges, as many do."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a plain server that gives the files of ``tmp_path``."""
    handler = functools.partial(Silent, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_without_ranges_is_told_of(web: str, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    (tmp_path / "a.tar").write_bytes(bytes(10_000))
    with pytest.raises(StorageError, match="its server sends whole files only"):
        read_location(f"range:512+3:{web}/a.tar")
    (tmp_path / "large.tar").write_bytes(bytes(12 << 20))
    with (
        pytest.raises(SourceError, match="its server sends whole files only"),
        opened(f"{web}/large.tar"),
    ):
        pass
    with pytest.raises(SourceError, match=r"none\.tar' cannot be found"):
        state_of(f"{web}/none.tar")


@pytest.mark.parametrize("pattern", ["nowhere://bucket/a.tar", "nowhere://bucket/*.tar"])
def test_an_unknown_kind_of_place_is_one_line(pattern: str) -> None:
    with pytest.raises(SourceError, match="Protocol not known: nowhere") as caught:
        find_files(pattern)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(SourceError, match=r"none' cannot be read \(No such file"),
        opened(str(tmp_path / "none")),
    ):
        pass


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (ConnectionResetError("reset"), StorageError),
        (TimeoutError("timeout"), StorageError),
        (PermissionError(13, "denied"), SourceError),
    ],
)
def test_what_may_pass_is_no_wrong_request(problem: OSError, error: type[Exception]) -> None:
    fsspec.filesystem("memory").pipe_file("/set/a.tar", b"x")
    with pytest.raises(error, match="cannot be read"), opened("memory://set/a.tar"):
        raise problem


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["/a/b/1.tar"], ["1.tar"]),
        (["/a/b/1.tar", "/a/b/2.tar"], ["1.tar", "2.tar"]),
        (["/a/b/1.tar", "/a/c/1.tar"], ["b/1.tar", "c/1.tar"]),
        (["s3://x/1.tar", "s3://x/y/1.tar"], ["1.tar", "y/1.tar"]),
    ],
)
def test_short_names_differ(files: list[str], names: list[str]) -> None:
    assert short_names(files) == names


def test_notes_count_by_cause_and_keep_the_first() -> None:
    notes = Notes()
    notes.leave_out(LeftOut.TOO_LARGE, "row 1")
    notes.leave_out(LeftOut.DAMAGED, "byte 8: wrong", 3)
    notes.leave_out(LeftOut.DAMAGED, "byte 99: wrong")
    assert notes.lines("a.rec") == [
        "a.rec: 4 left out as damaged, the first: byte 8: wrong",
        "a.rec: 1 left out as too_large, the first: row 1",
    ]
