"""Versions: listed once their manifest is there, verified, compared; class indices are stable."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from facedata.errors import IntegrityError, VersionError
from facedata.records import LedgerRow, to_parquet
from facedata.review import CandidateRow
from facedata.storage import Storage
from facedata.versions import (
    EXCLUSION,
    IdentityListFacts,
    Manifest,
    ShardEntry,
    assign_class_indices,
    content_digest,
    diff_versions,
    latest_manifest,
    list_versions,
    next_version,
    read_manifest,
    verify_version,
)


def ledger_row(image: str, identity: str | None) -> LedgerRow:
    return LedgerRow(
        image_id=image * 64,
        source="folder",
        source_uri=f"{image}.jpg",
        claimed_identity="A",
        identity=identity,
        outcome="kept" if identity else "dropped",
        reason="main_cluster" if identity else "outlier",
        face_id=None,
        det_score=None,
        similarity=None,
    )


def release(storage: Storage, version: str, people: dict[str, str | None]) -> Manifest:
    """Write a tiny version by hand: image letter → identity."""
    kept = sum(identity is not None for identity in people.values())
    files = {
        "ledger.parquet": to_parquet(LedgerRow, [ledger_row(i, p) for i, p in people.items()]),
        "candidates.parquet": to_parquet(CandidateRow, []),
    }
    shard = b"tar"
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    shards = (
        ShardEntry(
            path="shards/train-000000.tar",
            images=kept,
            size_bytes=3,
            sha256=hashlib.sha256(shard).hexdigest(),
        ),
    )
    identities, retired = assign_class_indices(
        (p for p in people.values() if p), latest_manifest(storage, "set")
    )
    manifest = Manifest(
        version=version,
        parent=None,
        digest=content_digest(shards, digests, identities, {}),
        recipe={},
        recipe_digest="",
        code_version="0",
        models={},
        counts={
            "images": len(people),
            "kept": kept,
            "dropped": len(people) - kept,
            "moved": 0,
            "held": 0,
        },
        shards=shards,
        files=digests,
        identities=identities,
        retired=retired,
    )
    for name, data in {**files, "shards/train-000000.tar": shard}.items():
        storage.write(f"versions/{version}/{name}", data)
    storage.write(f"versions/{version}/manifest.json", manifest.to_json())
    return manifest


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


def test_the_certificate_of_exclusion_is_part_of_the_content() -> None:
    files = {"ledger.parquet": "1", "candidates.parquet": "2", "report/index.html": "3"}
    without = content_digest([], files, {"A": 0}, {})
    assert content_digest([], files | {"report/index.html": "4"}, {"A": 0}, {}) == without
    excluded = content_digest([], files | {EXCLUSION: "5"}, {"A": 0}, {})
    assert excluded != without
    assert content_digest([], files | {EXCLUSION: "6"}, {"A": 0}, {}) != excluded


def test_a_manifest_comes_back(storage: Storage) -> None:
    manifest = release(storage, "set-v0001", {"a": "A", "b": None})
    assert read_manifest(storage, "set-v0001") == manifest
    assert verify_version(storage, "set-v0001") == []


def test_the_identity_lists_of_crawls_are_in_the_manifest(storage: Storage) -> None:
    without = release(storage, "set-v0001", {"a": "A"})
    listed = IdentityListFacts(
        source="crawl",
        sha256="0" * 64,
        people=2,
        author="Data team",
        purpose="Research",
        duplicates={"p2": "p1"},
    )
    manifest = replace(without, identity_lists=(listed,))
    assert Manifest.from_json(manifest.to_json(), "x") == manifest
    # A version without a crawl has the bytes it always had.
    assert b"identity_lists" not in without.to_json()


def test_a_damaged_identity_list_is_a_damaged_manifest(storage: Storage) -> None:
    without = release(storage, "set-v0001", {"a": "A"})
    damaged = without.to_json().replace(b'"files"', b'"identity_lists": [{"people": 1}], "files"')
    with pytest.raises(IntegrityError, match="x: manifest damaged"):
        Manifest.from_json(damaged, "x")


def test_a_folder_without_manifest_is_no_version(storage: Storage) -> None:
    release(storage, "set-v0001", {"a": "A"})
    storage.write("versions/set-v0002/ledger.parquet", b"half")
    storage.write("versions/set-v0010/manifest.json", b"{}")
    storage.write("versions/other-set-v0001/manifest.json", b"{}")
    assert list_versions(storage, "set") == ["set-v0001", "set-v0010"]
    assert next_version(storage, "set") == "set-v0011"
    assert next_version(storage, "new") == "new-v0001"


@pytest.mark.parametrize("name", ["set-v0009", "../set-v0001", "set", ""])
def test_an_unknown_version_is_named(storage: Storage, name: str) -> None:
    release(storage, "set-v0001", {"a": "A"})
    with pytest.raises(VersionError, match="released versions: set-v0001"):
        read_manifest(storage, name)


def test_verify_sees_every_change(storage: Storage) -> None:
    release(storage, "set-v0001", {"a": "A", "b": None})
    storage.write("versions/set-v0001/shards/train-000000.tar", b"tampered")
    storage.remove("versions/set-v0001/candidates.parquet")
    assert verify_version(storage, "set-v0001") == [
        "candidates.parquet: missing",
        "shards/train-000000.tar: content is not what the manifest says",
    ]


def test_verify_recomputes_the_digest(storage: Storage) -> None:
    manifest = release(storage, "set-v0001", {"a": "A"})
    changed = manifest.to_json().replace(b'"A": 0', b'"A": 7')
    storage.write("versions/set-v0001/manifest.json", changed)
    (problem,) = verify_version(storage, "set-v0001")
    assert problem.startswith("manifest.json: digest is")


def test_class_indices_stay_and_are_never_reused(storage: Storage) -> None:
    first = release(storage, "set-v0001", {"a": "A", "b": "B", "c": "C"})
    second = release(storage, "set-v0002", {"a": "A", "b": "A", "c": "C", "d": "Aa"})
    third = release(storage, "set-v0003", {"a": "A", "b": "B", "c": "C", "d": "D"})
    assert first.identities == {"A": 0, "B": 1, "C": 2}
    assert second.identities == {"A": 0, "Aa": 3, "C": 2}
    assert second.retired == {"B": 1}
    assert third.identities == {"A": 0, "B": 1, "C": 2, "D": 4}
    assert third.retired == {"Aa": 3}


def test_diff_counts_photos_and_people(storage: Storage) -> None:
    release(storage, "set-v0001", {"a": "A", "b": "B", "c": None})
    release(storage, "set-v0002", {"a": "A", "b": "A", "c": "C"})
    diff = diff_versions(storage, "set-v0001", "set-v0002")
    assert (diff.identities_added, diff.identities_removed) == (("C",), ("B",))
    assert (diff.photos_added, diff.photos_removed, diff.photos_relabelled) == (1, 0, 1)
