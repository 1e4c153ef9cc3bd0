"""A training recipe by its name or its file, as the whole configuration of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from facedata.errors import RecipeError
from training.config import TrainingConfig, config_from
from training.recipes import RECIPES, Target
from training.recipes import recipe as named_recipe


def read_training_recipe(recipe: str, target: Target) -> TrainingConfig:
    """The configuration of a recipe, by its name or its file, for a target.

    A file may leave out what the target says; what it says about these keys does not count, except
    for ``data.digest``. Relative paths in it start from its folder.

    Raises:
        RecipeError: there is no such recipe, or a key or value of the file is not allowed.
    """
    path = Path(recipe)
    if recipe in RECIPES or not (path.suffix or path.exists() or "/" in recipe):
        return named_recipe(recipe, target)
    try:
        loaded = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(
            f"training recipe {path}: cannot be read ({' '.join(str(error).split())}); give a "
            f"YAML file, or one of {', '.join(RECIPES)}"
        ) from error
    if not isinstance(loaded, dict):
        raise RecipeError(f"training recipe {path}: expected keys and values; see examples/")
    return _resolved(config_from(_filled(loaded, path, target), origin=str(path)), path)


def _filled(loaded: Mapping[str, Any], path: Path, target: Target) -> dict[str, Any]:
    data = loaded.get("data") or {}
    if not isinstance(data, dict):
        raise RecipeError(f"training recipe {path}: key 'data' needs keys below it")
    given = {"workspace": target.workspace, "version": target.version}
    filled = {"digest": target.digest, **data, **given}
    return {"name": path.stem, **loaded, "output": target.output, "data": filled}


def _resolved(config: TrainingConfig, path: Path) -> TrainingConfig:
    folder = path.absolute().parent
    sets = tuple(str(folder / one) for one in config.evaluation.sets)
    data, checkpoint = config.data, config.checkpoint
    if data.cache is not None:
        data = replace(data, cache=str(folder / data.cache))
    if checkpoint.initial is not None:
        checkpoint = replace(checkpoint, initial=str(folder / checkpoint.initial))
    evaluation = replace(config.evaluation, sets=sets)
    model = config.model
    if model.weights is not None:
        model = replace(model, weights=str(folder / model.weights))
    return replace(config, data=data, model=model, checkpoint=checkpoint, evaluation=evaluation)
