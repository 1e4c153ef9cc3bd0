"""Stage results on disk, found again by what went into them.

A stage's key is the digest of its name, its own version, its configuration and the digests of
its inputs. Its files lie in ``stages/<stage>/<key>/``; ``manifest.json`` is written last and
marks them complete, so a run that was killed leaves nothing that a later one would trust.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from facedata.errors import IntegrityError
from facedata.storage import Storage

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """A completed stage: where its files are, what it counted, and the digest of its content."""

    stage: str
    key: str
    folder: str
    files: dict[str, str]
    """File name → sha256 in hex."""
    counts: dict[str, int]
    facts: dict[str, Any]
    """Small findings for later stages and the report, as JSON values."""
    resumed: bool = field(default=False, compare=False)
    """Whether it was found complete rather than computed now."""

    @property
    def digest(self) -> str:
        """Sha256 in hex over the names and content of the files."""
        return digest_of(self.files)

    def path(self, name: str) -> str:
        """Path in the workspace of one of the files."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutput:
    """What a stage function returns: files by name, counts and facts."""

    files: Mapping[str, bytes]
    counts: dict[str, int]
    facts: dict[str, Any] = field(default_factory=dict)


def digest_of(value: Any) -> str:
    """Sha256 in hex of a JSON value, independent of key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def stage_key(
    stage: str, version: int, config: Mapping[str, Any], inputs: Mapping[str, Any]
) -> str:
    """The content key of a stage run: 32 hex digits."""
    parts = {"stage": stage, "version": version, "config": config, "inputs": inputs}
    return digest_of(parts)[:32]


def run_stage(
    storage: Storage, stage: str, key: str, compute: Callable[[], StageOutput]
) -> StageResult:
    """Return the stage's result, computing and storing it only when it is not there yet.

    Raises:
        StorageError, WorkspaceError: when the result cannot be written.
        IntegrityError: when a completed stage's manifest is damaged.
    """
    found = find_stage(storage, stage, key)
    if found is not None:
        return found
    output = compute()
    folder = f"stages/{stage}/{key}"
    files = {}
    for name, data in sorted(output.files.items()):
        storage.write(f"{folder}/{name}", data)
        files[name] = hashlib.sha256(data).hexdigest()
    manifest = {"files": files, "counts": output.counts, "facts": output.facts}
    text = json.dumps(manifest, sort_keys=True, indent=1)
    storage.write(f"{folder}/{_MANIFEST}", text.encode())
    return StageResult(
        stage=stage,
        key=key,
        folder=folder,
        files=files,
        counts=output.counts,
        facts=json.loads(text)["facts"],
    )


def find_stage(storage: Storage, stage: str, key: str) -> StageResult | None:
    """The completed result under this key, or None.

    Raises:
        IntegrityError: when its manifest is damaged.
    """
    folder = f"stages/{stage}/{key}"
    if not storage.exists(f"{folder}/{_MANIFEST}"):
        return None
    try:
        manifest = json.loads(storage.read(f"{folder}/{_MANIFEST}"))
        return StageResult(
            stage=stage,
            key=key,
            folder=folder,
            files=manifest["files"],
            counts=manifest["counts"],
            facts=manifest["facts"],
            resumed=True,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{storage.url(folder)}: manifest damaged ({error}); remove the folder and run again"
        ) from error
