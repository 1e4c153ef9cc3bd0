from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawlers.importers.tar_file import TarMember, read_members
from crawlers.ledger.shards import RawShards, Shard, shard_path

BODIES = st.lists(
    st.binary(max_size=1_500).map(lambda data: b"\xff\xd8\xff" + data), unique=True, max_size=12
)


def named(bodies: list[bytes]) -> dict[str, bytes]:
    return {hashlib.sha256(body).hexdigest(): body for body in bodies}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(groups=st.lists(BODIES, max_size=3), shard_bytes=st.integers(1, 9_000))
def test_every_body_lies_where_it_is_said_to_and_every_tar_is_a_tar(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[bytes]], shard_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("crawl")
    shards = RawShards(folder, None, shard_bytes)
    known: dict[int, Shard] = {}
    places = []
    for group in groups:
        placed = shards.append(named(group))
        places += placed.places
        known |= {shard.number: shard for shard in placed.shards}
    shards.close()
    everything = {sha256: body for group in groups for sha256, body in named(group).items()}
    assert {place.sha256.hex() for place in places} == everything.keys()
    for place in places:
        data = shard_path(folder, place.shard).read_bytes()
        body = data[place.offset : place.offset + place.size_bytes]
        assert hashlib.sha256(body).digest() == place.sha256
        assert place.offset + place.size_bytes <= known[place.shard].length
    for number in known:
        assert read_twice(shard_path(folder, number)) == [
            f"{place.sha256.hex()}.jpg" for place in places if place.shard == number
        ]


def read_twice(path: Path) -> list[str]:
    """Names in a tar, which the importer and Python agree on."""
    with path.open("rb") as stream:
        found = list(read_members(stream, path.stat().st_size))
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    assert [one.name for one in found if isinstance(one, TarMember)] == [m.name for m in members]
    assert {(m.mtime, m.mode, m.uid, m.uname) for m in members} <= {(0, 0o644, 0, "")}
    return [member.name for member in members]


def test_the_name_says_what_the_bytes_are(tmp_path: Path) -> None:
    bodies = {
        "jpg": b"\xff\xd8\xff1",
        "png": b"\x89PNG\r\n\x1a\n1",
        "webp": b"RIFF1234WEBP",
        "tif": b"II*\x001",
        "bin": b"whatever",
    }
    shards = RawShards(tmp_path, None)
    placed = shards.append(named(list(bodies.values())))
    shards.close()
    assert [Path(name).suffix[1:] for name in read_twice(shard_path(tmp_path, 0))] == list(bodies)
    assert placed.places[1].media_type == "image/png"


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar command")
@pytest.mark.parametrize("is_whole", [True, False])
def test_the_tar_command_reads_a_shard_also_one_without_its_end(
    tmp_path: Path, is_whole: bool
) -> None:
    bodies = named([b"\xff\xd8\xff" + bytes([n]) * 700 * n for n in range(20)])
    shards = RawShards(tmp_path, None)
    shards.append(bodies)
    shards.close(is_whole=is_whole)
    listed = subprocess.run(
        ["tar", "tf", shard_path(tmp_path, 0)], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == [f"{sha256}.jpg" for sha256 in bodies]
    assert listed.stderr == ""


def test_what_the_ledger_does_not_know_is_cut_off(tmp_path: Path) -> None:
    shards = RawShards(tmp_path, None)
    (known,) = shards.append(named([b"one"])).shards
    shards.append(named([b"two"]))
    shards.close(is_whole=False)
    path = shard_path(tmp_path, 0)
    os.truncate(path, path.stat().st_size - 100)
    shards = RawShards(tmp_path, known)
    assert path.stat().st_size == known.length == 1_024
    shards.append(named([b"three"]))
    shards.close()
    assert len(read_twice(path)) == 2


def test_a_shard_of_which_the_ledger_knows_nothing_is_begun_anew(tmp_path: Path) -> None:
    shards = RawShards(tmp_path, None, shard_bytes=1)
    first, _ = shards.append(named([b"one", b"two"])).shards
    shards.close(is_whole=False)
    assert first.is_closed
    shards = RawShards(tmp_path, first, shard_bytes=1)
    assert shard_path(tmp_path, 1).stat().st_size == 0
    assert [place.shard for place in shards.append(named([b"two"])).places] == [1]
    shards.close()
