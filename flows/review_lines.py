"""What the review commands say to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facedata.review import Kind

Counts = dict[str, Any]

_ASKED = {
    Kind.PAIRS: "questions about pairs wait",
    Kind.SENIOR: "questions about pairs for a senior wait",
    Kind.PHOTOS: "grids of photos wait",
    Kind.AUDIT: "photos of the audit wait",
}


def push_lines(result: Counts) -> list[str]:
    """What was sent, or would be."""
    if "would_open" in result:
        planned = result["would_open"]
        return [
            f"would open {name}: {questions} questions" for name, questions in planned.items()
        ] or ["nothing to ask"]
    lines = [f"opened {name}: {count} questions" for name, count in result["opened"].items()]
    if not lines:
        sent = result["new_questions"]
        lines = [f"{sent} questions sent again" if sent else "nothing new to ask"]
    return [*lines, *waiting_lines(result["waiting"])]


def waiting_lines(waiting: Sequence[Counts]) -> list[str]:
    """What people can answer now, and where."""
    return [
        f"{one['questions']} {_ASKED[one['kind']]} for an answer: {one['url']}" for one in waiting
    ]


def pull_lines(result: Counts) -> list[str]:
    """What was fetched."""
    lines = [
        f"{result['new_answers']} new answers, {result['new_decisions']} decisions about pairs, "
        f"{result['new_photo_decisions']} about photos"
    ]
    lines.extend(f"{name} is complete" for name in result["completed"])
    return lines


def close_lines(result: Counts) -> list[str]:
    """What was ended."""
    closed = ", ".join(result["closed"]) or "no batch was open"
    taken_back = result["questions_taken_back"]
    return [*pull_lines(result), f"closed: {closed}; {taken_back} questions taken back"]


def status_lines(result: Counts) -> list[str]:
    """How far the review is, and how the people do."""
    lines = [f"{result['name']}: review on {result['url']}"]
    for batch in result["batches"]:
        state = "open" if batch["is_open"] else "closed"
        lines.append(
            f"  {batch['name']}  {batch['answered']} of {batch['questions']} answered, {state}"
        )
    lines.append(f"  decisions  {_words(result['decisions'])}")
    if result["photo_decisions"]:
        lines.append(f"  photos     {_words(result['photo_decisions'])}")
    lines.extend(_annotator(one) for one in result["agreement"]["annotators"])
    alphas = result["agreement"]["alpha"].items()
    lines.extend(
        f"  {kind}: Krippendorff's alpha {alpha:.2f}" for kind, alpha in alphas if alpha is not None
    )
    return lines


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "none"


def _annotator(one: Counts) -> str:
    parts = [f"{one['answered']} answered"]
    if one["gold_answered"]:
        parts.append(f"{one['gold_right']} of {one['gold_answered']} control questions right")
    if one["compared"]:
        parts.append(f"{one['agreed']} of {one['compared']} as the others")
    return f"  {one['annotator']}: {', '.join(parts)}"
