"""The recipe: defaults, paths, and errors that name the key and the value."""

from pathlib import Path

import pytest

from facedata.errors import RecipeError
from facedata.recipe import load_recipe, parse_recipe, resolve_paths

GOOD = "name: politicians\nsources:\n  - folder: {path: photos}\n"


def test_paths_are_relative_to_the_recipe_file(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(GOOD + "models: ./pack\n")
    recipe = resolve_paths(load_recipe(tmp_path / "recipe.yaml"), tmp_path)
    assert recipe.sources[0].folder is not None
    assert recipe.sources[0].folder.path == str(tmp_path / "photos")
    assert recipe.models == str(tmp_path / "pack")


def test_a_pack_name_stays_a_name(tmp_path: Path) -> None:
    assert resolve_paths(parse_recipe(GOOD), tmp_path).models == "buffalo_l"


def test_sources_are_named_by_kind_and_number() -> None:
    text = "name: a\nsources:\n" + "  - folder: {path: x}\n" * 3
    assert parse_recipe(text).source_names() == ["folder", "folder-2", "folder-3"]


def test_digest_ignores_layout_and_sees_values() -> None:
    plain = parse_recipe(GOOD)
    spelled_out = parse_recipe(GOOD + "# comment\nintra: {threshold: auto}\n")
    changed = parse_recipe(GOOD + "intra: {threshold: 0.3}\n")
    assert plain.digest() == spelled_out.digest()
    assert plain.digest() != changed.digest()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("colour: red\n", "unknown key 'colour' with value 'red'; allowed here: name, models"),
        (
            "faces: {min_scor: 0.4}\n",
            "unknown key 'faces.min_scor' with value 0.4; "
            "allowed here: min_score, min_size, near_duplicates",
        ),
        (
            "inter: {threshold: high}\n",
            "key 'inter.threshold' is 'high'; allowed: 'auto' or a number in [-1, 1]",
        ),
        (
            "inter: {threshold: 3}\n",
            "key 'inter.threshold' is 3; allowed: 'auto' or a number in [-1, 1]",
        ),
        ("intra: {method: dbscan}\n", "key 'intra.method' is 'dbscan'; input should be 'average'"),
        ("shards: {max_images: 0}\n", "key 'shards.max_images' is 0; input should be greater"),
        (
            "release: {max_noise: 0.01}\n",
            "key 'release' is {'max_noise': 0.01}; "
            "max_noise needs audit: the number of photos to be looked at",
        ),
        ("release: {max_noise: 1, audit: 9}\n", "key 'release.max_noise' is 1; input should be"),
        ("release: {audit: -1}\n", "key 'release.audit' is -1; input should be greater"),
        (
            "release: {noise: 0.1}\n",
            "unknown key 'release.noise' with value 0.1; allowed here: max_noise, audit",
        ),
        ("exclude: [lfw]\n", "key 'exclude' is ['lfw']; "),
    ],
)
def test_a_bad_value_is_named(extra: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(GOOD + extra, origin="r.yaml")
    assert str(caught.value).startswith(f"recipe r.yaml: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected keys and values, found NoneType"),
        ("- a\n", "expected keys and values, found list"),
        ("name: [\n", "not valid YAML"),
        ("name: a\n", "key 'sources' is missing"),
        ("name: ../up\nsources: [{folder: {path: x}}]\n", "key 'name' is '../up'"),
        ("name: a\nsources: []\n", "key 'sources' is []"),
        ("name: a\nsources: [{}]\n", "needs exactly one of folder, crawl; found none"),
        (
            "name: a\nsources: [{name: x, folder: {path: a}}, {name: x, folder: {path: b}}]\n",
            "sources need different names",
        ),
    ],
)
def test_a_recipe_that_is_not_one_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match="recipe") as caught:
        parse_recipe(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file or directory"):
        load_recipe(tmp_path / "none.yaml")
