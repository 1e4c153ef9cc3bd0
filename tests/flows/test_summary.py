"""What people read after a build."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from cleaning.export.review_facts import AuditFacts
from flows.summary import summary_lines

AUDIT = AuditFacts(
    photos_in=4_000,
    sampled=100,
    wrong=2,
    right=98,
    unsure=0,
    pending=0,
    noise=0.02,
    low=0.00243,
    high=0.0704,
    max_noise=0.1,
)


@pytest.mark.parametrize(
    ("audit", "line"),
    [
        (AUDIT, "wrong photos: 2.0 % (95 % interval 0.24 % to 7.0 %), 100 looked at"),
        (
            replace(AUDIT, max_noise=0.05),
            "wrong photos: 2.0 % (95 % interval 0.24 % to 7.0 %), 100 looked at. The interval "
            "reaches above the 5.0 % that the recipe allows: a larger sample would tell.",
        ),
        (
            replace(AUDIT, right=0, wrong=0, pending=100, noise=None, low=0.0, high=1.0),
            "100 of 100 sampled photos wait for an answer; wrong so far: not known",
        ),
    ],
)
def test_the_audit_in_a_line(audit: AuditFacts, line: str) -> None:
    counts = {"images": 3, "kept": 2, "moved": 0, "dropped": 1, "held": 0}
    release = {
        "version": "people-v0001",
        "is_new": True,
        "digest": "d",
        "folder": "f",
        "identities": 1,
        "counts": counts,
        "contradictions": [],
        "audit": asdict(audit),
        "exclusion": None,
    }
    lines = summary_lines({"stages": {}, "release": release})
    assert lines[-1] == f"  audit   {line}"
    assert len(lines) == 6
    assert len(summary_lines({"stages": {}, "release": {**release, "audit": None}})) == 5
