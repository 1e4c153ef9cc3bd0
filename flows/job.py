"""What every task of a build needs, small enough to be sent to another process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import demo
from cleaning.faces.pack import ModelPack, load_pack
from facedata.recipe import Recipe, load_recipe, resolve_paths
from facedata.storage import Storage

_PROBE = "probe"
_DEMO_PACK = Path(demo.__file__).parent / "pack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A validated recipe and the workspace it is built in.

    ``recipe`` is as written, for digests and manifests; ``resolved`` has its paths made absolute.
    """

    recipe: Recipe
    resolved: Recipe
    workspace: str

    def storage(self) -> Storage:
        """The workspace's files."""
        return Storage(self.workspace)

    def pack(self) -> ModelPack:
        """The recipe's models, loaded once per process."""
        return _load_pack(self.resolved.models)


def open_job(recipe: str | Path, workspace: str | Path) -> Job:
    """Check the recipe, the workspace and the models before any work starts.

    Raises:
        RecipeError: the recipe is not valid.
        WorkspaceError, StorageError: the workspace cannot be written to.
        ModelError: the models are missing or unusable.
    """
    job = _read_job(recipe, workspace)
    job.pack()
    _check_workspace(job)
    return job


def open_workspace(recipe: str | Path, workspace: str | Path) -> Job:
    """Check the recipe and the workspace; for what needs no models.

    Raises:
        RecipeError: the recipe is not valid.
        WorkspaceError, StorageError: the workspace cannot be written to.
    """
    job = _read_job(recipe, workspace)
    _check_workspace(job)
    return job


def _read_job(recipe: str | Path, workspace: str | Path) -> Job:
    loaded = load_recipe(Path(recipe))
    return Job(
        recipe=loaded,
        resolved=resolve_paths(loaded, Path(recipe).resolve().parent),
        workspace=str(workspace),
    )


def _check_workspace(job: Job) -> None:
    """Write to it, last of all: a request that is wrong leaves nothing behind."""
    job.storage().write(_PROBE, b"")
    job.storage().remove(_PROBE)


def pack_location(models: str) -> str | Path:
    """Where a recipe's models are: ``demo`` is the pack that comes with Winnow."""
    return _DEMO_PACK if models == "demo" else models


@lru_cache(maxsize=2)
def _load_pack(models: str) -> ModelPack:
    return load_pack(pack_location(models), download=True)
