"""Re-encoded copies of a photo: found always, dropped when the recipe says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from demo.web import PhotoKind
from facedata.records import LedgerRow
from facedata.storage import Storage


def test_near_duplicates_are_dropped_when_asked_to(
    winnow: Any, write_recipe: Any, photos: Path, tmp_path: Path
) -> None:
    truth = json.loads((photos.parents[1] / "truth.json").read_text("utf-8"))["photos"]
    copies = {
        path.removeprefix("photos/")
        for path, photo in truth.items()
        if photo["kind"] == PhotoKind.NEAR_DUPLICATE
    }
    assert copies
    recipe = write_recipe(photos, faces={"near_duplicates": "drop"})
    assert winnow("build", recipe, "-w", tmp_path / "work", "--json").code == 0

    ledger = Storage(tmp_path / "work").read_records(
        "versions/people-v0001/ledger.parquet", LedgerRow
    )
    dropped = {row.source_uri for row in ledger if row.reason == "near_duplicate"}
    originals = {str(truth[f"photos/{copy}"]["copy_of"]).removeprefix("photos/") for copy in copies}
    # Of a pair, the first by name stays, whichever is the copy.
    assert dropped <= copies | originals
    assert len(dropped) >= 0.8 * len(copies)
