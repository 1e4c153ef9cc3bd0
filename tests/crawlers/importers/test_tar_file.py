"""Members of tars: where their bytes lie, whatever wrote them; damage and lies cost little."""

from __future__ import annotations

import io
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.importers.tar_file import BrokenMember, TarMember, read_members
from facedata.errors import SourceError

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def make(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def read(data: bytes) -> list[TarMember | BrokenMember]:
    return list(read_members(io.BytesIO(data), len(data)))


def contents(data: bytes) -> dict[str, bytes]:
    return {
        item.name: data[item.offset : item.offset + item.size]
        for item in read(data)
        if isinstance(item, TarMember)
    }


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/\n"), min_size=1, max_size=150)


@given(st.dictionaries(NAMES, st.binary(max_size=1500), max_size=5), st.sampled_from(FORMATS[1:]))
def test_what_tarfile_writes_is_found(files: dict[str, bytes], form: int) -> None:
    assert contents(make(files, form)) == files


@pytest.mark.parametrize("form", FORMATS)
def test_folders_in_names(form: int) -> None:
    files = {f"{'a' * 60}/{'b' * 60}/1.jpg": b"x", "2.jpg": b""}
    assert contents(make(files, form)) == files


def test_links_and_devices_are_no_files() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo("../../etc/passwd")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    assert read(stream.getvalue()) == []


def checksummed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def with_size(size: bytes, kind: bytes = b"0") -> bytes:
    block = bytearray(make({"evil.jpg": b""})[:512])
    block[124:136] = size.ljust(12, b"\0")
    block[156:157] = kind
    return checksummed(block)


GOOD = {"1.jpg": b"one" * 300, "1.cls": b"7"}


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (b"1" * 512, "a header's checksum is wrong"),
        (with_size(b"20000000000"), "'evil.jpg' has 2147483648 bytes, beyond the end"),
        (with_size(b"\x80" + b"\xff" * 11), "beyond the end of the file"),
        (with_size(b"-1"), "a header has the number b'-1'"),
        (with_size(b"20000000000", b"L"), "beyond the end of the file"),
        (with_size(b"20000000000", b"x"), "beyond the end of the file"),
    ],
)
def test_damage_costs_one_member(block: bytes, problem: str) -> None:
    data = block + make(GOOD)
    [broken] = [item for item in read(data) if isinstance(item, BrokenMember)]
    assert broken.offset == 0
    assert problem in broken.problem
    assert contents(data) == GOOD


@pytest.mark.parametrize("kind", [b"L", b"x"])
def test_a_name_without_end_is_not_read(kind: bytes) -> None:
    size = 64 << 20
    data = with_size(b"%o" % size, kind) + bytes(size) + make(GOOD)
    tracemalloc.start()
    found = read(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert f"a name of {size} bytes" in [
        item.problem for item in found if isinstance(item, BrokenMember)
    ]
    assert contents(data) == GOOD


@pytest.mark.parametrize("text", [b"99 path=a\n", b"path=a\n", b"0 path=a\n", b"11 size=-4\n"])
def test_a_damaged_pax_header_costs_one_member(text: bytes) -> None:
    header = with_size(b"%o" % len(text), b"x") + text.ljust(512, b"\0")
    data = header + make(GOOD)
    assert any(isinstance(item, BrokenMember) for item in read(data))
    assert GOOD.items() >= contents(data).items()


def test_headers_before_headers_end() -> None:
    header = with_size(b"0", b"x")
    found = read(header * 50 + make(GOOD))
    assert any(
        isinstance(item, BrokenMember) and item.problem == "more than 8 headers before a file"
        for item in found
    )


@pytest.mark.parametrize("size", [0, 1, 511, 512, 600, 1500])
def test_a_tar_that_ends_early_keeps_its_whole_members(size: int) -> None:
    data = make(GOOD)[:size]
    assert GOOD.items() >= contents(data).items()


@pytest.mark.parametrize("begin", [b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"BZh9"])
def test_a_compressed_tar_is_refused(begin: bytes) -> None:
    with pytest.raises(SourceError, match="compressed, so that its images have no place"):
        read(begin + bytes(2000))


@given(st.binary(max_size=3000))
def test_any_bytes_are_read_to_their_end(data: bytes) -> None:
    try:
        found = read(data)
    except SourceError:
        return
    offsets = [item.offset for item in found]
    assert offsets == sorted(set(offsets))


def test_a_file_of_something_else_is_refused() -> None:
    # Each header is whole and says more than there is.
    with pytest.raises(SourceError, match="10000 places are no members"):
        read(with_size(b"77777777777") * 10_001)
