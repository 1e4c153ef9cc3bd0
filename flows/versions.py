"""Answers of ``winnow versions``: JSON values, and the lines that show them to people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from cleaning.export.folders import export_folders
from cleaning.export.recordio import export_recordio
from cleaning.export.released import ReleasedVersion
from facedata.storage import Storage
from facedata.versions import (
    Manifest,
    diff_versions,
    list_versions,
    read_manifest,
    verify_version,
)

Answer = dict[str, Any]


def list_all(workspace: str) -> Answer:
    """Every released version, oldest first within its data set."""
    storage = Storage(workspace)
    return {
        "versions": [_headline(read_manifest(storage, name)) for name in list_versions(storage)]
    }


def list_lines(result: Answer) -> list[str]:
    """One line per version."""
    if not result["versions"]:
        return ["no version released yet; run: winnow build RECIPE --workspace DIR"]
    return [
        f"{v['version']}  {v['identities']} identities, {v['shipped']} photos  "
        f"digest {v['digest'][:12]}  parent {v['parent'] or 'none'}"
        for v in result["versions"]
    ]


def _headline(manifest: Manifest) -> Answer:
    return {
        "version": manifest.version,
        "parent": manifest.parent,
        "digest": manifest.digest,
        "identities": len(manifest.identities),
        "shipped": manifest.counts["kept"] + manifest.counts["moved"],
        "counts": manifest.counts,
    }


def show(workspace: str, version: str) -> Answer:
    """One version's manifest, without the list of identities."""
    storage = Storage(workspace)
    manifest = read_manifest(storage, version)
    return {
        **_headline(manifest),
        "recipe": manifest.recipe,
        "recipe_digest": manifest.recipe_digest,
        "code_version": manifest.code_version,
        "models": manifest.models,
        "retired": manifest.retired,
        "identity_lists": [asdict(one) for one in manifest.identity_lists],
        "shards": [asdict(shard) for shard in manifest.shards],
        "folder": storage.url(f"versions/{version}"),
    }


def show_lines(result: Answer) -> list[str]:
    """The facts about one version, one per line."""
    counts = result["counts"]
    shards = result["shards"]
    return [
        f"{result['version']} (parent {result['parent'] or 'none'})",
        f"  digest      {result['digest']}",
        f"  identities  {result['identities']}, retired {len(result['retired'])}",
        f"  photos      {counts['images']} in = {counts['kept']} kept + {counts['moved']} moved "
        f"+ {counts['dropped']} dropped + {counts['held']} held",
        f"  shards      {len(shards)}, {sum(s['size_bytes'] for s in shards) / 1e6:.1f} MB",
        *(f"  model       {name} sha256 {sha[:12]}" for name, sha in result["models"].items()),
        *(
            f"  list        {one['source']}: {one['people']} people by {one['author']} for "
            f"{one['purpose']}, sha256 {one['sha256'][:12]}"
            for one in result["identity_lists"]
        ),
        f"  code        {result['code_version']}",
        f"  folder      {result['folder']}",
    ]


def diff(workspace: str, old: str, new: str) -> Answer:
    """What changed between two versions."""
    return {"old": old, "new": new, **asdict(diff_versions(Storage(workspace), old, new))}


def diff_lines(result: Answer) -> list[str]:
    """The changes, one per line."""
    return [
        f"{result['old']} → {result['new']}",
        *(f"  + identity {name}" for name in result["identities_added"]),
        *(f"  - identity {name}" for name in result["identities_removed"]),
        f"  photos: {result['photos_added']} added, {result['photos_removed']} removed, "
        f"{result['photos_relabelled']} under another identity",
    ]


def verify(workspace: str, version: str) -> Answer:
    """Whether a version's files are what its manifest says."""
    problems = verify_version(Storage(workspace), version)
    return {"version": version, "ok": not problems, "problems": problems}


def verify_lines(result: Answer) -> list[str]:
    """One line when all is well, one per problem otherwise."""
    if result["ok"]:
        return [f"{result['version']}: every file is what the manifest says"]
    return [f"{result['version']}: {problem}" for problem in result["problems"]]


ExportFormat = Literal["recordio", "folders"]
"""Forms that a version is written in for other programs."""

_EXPORTS: dict[ExportFormat, Callable[[ReleasedVersion, Path], dict[str, int]]] = {
    "recordio": export_recordio,
    "folders": export_folders,
}


def export(workspace: str, version: str, form: ExportFormat, to: Path) -> Answer:
    """Write a version's images in another form, in a new folder."""
    storage = Storage(workspace)
    released = ReleasedVersion(storage, read_manifest(storage, version))
    counts = _EXPORTS[form](released, to)
    return {"version": version, "format": form, "to": str(to), **counts}


def export_lines(result: Answer) -> list[str]:
    """What was written where."""
    return [
        f"{result['version']} as {result['format']}: {result['images']} images of "
        f"{result['identities']} identities in {result['to']}"
    ]
