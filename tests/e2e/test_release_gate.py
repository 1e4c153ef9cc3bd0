"""The audit through the command: unanswered, too much noise, allowed; names without addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cleaning.stages.review_folder import ReviewFolder
from facedata.review import Decision, Kind, PhotoDecision
from facedata.storage import Storage

# More than there are photos: the sample is all of them.
GATE = {"audit": 5_000, "max_noise": 0.2}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


def table(work: Path, version: str, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(work / "versions" / version / name).to_pylist()
    return rows


def audit_answer(row: dict[str, Any], word: str) -> PhotoDecision:
    return PhotoDecision(
        image_id=row["image_id"],
        identity=row["identity"],
        face_id=row["face_id"],
        decision=word,
        kind=Kind.AUDIT.value,
        decided_by="kim@example.org",
        decided_at="2026-03-01T10:00:00+00:00",
    )


def test_an_audit_stops_and_frees_a_release(
    winnow: Any, write_recipe: Any, photos: Path, work: Path
) -> None:
    free = write_recipe(photos)
    first = winnow("build", free, "-w", work, "--json").answer["release"]
    assert first["audit"] is None
    shipped = [row for row in table(work, first["version"], "ledger.parquet") if row["identity"]]

    gated = write_recipe(photos, file="gated.yaml", release=GATE)
    refused = winnow("build", gated, "-w", work)
    assert refused.code == 1
    assert refused.err.splitlines()[-1] == (
        f"winnow: people: audit photos without an answer: {len(shipped)} of {len(shipped)}, and "
        "release.max_noise is 0.2; answer the audit batch, then build again"
    )

    folder = ReviewFolder(storage=Storage(work), dataset="people")
    half = len(shipped) // 2
    words = ["wrong"] * half + ["right"] * (len(shipped) - half)
    folder.append_photo_decisions(list(map(audit_answer, shipped, words)))
    refused = winnow("build", gated, "-w", work)
    assert refused.code == 1
    complaint = refused.err.splitlines()[-1]
    assert f"wrong photos in the audit: {half} of {len(shipped)}, " in complaint
    assert "above release.max_noise 0.2; review the photos near the cut" in complaint
    assert sorted(path.name for path in (work / "versions").iterdir()) == ["people-v0001"]

    folder.append_photo_decisions([audit_answer(row, "right") for row in shipped[1:half]])
    (candidate, *_) = table(work, first["version"], "candidates.parquet")
    folder.append_decisions(
        [
            Decision(
                identity_a=candidate["identity_a"],
                identity_b=candidate["identity_b"],
                decision="different",
                decided_by="kim@example.org, lee@example.org",
                decided_at="2026-03-01T10:00:00+00:00",
                kind=Kind.PAIRS.value,
            )
        ]
    )
    released = winnow("build", gated, "-w", work, "--json").answer["release"]
    assert (released["version"], released["is_new"]) == ("people-v0002", True)
    audit = released["audit"]
    assert (audit["wrong"], audit["right"], audit["pending"]) == (1, len(shipped) - 1, 0)
    reasons = {
        (row["image_id"], row["claimed_identity"]): row["reason"]
        for row in table(work, "people-v0002", "ledger.parquet")
    }
    assert reasons[shipped[0]["image_id"], shipped[0]["claimed_identity"]] == "rejected"
    deciders = {row["decided_by"] for row in table(work, "people-v0002", "candidates.parquet")}
    assert "kim, lee" in deciders

    version = work / "versions/people-v0002"
    report = (version / "report/index.html").read_text("utf-8")
    assert "Residual noise" in report
    assert "@example" not in report
    card = json.loads((version / "croissant.json").read_text("utf-8"))
    assert any("from a random sample of" in said for said in card["rai:dataLimitations"])
    assert winnow("versions", "verify", "people-v0002", "-w", work).code == 0
