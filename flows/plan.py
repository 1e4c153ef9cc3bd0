"""``winnow build --dry-run``: check everything that can be checked, and say what would be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cleaning.faces.pack import find_pack
from crawlers.importers.folder import list_folder, survey_folder
from crawlers.importers.identity_rule import identity_rule
from crawlers.importers.imports import IMPORTERS, class_names, count_import
from crawlers.people import load_people
from crawlers.sites import load_sites
from facedata.options import Source
from facedata.recipe import load_recipe, resolve_paths
from facedata.storage import Storage
from facedata.versions import list_versions, next_version
from flows.job import pack_location
from flows.review_server import read_controls

Answer = dict[str, Any]


def plan(recipe_path: Path, workspace: str) -> Answer:
    """What a build would read and release; nothing is written, fetched or downloaded.

    Raises:
        RequestError: as a build would.
    """
    recipe = load_recipe(recipe_path)
    resolved = resolve_paths(recipe, recipe_path.resolve().parent)
    models = find_pack(pack_location(resolved.models))
    read_controls(resolved)
    storage = Storage(workspace)
    sources = {
        name: _source(name, source)
        for name, source in zip(recipe.source_names(), resolved.sources, strict=True)
    }
    return {
        "recipe": recipe.name,
        "digest": recipe.digest(),
        "models": str(models),
        "sources": sources,
        "released": list_versions(storage, recipe.name),
        "next": next_version(storage, recipe.name),
    }


def _source(name: str, source: Source) -> Answer:
    if source.kind in IMPORTERS:
        class_names(name, source)
        return {"kind": source.kind, **count_import(source)}
    if source.folder is not None:
        folder = Path(source.folder.path)
        survey = survey_folder(folder, identity_rule(source.folder.identity))
        images = list(list_folder(folder, name, survey))
        return {
            "kind": "folder",
            "images": len(images),
            "identities": len({image.claimed_identity for image in images}),
        }
    if source.crawl is None:
        return {}
    people = load_people(Path(source.crawl.identities))
    sites = load_sites(Path(source.crawl.sites))
    return {"kind": "crawl", "identities": len(people), "sites": len(sites.sites)}


def plan_lines(planned: Answer) -> list[str]:
    """The plan for people."""
    lines = [f"{planned['recipe']}: the recipe is valid (digest {planned['digest'][:12]})"]
    for name, source in planned["sources"].items():
        facts = ", ".join(f"{count} {what}" for what, count in source.items() if what != "kind")
        lines.append(f"  source {name} ({source.get('kind')}): {facts}")
    lines.append(f"  models  {planned['models']}")
    lines.append(f"  would release {planned['next']}, unless nothing has changed")
    return lines
