"""A cleaned public set of aligned faces: taken as it is, shipped as RecordIO, and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from facedata.records import LedgerRow
from facedata.storage import Storage

SHARED = Path(os.environ.get("WINNOW_SHARED", Path(__file__).parents[3] / "shared"))
ALIGNED = SHARED / "data/aligned112"
pytestmark = pytest.mark.skipif(not ALIGNED.is_dir(), reason=f"aligned faces are not at {SHARED}")


def winnow(*arguments: str | Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def build(folder: Path, name: str, source: dict[str, Any]) -> tuple[Path, list[LedgerRow]]:
    """Build a version with lossless shards; returns the workspace and the ledger."""
    recipe = {
        "name": name,
        "models": str(SHARED / "models/buffalo_sc"),
        "sources": [source],
        "review": {"backend": "none"},
        "shards": {"format": "png"},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    workspace = folder / f"work-{name}"
    winnow("build", folder / f"{name}.yaml", "-w", workspace)
    path = f"versions/{name}-v0001/ledger.parquet"
    return workspace, Storage(workspace).read_records(path, LedgerRow)


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR))


def exported(workspace: Path, name: str, to: Path) -> set[tuple[str, bytes]]:
    """Whose and what the images of a version are."""
    arguments = ("versions", "export", f"{name}-v0001", "-w", workspace)
    winnow(*arguments, "--format", "folders", "--to", to)
    return {(path.parent.name, pixels(path).tobytes()) for path in to.rglob("*.png")}


def test_aligned_faces_go_out_and_come_in_without_a_change(tmp_path: Path) -> None:
    source = {"folder": {"path": str(ALIGNED)}, "aligned": True}
    first, rows = build(tmp_path, "first", source)
    photos = sorted(ALIGNED.glob("*/*"))
    assert len(rows) == len(photos)
    assert Counter(row.reason for row in rows)["no_face"] == 0
    assert {row.det_score for row in rows if row.outcome == "kept"} == {1.0}
    assert sum(row.outcome == "kept" for row in rows) >= 0.98 * len(rows)
    images = exported(first, "first", tmp_path / "out-first")
    assert images <= {(path.parent.name, pixels(path).tobytes()) for path in photos}

    arguments = ("versions", "export", "first-v0001", "-w", first)
    winnow(*arguments, "--format", "recordio", "--to", tmp_path / "rec")
    back = {"path": "rec/train.rec", "names": "rec/identities.csv"}
    second, again = build(tmp_path, "second", {"recordio": back})
    assert len(again) == sum(row.identity is not None for row in rows)
    assert exported(second, "second", tmp_path / "out-second") <= images
    assert sum(row.outcome == "kept" for row in again) >= 0.98 * len(again)
