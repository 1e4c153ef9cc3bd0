"""The recipe: what to build, from what, with which thresholds. Read from YAML.

Every model forbids unknown keys; ``load_recipe`` turns any validation problem into one line that
names the key, the value found and what is allowed. Paths in a recipe are relative to its file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from facedata.errors import RecipeError
from facedata.options import (
    FacesOptions,
    InterOptions,
    IntraOptions,
    Model,
    ReleaseOptions,
    ReviewOptions,
    ShardOptions,
)
from facedata.sources import ExcludedSource, Source


class Recipe(Model):
    """A whole recipe. See ``docs/recipe.md`` for every key."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    models: Annotated[str, Field(min_length=1)] = "buffalo_l"
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    licences: tuple[Annotated[str, Field(pattern=r"^\S(.{0,198}\S)?$")], ...] = ()
    """Licences under which images may enter; any, also an unknown one, when empty."""
    faces: FacesOptions = FacesOptions()
    intra: IntraOptions = IntraOptions()
    inter: InterOptions = InterOptions()
    exclude: tuple[ExcludedSource, ...] = ()
    """Sets whose people must not appear."""
    review: ReviewOptions = ReviewOptions()
    release: ReleaseOptions = ReleaseOptions()
    shards: ShardOptions = ShardOptions()
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _source_names_differ(self) -> Self:
        names = [*self.source_names(), *self.excluded_names()]
        if len(set(names)) != len(names):
            raise ValueError(f"sources need different names; found {names}")
        return self

    def source_names(self) -> list[str]:
        """Names of the sources: as given, or the kind, numbered from the second on."""
        return _names_of(self.sources)

    def excluded_names(self) -> list[str]:
        """Names of the excluded sets: as given, or ``excluded-`` and the kind, numbered too."""
        return _names_of(self.exclude, prefix="excluded-")

    def aligned_sources(self) -> frozenset[str]:
        """Names of the sources and excluded sets whose images may be aligned faces already."""
        names = [*self.source_names(), *self.excluded_names()]
        named = zip(names, (*self.sources, *self.exclude), strict=True)
        return frozenset(name for name, source in named if source.is_aligned)

    def digest(self) -> str:
        """Sha256 in hex of the recipe's values, defaults included; layout does not matter."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _names_of(sources: Sequence[Source], prefix: str = "") -> list[str]:
    names: list[str] = []
    for source in sources:
        kind = f"{prefix}{source.kind}"
        count = sum(name == kind or name.startswith(f"{kind}-") for name in names)
        names.append(source.name or (kind if not count else f"{kind}-{count + 1}"))
    return names


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; its paths stay as written (see ``resolve_paths``).

    Raises:
        RecipeError: when the file is missing, is not YAML, or a key or value is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"recipe {path}: cannot be read ({_reason(error)}); give the path of a YAML file"
        ) from error
    return parse_recipe(text, origin=str(path))


def parse_recipe(text: str, *, origin: str = "recipe") -> Recipe:
    """Parse recipe text.

    Raises:
        RecipeError: when it is not YAML, or a key or value is not allowed.
    """
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        detail = " ".join(str(error).split())
        raise RecipeError(f"recipe {origin}: not valid YAML: {detail}") from error
    if not isinstance(loaded, dict):
        raise RecipeError(
            f"recipe {origin}: expected keys and values, found {type(loaded).__name__}; "
            "see examples/folder.yaml"
        )
    try:
        return Recipe.model_validate(loaded)
    except ValidationError as error:
        raise RecipeError(f"recipe {origin}: {_first_problem(error)}") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _first_problem(error: ValidationError) -> str:
    """Say in one line what is wrong: key, value, what is allowed."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key = ".".join(
        str(part) for part in first["loc"] if part not in {"literal['auto']", "constrained-float"}
    )
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(_allowed_keys(first["loc"][:-1]))
        return f"unknown key {key!r} with value {_short(first['input'])}; allowed here: {allowed}"
    if first["type"] == "model_type":
        allowed = ", ".join(_allowed_keys(first["loc"]))
        return f"key {key!r} is {_short(first['input'])}; expected keys and values: {allowed}"
    if first["type"] == "missing":
        return f"key {key!r} is missing{more}"
    if "literal['auto']" in {str(part) for part in first["loc"]}:
        return f"key {key!r} is {_short(first['input'])}; allowed: 'auto' or a number in [-1, 1]"
    where = f"key {key!r} is {_short(first['input'])}; " if key else ""
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}{message[0].lower()}{message[1:]}{more}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    """Keys allowed in the model at ``location``."""
    model: type[BaseModel] = Recipe
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_of(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The recipe model inside an annotation such as ``FolderSource | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_of(inner)
        if found is not None:
            return found
    return None


def resolve_paths(recipe: Recipe, base: Path) -> Recipe:
    """Take relative paths from ``base``, the recipe file's folder; URLs and pack names stay."""

    def absolute(path: str) -> str:
        return path if "://" in path else str((base / path).absolute())

    sources = tuple(_resolve_source(source, absolute) for source in recipe.sources)
    exclude = tuple(_resolve_source(source, absolute) for source in recipe.exclude)
    review = recipe.review.model_copy(
        update={
            "gold": recipe.review.gold and absolute(recipe.review.gold),
            "images": recipe.review.images.model_copy(
                update={
                    "document_root": recipe.review.images.document_root
                    and absolute(recipe.review.images.document_root)
                }
            ),
        }
    )
    models = recipe.models
    if "/" in models or models.startswith("."):
        models = absolute(models)
    return recipe.model_copy(
        update={"sources": sources, "exclude": exclude, "models": models, "review": review}
    )


_PATH_KEYS = frozenset({"path", "urls", "names", "identities", "sites"})
"""Keys of sources whose values are paths."""


S = TypeVar("S", bound=Source)


def _resolve_source(source: S, absolute: Callable[[str], str]) -> S:
    described: Model = getattr(source, source.kind)
    paths = {
        key: absolute(value) for key, value in described if key in _PATH_KEYS and value is not None
    }
    return source.model_copy(update={source.kind: described.model_copy(update=paths)})
