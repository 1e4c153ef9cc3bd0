"""Reading released shards: in place, from a URL through the cache, and when they fail."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from facedata.errors import IntegrityError, StorageError
from facedata.storage import Storage
from facedata.versions import Manifest
from training.data.released import training_set
from training.data.shards import ReadConfig, ShardStore

IDENTITIES = {"Ada": 0, "Bea": 1, "Cid": 3}
RETIRED = {"Old": 2}


@pytest.fixture
def manifest(tmp_path: Path, make_version) -> Manifest:
    return make_version(tmp_path / "set", IDENTITIES, retired=RETIRED, images=5, shard_images=4)


def store_of(root: str | Path, manifest: Manifest, cache: Path, **options) -> ShardStore:
    config = ReadConfig(cache=cache, attempts=3, wait_seconds=0.001, **options)
    return ShardStore(training_set(str(root), manifest, None), config)


@pytest.fixture
def store(tmp_path: Path, manifest: Manifest) -> ShardStore:
    return store_of(tmp_path / "set", manifest, tmp_path / "cache")


def shard_path(tmp_path: Path, manifest: Manifest, number: int) -> Path:
    return tmp_path / "set" / "versions" / manifest.version / manifest.shards[number].path


def all_of(store: ShardStore) -> list[tuple[bytes, int]]:
    shards = enumerate(store.training_set.shards)
    return [store.read(number, row) for number, shard in shards for row in range(shard.images)]


def test_every_sample_can_be_read(store: ShardStore) -> None:
    found = all_of(store)

    assert sorted(label for _, label in found) == [0] * 5 + [1] * 5 + [3] * 5
    assert all(data.startswith(b"\xff\xd8") for data, _ in found)
    assert len({data for data, _ in found}) == 15


def test_a_copy_in_another_process_reads_the_same(store: ShardStore) -> None:
    expected = store.read(1, 2)

    assert pickle.loads(pickle.dumps(store)).read(1, 2) == expected


def test_checking_says_which_classes_there_are(store: ShardStore) -> None:
    seen = store.classes_seen(range(4), threads=2)

    assert np.flatnonzero(seen).tolist() == [0, 1, 3]
    assert len(seen) == 4


def test_a_changed_shard_is_named(tmp_path: Path, manifest: Manifest, store: ShardStore) -> None:
    path = shard_path(tmp_path, manifest, 2)
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)

    with pytest.raises(IntegrityError, match=r"train-000002\.tar: sha256 is .* the manifest says"):
        store.classes_seen(range(4), threads=2)


def test_a_missing_shard_is_named_after_all_attempts(
    tmp_path: Path, manifest: Manifest, store: ShardStore
) -> None:
    shard_path(tmp_path, manifest, 1).unlink()

    with pytest.raises(StorageError, match=r"train-000001\.tar: cannot be read after 3 attempts"):
        store.read(1, 0)


def test_a_shard_that_shrank_is_named(
    tmp_path: Path, manifest: Manifest, store: ShardStore
) -> None:
    store.read(0, 0)
    shard_path(tmp_path, manifest, 0).write_bytes(b"short")

    with pytest.raises(StorageError, match=r"train-000000\.tar: .*ends after 0 of \d+ bytes"):
        store.read(0, 3)


def test_a_shard_that_comes_back_is_read(
    tmp_path: Path, manifest: Manifest, store: ShardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shard_path(tmp_path, manifest, 1)
    away = path.rename(path.with_suffix(".away"))
    waits: list[float] = []

    def come_back(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            away.rename(path)

    monkeypatch.setattr("training.data.shards.time.sleep", come_back)

    data, _ = store.read(1, 0)

    assert data.startswith(b"\xff\xd8")
    assert waits == [0.001, 0.002]


def test_a_shard_of_another_size_is_named(
    tmp_path: Path, manifest: Manifest, store: ShardStore
) -> None:
    shard_path(tmp_path, manifest, 3).write_bytes(b"")

    with pytest.raises(IntegrityError, match=r"train-000003\.tar: is 0 bytes, the manifest says"):
        store.read(3, 0)


def test_a_shard_with_another_number_of_images_is_named(tmp_path: Path, store: ShardStore) -> None:
    described = store.training_set
    shards = tuple(replace(shard, images=shard.images + 1) for shard in described.shards)
    config = ReadConfig(cache=tmp_path / "cache", attempts=1)

    wrong = ShardStore(replace(described, shards=shards), config)

    with pytest.raises(IntegrityError, match=r"holds 4 images, the manifest says 5"):
        wrong.read(0, 0)


@pytest.mark.parametrize("left", [0, 50])
def test_a_damaged_index_is_made_again(
    tmp_path: Path, manifest: Manifest, store: ShardStore, left: int
) -> None:
    expected = store.read(0, 0)
    kept = tmp_path / "cache" / "index" / f"{manifest.shards[0].sha256}.npz"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:left])

    assert store_of(tmp_path / "set", manifest, tmp_path / "cache").read(0, 0) == expected
    assert kept.read_bytes() == whole


class TestRemote:
    """The same version behind a URL that is not a local file."""

    @pytest.fixture
    def root(self, tmp_path: Path, manifest: Manifest) -> str:
        memory = fsspec.filesystem("memory")
        url = f"memory://{tmp_path.name}"
        local = Storage(tmp_path / "set")
        for shard in manifest.shards:
            path = f"versions/{manifest.version}/{shard.path}"
            memory.pipe_file(f"/{tmp_path.name}/{path}", local.read(path))
        return url

    def test_samples_are_the_same(
        self, tmp_path: Path, manifest: Manifest, store: ShardStore, root: str
    ) -> None:
        remote = store_of(root, manifest, tmp_path / "remote-cache")

        assert all_of(remote) == all_of(store)

    def test_the_cache_stays_below_its_limit(
        self, tmp_path: Path, manifest: Manifest, root: str
    ) -> None:
        limit = 2 * max(shard.size_bytes for shard in manifest.shards)
        cache = tmp_path / "remote-cache"
        remote = store_of(root, manifest, cache, cache_bytes=limit)

        all_of(remote)
        assert all_of(remote)[0] == remote.read(0, 0)

        assert 0 < sum(path.stat().st_size for path in cache.glob("shards/*.tar")) <= limit

    def test_a_changed_shard_is_named(self, tmp_path: Path, manifest: Manifest, root: str) -> None:
        path = f"/{tmp_path.name}/versions/{manifest.version}/{manifest.shards[1].path}"
        fsspec.filesystem("memory").pipe_file(path, b"something else")
        remote = store_of(root, manifest, tmp_path / "remote-cache")

        with pytest.raises(IntegrityError, match=r"memory://.*train-000001\.tar: sha256 is"):
            remote.read(1, 0)


class TestServer:
    """The same version on a web server that fails now and then."""

    @pytest.fixture
    def remote(self, tmp_path: Path, manifest: Manifest, file_server: Any) -> ShardStore:
        return store_of(f"{file_server.url}/set", manifest, tmp_path / "remote-cache")

    @pytest.mark.parametrize("fault", ["503", "cut", "flip", "404"])
    def test_what_fails_twice_is_asked_for_again(
        self, fault: str, store: ShardStore, remote: ShardStore, file_server: Any
    ) -> None:
        file_server.faults = [fault, fault]

        assert remote.read(0, 0) == store.read(0, 0)
        assert len(file_server.asked) == 3

    @pytest.mark.parametrize(
        ("fault", "error", "problem"),
        [
            ("503", StorageError, r"cannot be read after 3 attempts \(.*503, message="),
            ("cut", StorageError, r"cannot be read after 3 attempts \(.*not completed"),
            ("404", StorageError, r"cannot be read after 3 attempts \(.*it is not there\)"),
            ("flip", IntegrityError, "sha256 is .*, the manifest says"),
        ],
    )
    def test_what_always_fails_is_reported_after_all_attempts(
        self, fault: str, error: type, problem: str, remote: ShardStore, file_server: Any
    ) -> None:
        file_server.faults = [fault] * 9

        with pytest.raises(error, match=rf"train-000002\.tar: {problem}") as caught:
            remote.read(2, 0)

        assert type(caught.value) is error
        assert len(file_server.asked) == 3
        assert "\n" not in str(caught.value)

    def test_a_server_without_ranges_will_do(
        self, store: ShardStore, remote: ShardStore, file_server: Any
    ) -> None:
        file_server.ranges = False

        assert all_of(remote) == all_of(store)

    def test_a_cached_shard_that_was_cut_off_is_fetched_again(
        self, tmp_path: Path, manifest: Manifest, remote: ShardStore
    ) -> None:
        expected = remote.read(0, 0)
        remote.close()
        kept = tmp_path / "remote-cache" / "shards" / f"{manifest.shards[0].sha256}.tar"
        kept.write_bytes(kept.read_bytes()[:100])

        assert remote.read(0, 0) == expected
