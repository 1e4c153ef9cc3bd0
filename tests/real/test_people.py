"""Names of a real set, in which some people are listed twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crawlers.identities.near_names import find_near_names

SHARED = Path(os.environ.get("WINNOW_SHARED", Path(__file__).parents[3] / "shared"))
LFW = SHARED / "data/lfw"
pytestmark = pytest.mark.skipif(not LFW.is_dir(), reason=f"photos are not at {SHARED}")


def test_names_find_some_of_the_people_listed_twice_and_hardly_anybody_else() -> None:
    truth = json.loads((SHARED / "data/truth.json").read_text())
    same = {
        frozenset(pair)
        for kind in ("same_person_documented", "same_person_judged")
        for pair in truth[kind]
    }
    names = sorted(path.name for path in LFW.iterdir())

    found = {frozenset((names[one.first], names[one.second])) for one in find_near_names(names)}

    # The others have another name altogether: those are for the faces to find.
    assert len(found & same) >= 4
    assert len(found - same) <= 2
