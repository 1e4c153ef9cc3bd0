"""What people read after ``winnow train``."""

from __future__ import annotations

from typing import Any

Answer = dict[str, Any]


def train_lines(result: Answer) -> list[str]:
    """The model, its figures, and whether it was promoted."""
    if result.get("joined"):
        return [f"{result['version']}: training is done; the first node goes on"]
    promotion = result["promotion"]
    word = "promoted" if promotion["promoted"] else "not promoted"
    return [
        f"{result['model']}: trained on {result['version']}, {result['steps']} steps",
        *(f"  {line}" for line in result["lines"]),
        f"  {word}: {promotion['reason']}",
        f"  folder  {result['folder']}",
        f"  card    {result['folder']}/README.md",
    ]


def plan_lines(planned: Answer) -> list[str]:
    """What would be done."""
    sets = planned["evaluation_sets"]
    return [
        f"{planned['version']}: training recipe {planned['recipe']}",
        f"  run        {planned['output']}, {planned['steps_done']} steps done",
        f"  starts at  {planned['initial'] or planned['weights'] or 'random weights'}",
        f"  command    {' '.join(planned['command'])}",
        f"  detector   {planned['detector']}",
        f"  evaluation {', '.join(sets) if sets else 'none: the model will not be promoted'}",
    ]
