"""The scheduled review before there is anything to ask."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from facedata.errors import RecipeError
from flows.review import review


def write_recipe(folder: Path, backend: str) -> Path:
    path = folder / "recipe.yaml"
    on_server = {"backend": backend, "url": "http://127.0.0.1:9"}
    sources = [{"folder": {"path": "photos"}}]
    path.write_text(yaml.safe_dump({"name": "people", "sources": sources, "review": on_server}))
    return path


def test_before_the_first_build_a_run_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0123456789abcdef")

    result = review.fn(str(write_recipe(tmp_path, "label-studio")), str(tmp_path / "work"))

    assert (result["new_answers"], result["new_questions"], result["told_late"]) == (0, 0, [])
    said = " ".join(capsys.readouterr().err.split())
    assert "nothing of 'people' has been built yet" in said


def test_a_review_with_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"key 'review\.backend' is 'file'"):
        review.fn(str(write_recipe(tmp_path, "file")), str(tmp_path / "work"))
