"""What the exclusion adds up to, set by set, for the report and the data card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cleaning.export.exclusion_facts import ExcludedSetFact, ExclusionFacts
from cleaning.stages.content import VersionContent
from cleaning.stages.exclusion import Exclusion
from facedata.exclusion import ExclusionRow, How
from facedata.review import Answer

_DECIDED = (Answer.SAME, Answer.DIFFERENT)


def exclusion_facts(
    exclusion: Exclusion, rows: Sequence[ExclusionRow], content: VersionContent
) -> ExclusionFacts:
    """Count what the certificate lists."""
    how = "calibrated on this data" if exclusion.is_calibrated else "set in the recipe"
    return ExclusionFacts(
        threshold=exclusion.threshold,
        origin=how,
        sets=[
            _set_fact(facts, [row for row in rows if row.excluded_set == facts["name"]])
            for facts in exclusion.sets
        ],
        rows=rows,
        open_pairs=_open_pairs(content),
    )


def _set_fact(facts: Mapping[str, Any], rows: Sequence[ExclusionRow]) -> ExcludedSetFact:
    whole = (How.NAME, How.FACE, How.MERGED)
    return ExcludedSetFact(
        **facts,
        people=len({row.identity for row in rows if row.how in whole}),
        pictures=len({row.image_id for row in rows if row.how == How.PHOTO and row.photos}),
        closest=next((row for row in rows if row.how == How.REMAINING), None),
    )


def _open_pairs(content: VersionContent) -> int:
    """Identities of the version in undecided pairs with somebody who is out."""
    out = content.excluded.reasons.keys()
    waiting = set()
    for row in content.candidates:
        sides = {row.identity_a, row.identity_b}
        if row.decision not in _DECIDED and len(sides & out) == 1:
            waiting |= {content.merges.canonical.get(name, name) for name in sides - out}
    return len(waiting & content.identities.keys())
