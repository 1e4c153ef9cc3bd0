"""``winnow build --dry-run``: check everything that can be checked, and say what would be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cleaning.faces.pack import find_pack
from crawlers.crawled import check_layout, read_crawled
from crawlers.importers.folder import list_folder, survey_folder
from crawlers.importers.identity_rule import identity_rule
from crawlers.importers.imports import IMPORTERS, class_names, count_import
from crawlers.ingest import crawl_folder
from crawlers.process.partitions import Partition, partitions_in
from crawlers.process.planning import URL_LIST_SITE, plan_crawl
from crawlers.spiders.url_list import read_url_list
from facedata.recipe import load_recipe, resolve_paths
from facedata.sources import Source, UrlsSource
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
        "exclude": {
            name: _source(name, source)
            for name, source in zip(recipe.excluded_names(), resolved.exclude, strict=True)
        },
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
    return _fetched(source)


def plan_crawls(recipe_path: Path, workspace: str) -> Answer:
    """What ``winnow crawl`` would ask for, and what of it is there; nothing is fetched.

    Raises:
        RequestError: as a crawl would.
    """
    recipe = load_recipe(recipe_path)
    resolved = resolve_paths(recipe, recipe_path.resolve().parent)
    storage = Storage(workspace)
    named = zip(recipe.source_names(), resolved.sources, strict=True)
    fetched = {name: source for name, source in named if source.crawl or source.urls}
    return {
        "recipe": recipe.name,
        "sources": {
            name: {**_fetched(source), **_crawled(storage.local_path(crawl_folder(name)))}
            for name, source in fetched.items()
        },
    }


def plan_crawls_lines(planned: Answer) -> list[str]:
    """What would be crawled, for people."""
    if not planned["sources"]:
        return [f"{planned['recipe']}: no source of this recipe is fetched from the web"]
    return [
        f"{planned['recipe']}: the lists and sites are valid",
        *_source_lines(planned["sources"]),
    ]


def _fetched(source: Source) -> Answer:
    """How much a source that is fetched from the web names."""
    fetched = source.crawl or source.urls
    if fetched is None:
        return {}
    planned = plan_crawl(fetched)
    parts = {"partitions": fetched.partitions} if fetched.partitions > 1 else {}
    if planned.people.duplicates:
        parts["listed_twice"] = len(planned.people.duplicates)
    if isinstance(fetched, UrlsSource):
        identities, rows = set(), 0
        for row in read_url_list(Path(fetched.path), URL_LIST_SITE):
            identities.add(row.identity)
            rows += 1
        return {"kind": "urls", "identities": len(identities), "urls": rows, **parts}
    return {
        "kind": "crawl",
        "identities": planned.people.people,
        "sites": len(planned.sites.sites),
        "start_pages": sum(1 for _ in planned.starts(Partition())),
        **parts,
    }


def _crawled(folder: Path) -> Answer:
    """What earlier runs left in a crawl's folder."""
    check_layout(folder)
    if not partitions_in(folder):
        return {"stored": 0}
    counts, _ = read_crawled(folder).counts()
    return {"stored": counts.stored, "waiting": counts.waiting}


def plan_lines(planned: Answer) -> list[str]:
    """The plan for people."""
    lines = [f"{planned['recipe']}: the recipe is valid (digest {planned['digest'][:12]})"]
    lines.extend(_source_lines(planned["sources"]))
    lines.extend(_source_lines(planned["exclude"], "exclude"))
    lines.append(f"  models  {planned['models']}")
    lines.append(f"  would release {planned['next']}, unless nothing has changed")
    return lines


def _source_lines(sources: Answer, title: str = "source") -> list[str]:
    lines = []
    for name, source in sources.items():
        facts = ", ".join(
            f"{count} {what.replace('_', ' ')}" for what, count in source.items() if what != "kind"
        )
        lines.append(f"  {title} {name} ({source.get('kind')}): {facts}")
    return lines
