"""Recipes are whole configurations, and files hold what they say."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from facedata.errors import RecipeError
from training.backbones import BACKBONES
from training.centres import CentreOptimiser
from training.config import config_from, load_config, parse_config, to_yaml
from training.margins import MARGINS
from training.recipes import RECIPES, Target, recipe
from training.run import build_configured

TARGET = Target(workspace="s3://faces/set", version="people-v0003", output="runs/a", digest="abc")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_written_and_read_back(name: str) -> None:
    config = recipe(name, TARGET)

    assert parse_config(to_yaml(config), origin="x") == config
    assert parse_config(json.dumps(asdict(config)), origin="x") == config


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_what_there_is(name: str) -> None:
    config = recipe(name, TARGET)

    assert config.name == name
    assert (config.data.workspace, config.data.version) == (TARGET.workspace, TARGET.version)
    assert (config.data.digest, config.output) == (TARGET.digest, TARGET.output)
    assert config.model.backbone in BACKBONES
    assert config.class_layer.margin.name in MARGINS
    CentreOptimiser(name=config.optimiser.name)


def test_the_demo_builds_its_backbone() -> None:
    config = recipe("demo_cpu", TARGET)

    backbone = build_configured(config.model)

    assert sum(one.numel() for one in backbone.parameters()) < 3_000_000


def test_an_unknown_recipe_names_the_known() -> None:
    with pytest.raises(RecipeError, match="'best': not known; use one of demo_cpu, glint360k_r50"):
        recipe("best", TARGET)


class TestFiles:
    """Bad files are refused by key, value and what is allowed."""

    @pytest.fixture
    def values(self) -> dict:
        return {
            "name": "a",
            "output": "runs/a",
            "data": {"workspace": "set", "version": "people-v0001"},
            "model": {"backbone": "iresnet50"},
        }

    def test_the_least_is_enough(self, values: dict, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(values))

        config = load_config(path)

        assert config.model.embedding_size == 512
        assert config.optimiser.learning_rate == 0.1
        assert replace(config, seed=0) == config

    @pytest.mark.parametrize(
        ("key", "value", "problem"),
        [
            ("colour", 1, "unknown key 'colour'; allowed here: name, output, data, model"),
            ("model", {"backbone": "a", "layers": 3}, r"unknown key 'model\.layers'; .*: backbone"),
            ("model", {}, r"key 'model\.backbone' is missing"),
            ("device", "tpu", r"key 'device' is 'tpu'; input should be 'cpu' or 'cuda'"),
            ("global_batch", 0, "key 'global_batch' is 0; input should be greater than or equal"),
            ("optimiser", {"learning_rate": -1}, r"key 'optimiser\.learning_rate' is -1"),
            ("class_layer", {"sample_rate": 2}, r"key 'class_layer\.sample_rate' is 2"),
            (
                "class_layer",
                {"rate": 2},
                r"unknown key 'class_layer\.rate'; .*: margin, sample_rate",
            ),
            ("metric_losses", [{"name": "center", "a": 1}], r"unknown key .* here: name, weight"),
            ("data", 3, r"key 'data' is 3"),
            ("optimiser", {"learning_rate": math.inf}, r"key 'optimiser\.learning_rate' is inf; "),
            (
                "class_layer",
                {"margin": {"angle": math.nan}},
                r"key 'class_layer\.margin\.angle' is",
            ),
        ],
    )
    def test_a_bad_key_is_named(self, values: dict, key: str, value: object, problem: str) -> None:
        with pytest.raises(RecipeError, match=f"training configuration x: {problem}"):
            config_from({**values, key: value}, origin="x")

    @pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "just text"])
    def test_what_is_no_configuration_is_named(self, text: str) -> None:
        with pytest.raises(RecipeError, match="training configuration x: "):
            parse_config(text, origin="x")

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match=r"none\.yaml: cannot be read"):
            load_config(tmp_path / "none.yaml")

    def test_numbers_with_an_exponent_are_numbers(self) -> None:
        text = "{name: a, output: o, data: {workspace: w, version: v}, model: {backbone: b}, "

        config = parse_config(text + "optimiser: {weight_decay: 5e-4}}", origin="x")

        assert config.optimiser.weight_decay == 5e-4
