"""What is said to Label Studio and what it answers, as JSON; nothing here sends anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from cleaning.review.server import Annotation, JsonObject, ProjectSpec, ServerTask, TaskBody

Filter = tuple[str, str, str, Any]

# What the server's own list of tasks hides; a list of ours has to say so again.
_HIDDEN_BY_THE_SERVER = (
    "inner_id",
    "annotations_results",
    "annotations_ids",
    "predictions_score",
    "predictions_model_versions",
    "predictions_results",
    "file_upload",
    "storage_filename",
    "created_at",
    "updated_at",
    "updated_by",
    "avg_lead_time",
    "draft_exists",
    "allow_skip",
)


def project_settings(spec: ProjectSpec) -> JsonObject:
    """Return the settings of a project, by the server's names."""
    return {
        "label_config": spec.label_config,
        "expert_instruction": spec.instruction,
        "show_instruction": True,
        "maximum_annotations": spec.overlap,
        "enable_empty_annotation": spec.allow_empty,
        "sampling": "Sequential sampling",
        "show_skip_button": False,
        # Predictions are there for sorting and filtering; an answer must be the person's own.
        "show_collab_predictions": False,
    }


def task_list(project: int, hidden: Sequence[str]) -> JsonObject:
    """Return the list of a project's tasks, without the ``hidden`` fields of their data."""
    columns = [f"tasks:{name}" for name in _HIDDEN_BY_THE_SERVER]
    columns += [f"tasks:data.{name}" for name in hidden]
    shown = {"title": "Default", "hiddenColumns": {"explore": columns, "labeling": columns}}
    return {"project": project, "data": shown}


def task_body(task: TaskBody) -> JsonObject:
    """Return a task to import, with its prediction."""
    body: JsonObject = {"data": {**task.data, "key": task.key}}
    if task.prediction:
        body["predictions"] = [
            {
                "result": list(task.prediction),
                "score": task.score,
                "model_version": task.model,
            }
        ]
    return body


def key_of(task: JsonObject) -> str:
    """Return the key a task was made with, empty when somebody added it by hand."""
    return str(task["data"].get("key") or "")


def utc(moment: datetime) -> str:
    """Return ISO 8601 in UTC with microseconds, so that texts sort as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parsed(text: str) -> Any:
    """Return an answer as JSON, or as the text it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def reason_of(body: Any) -> str:
    """Return the server's own words in one line, empty when it answered with a page."""
    if not isinstance(body, dict):
        return ""
    errors = body.get("validation_errors")
    if isinstance(errors, dict):
        parts = [f"{name}: {' '.join(map(str, texts))}" for name, texts in errors.items()]
        said = "; ".join(parts).replace("non_field_errors: ", "")
    else:
        said = str(body.get("detail") or "")
    return " ".join(said.split())[:300]


def task_query(project: int, filters: Sequence[Filter], fields: str, size: int) -> JsonObject:
    """Return the parameters that list a project's tasks by id, without their predictions.

    Each filter is a column, an operator, the column's type and a value, as in the Data Manager.
    """
    names = ("filter", "operator", "type", "value")
    items = [
        dict(zip(names, (f"filter:tasks:{column}", *rest), strict=True))
        for column, *rest in filters
    ]
    query = {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}
    return {
        "project": project,
        "query": json.dumps(query),
        "include": fields,
        "fields": "all" if "annotations" in fields else "task_only",
        "resolve_uri": "false",
        "page_size": size,
    }


def server_task(found: JsonObject, person: Callable[[int | None], str]) -> ServerTask:
    """Return a task as Winnow sees it; ``person`` names a user."""
    return ServerTask(
        id=int(found["id"]),
        key=key_of(found),
        updated_at=utc(datetime.fromisoformat(found["updated_at"])),
        annotations=tuple(_annotation(one, person) for one in found["annotations"]),
    )


def _annotation(found: JsonObject, person: Callable[[int | None], str]) -> Annotation:
    seconds = found["lead_time"]
    return Annotation(
        id=str(found["id"]),
        annotator=person(found["completed_by"]),
        answered_at=utc(datetime.fromisoformat(found["updated_at"])),
        result=tuple(found["result"] or ()),
        seconds=None if seconds is None else float(seconds),
        skipped=bool(found["was_cancelled"]),
    )
