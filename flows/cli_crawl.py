"""``winnow crawl``: fetch the images of a recipe's crawl sources and URL lists."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli_options import Json, RecipePath, Workspace, answer
from flows.settings import silence_prefect


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(crawl)


def crawl(
    recipe: RecipePath,
    workspace: Workspace,
    partition: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Crawl only this part, of as many as the recipe says."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again for what failed.")
    ] = False,
    refresh: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="DAYS", help="Ask again for what was fetched so long ago."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the lists and sites; fetch nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch the photos of the recipe's crawl sources and URL lists; what is there stays."""
    if dry_run:
        from flows.plan import plan_crawls, plan_crawls_lines

        planned = plan_crawls(recipe, workspace)
        answer(planned, plan_crawls_lines(planned), as_json)
        return
    silence_prefect()
    from flows.crawl_sources import CrawlOptions, crawl_jobs
    from flows.job import open_workspace

    options = CrawlOptions(partition=partition, retry_failed=retry_failed, refresh_days=refresh)
    # A wrong request is answered here, before Prefect takes its seconds to start.
    crawl_jobs(open_workspace(recipe, workspace), options)
    from flows.crawl import crawl as crawl_flow

    result = crawl_flow(recipe=str(recipe), workspace=workspace, options=options)
    answer(result, _lines(result), as_json)


def _lines(result: dict[str, Any]) -> list[str]:
    crawled = result["stages"]["crawl"]
    if not crawled:
        return [f"{result['recipe']}: no source of this recipe is fetched from the web"]
    return [
        f"{name}: {counts['stored']} of {counts['requested']} images stored, "
        f"{counts['fetched_now']} URLs asked for now; report {counts['report']}"
        for name, counts in crawled.items()
    ]
