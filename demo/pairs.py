"""Verification pairs of rendered people, from the truth of a rendered web."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

PAIRS = "site/pairs.csv"


def write_pairs(web: Path) -> Path:
    """Write every pair of photos with one face each as ``site/pairs.csv``; returns its path.

    ``web`` is the folder that ``demo.web_files.write_web`` filled. Columns ``image_a`` and
    ``image_b`` are paths below the file's folder, ``same`` is 1 for two photos of one person.
    """
    photos = json.loads((web / "truth.json").read_text("utf-8"))["photos"]
    subjects = {
        path: said["subject"]
        for path, said in photos.items()
        if said["subject"] is not None and len(said["faces"]) == 1
    }
    with (web / PAIRS).open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image_a", "image_b", "same"])
        for first, second in itertools.combinations(sorted(subjects), 2):
            rows.writerow([first, second, int(subjects[first] == subjects[second])])
    return web / PAIRS
