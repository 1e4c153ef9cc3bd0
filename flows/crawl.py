"""The ``crawl`` flow: only the fetching, on one machine or on several, each with its partition."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.crawl_sources import CrawlOptions, crawl_sources
from flows.job import open_workspace
from flows.progress import Reporter


@flow(name="crawl", persist_result=False)
def crawl(recipe: str, workspace: str, options: CrawlOptions | None = None) -> dict[str, Any]:
    """Crawl a recipe's sources and return what each came to.

    No models are needed, and builds may run in the workspace meanwhile: they see what is stored.

    Args:
        recipe: path of the recipe file.
        workspace: local folder for ledgers and raw bytes.
        options: what is said beside the recipe.

    Raises:
        RequestError: the recipe, its sources or the workspace are not usable.
        CrawlError: a crawl failed.
    """
    job = open_workspace(recipe, workspace)
    with Reporter() as reporter:
        counts = crawl_sources(job, reporter, options or CrawlOptions())
    return {
        "recipe": job.recipe.name,
        "workspace": workspace,
        "until": "crawl",
        "stages": {"crawl": counts},
    }
