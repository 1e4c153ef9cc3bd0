"""Released versions: their names, manifests and class indices, and what can be asked of them.

A version is a folder ``versions/<name>-v<0001…>/``. It exists once its ``manifest.json`` is
there, which is written last; a folder without one is an unfinished release and is not listed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from facedata.errors import IntegrityError, VersionError
from facedata.ledger import check_complete, count_outcomes
from facedata.records import LedgerRow
from facedata.stages import digest_of
from facedata.storage import Storage

MANIFEST = "manifest.json"
LEDGER = "ledger.parquet"
CANDIDATES = "candidates.parquet"
REPORT = "report/index.html"
CROISSANT = "croissant.json"
PROVENANCE = "provenance.parquet"
"""Where each row of the ledger came from; its times differ when the same is crawled again."""
EXCLUSION = "exclusion.parquet"
"""The certificate of exclusion, in versions whose recipe excludes sets."""
_NAME = re.compile(r"^(?P<dataset>[a-z0-9][a-z0-9-]{0,63})-v(?P<number>\d{4,})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEntry:
    """One shard file: path below the version, images in it, bytes, sha256 in hex."""

    path: str
    images: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityListFacts:
    """Who was to be crawled for a source, on whose word and for what, as a version records it."""

    source: str
    sha256: str
    """Of the list's file, in hex."""
    people: int
    author: str | None
    purpose: str | None
    duplicates: dict[str, str]
    """Id that stood for a person listed before → the id the person is listed under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a version is; ``digest`` names its content whatever the version is called."""

    version: str
    parent: str | None
    digest: str
    recipe: dict[str, Any]
    recipe_digest: str
    code_version: str
    models: dict[str, str]
    """Model file name → sha256 in hex."""
    counts: dict[str, int]
    shards: tuple[ShardEntry, ...]
    files: dict[str, str]
    """Path below the version → sha256 in hex, for every file but shards and the manifest."""
    identities: dict[str, int]
    """Identity → class index."""
    retired: dict[str, int]
    """Identities of earlier versions that are no longer there → their class index."""
    identity_lists: tuple[IdentityListFacts, ...] = ()
    """The lists of people whose photos were crawled, one for each crawl source."""

    def to_json(self) -> bytes:
        """The manifest file: the same manifest gives the same bytes."""
        values = asdict(self)
        if not self.identity_lists:
            del values["identity_lists"]
        return (json.dumps(values, sort_keys=True, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, origin: str) -> Manifest:
        """Read a manifest file.

        Raises:
            IntegrityError: when it is damaged.
        """
        try:
            values = json.loads(data)
            values["shards"] = tuple(ShardEntry(**shard) for shard in values["shards"])
            lists = values.get("identity_lists", ())
            values["identity_lists"] = tuple(IdentityListFacts(**one) for one in lists)
            return cls(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{origin}: manifest damaged ({error})") from error


def content_digest(
    shards: Iterable[ShardEntry],
    files: Mapping[str, str],
    identities: Mapping[str, int],
    models: Mapping[str, str],
) -> str:
    """Digest of what a version holds: shards, ledger, candidates, class indices, models, and the
    certificate of exclusion where there is one.

    The report and the data card carry the version's name and provenance carries times: they are
    left out, so that building the same thing again is recognised whatever number it would get.
    """
    content = {
        "shards": [[shard.path, shard.images, shard.sha256] for shard in shards],
        "ledger": files[LEDGER],
        "candidates": files[CANDIDATES],
        "identities": dict(identities),
        "models": dict(models),
    }
    if EXCLUSION in files:
        content["exclusion"] = files[EXCLUSION]
    return digest_of(content)


def assign_class_indices(
    identities: Iterable[str], parent: Manifest | None
) -> tuple[dict[str, int], dict[str, int]]:
    """Give every identity its class index.

    An identity keeps the index it had in the parent or any version before; new ones are numbered
    on from the highest ever used, in order of name. Indices of identities that are gone stay
    reserved for them.

    Returns:
        Identity → index for the new version, and the retired ones.
    """
    known = {**parent.retired, **parent.identities} if parent else {}
    following = max(known.values(), default=-1) + 1
    assigned: dict[str, int] = {}
    for identity in sorted(set(identities)):
        if identity in known:
            assigned[identity] = known[identity]
        else:
            assigned[identity] = following
            following += 1
    retired = {name: index for name, index in known.items() if name not in assigned}
    return dict(sorted(assigned.items())), dict(sorted(retired.items()))


def version_name(dataset: str, number: int) -> str:
    """``politicians``, 3 → ``politicians-v0003``."""
    return f"{dataset}-v{number:04d}"


def list_versions(storage: Storage, dataset: str | None = None) -> list[str]:
    """Names of the released versions, of one data set or all, in order of name and number."""
    found = []
    for name in storage.names("versions"):
        match = _NAME.match(name)
        if match and dataset in {None, match["dataset"]} and storage.exists(manifest_path(name)):
            found.append((match["dataset"], int(match["number"]), name))
    return [name for _, _, name in sorted(found)]


def latest_manifest(storage: Storage, dataset: str) -> Manifest | None:
    """The newest released version of a data set, or None."""
    names = list_versions(storage, dataset)
    return read_manifest(storage, names[-1]) if names else None


def read_manifest(storage: Storage, version: str) -> Manifest:
    """Read a released version's manifest.

    Raises:
        VersionError: when there is no such version.
        IntegrityError: when the manifest is damaged.
    """
    if not _NAME.match(version) or not storage.exists(manifest_path(version)):
        known = ", ".join(list_versions(storage)) or "none"
        raise VersionError(
            f"version {version!r} is not in {storage.root}; released versions: {known}"
        )
    path = manifest_path(version)
    return Manifest.from_json(storage.read(path), storage.url(path))


def next_version(storage: Storage, dataset: str) -> str:
    """The name the next release of a data set gets."""
    names = list_versions(storage, dataset)
    number = int(names[-1].rsplit("-v", 1)[1]) + 1 if names else 1
    return version_name(dataset, number)


def verify_version(storage: Storage, version: str) -> list[str]:
    """Read every file of a version again and compare it with the manifest.

    Returns:
        One line per problem; empty when the version is whole.

    Raises:
        VersionError: when there is no such version.
    """
    manifest = read_manifest(storage, version)
    folder = f"versions/{version}"
    expected = {**manifest.files, **{shard.path: shard.sha256 for shard in manifest.shards}}
    problems = []
    for path, sha256 in sorted(expected.items()):
        if not storage.exists(f"{folder}/{path}"):
            problems.append(f"{path}: missing")
        elif hashlib.sha256(storage.read(f"{folder}/{path}")).hexdigest() != sha256:
            problems.append(f"{path}: content is not what the manifest says")
    if problems:
        return problems
    digest = content_digest(manifest.shards, manifest.files, manifest.identities, manifest.models)
    if digest != manifest.digest:
        problems.append(f"{MANIFEST}: digest is {manifest.digest}, content gives {digest}")
    return problems + _ledger_problems(
        storage.read_records(f"{folder}/{LEDGER}", LedgerRow), manifest
    )


def _ledger_problems(rows: list[LedgerRow], manifest: Manifest) -> list[str]:
    try:
        check_complete(manifest.counts["images"], rows)
    except IntegrityError as error:
        return [str(error)]
    counted = count_outcomes(rows)
    wrong = {name: n for name, n in counted.items() if manifest.counts.get(name) != n}
    problems = [
        f"{LEDGER}: {n} images {name}, manifest says {manifest.counts.get(name)}"
        for name, n in wrong.items()
    ]
    shipped = sum(shard.images for shard in manifest.shards)
    if shipped != counted["kept"] + counted["moved"]:
        problems.append(
            f"shards hold {shipped} images, ledger has {counted['kept']} kept and "
            f"{counted['moved']} moved"
        )
    return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDiff:
    """What changed from one version to another, by identity and by photo."""

    identities_added: tuple[str, ...]
    identities_removed: tuple[str, ...]
    photos_added: int
    photos_removed: int
    photos_relabelled: int


def diff_versions(storage: Storage, old: str, new: str) -> VersionDiff:
    """Compare two versions by the photos they ship.

    Raises:
        VersionError: when one of them is not there.
    """
    before, after = read_manifest(storage, old), read_manifest(storage, new)
    shipped_before, shipped_after = _shipped(storage, old), _shipped(storage, new)
    both = shipped_before.keys() & shipped_after.keys()
    return VersionDiff(
        identities_added=tuple(sorted(after.identities.keys() - before.identities.keys())),
        identities_removed=tuple(sorted(before.identities.keys() - after.identities.keys())),
        photos_added=len(shipped_after.keys() - both),
        photos_removed=len(shipped_before.keys() - both),
        photos_relabelled=sum(shipped_before[key] != shipped_after[key] for key in both),
    )


def _shipped(storage: Storage, version: str) -> dict[tuple[str, str, str], str]:
    rows = storage.read_records(f"versions/{version}/{LEDGER}", LedgerRow)
    return {
        (row.image_id, row.source_uri, row.claimed_identity): row.identity
        for row in rows
        if row.identity is not None
    }


def manifest_path(version: str) -> str:
    """Path in the workspace of a version's manifest."""
    return f"versions/{version}/{MANIFEST}"
