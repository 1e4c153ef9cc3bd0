"""The wrapped client against a real server: what goes in comes back, whatever happens between."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cleaning.review.label_studio import LabelStudioServer, connect
from cleaning.review.server import JsonObject, ProjectSpec, ServerTask, TaskBody
from facedata.errors import ProjectGoneError, RequestError, ReviewError

PAGE = (
    '<View><HyperText name="pair" value="$html"/>'
    '<Choices name="answer" toName="pair" choice="single">'
    '<Choice value="same" hotkey="1"/><Choice value="different" hotkey="2"/>'
    "</Choices></View>"
)


def choice(value: str) -> list[JsonObject]:
    return [
        {
            "from_name": "answer",
            "to_name": "pair",
            "type": "choices",
            "value": {"choices": [value]},
        }
    ]


def body(key: str) -> TaskBody:
    return TaskBody(
        key=key,
        data={"html": f"<b>{key}</b>"},
        prediction=tuple(choice("same")),
        score=0.75,
        model="net",
    )


def spec(title: str, **changed: Any) -> ProjectSpec:
    settings: dict[str, Any] = {
        "title": title,
        "label_config": PAGE,
        "instruction": "Is it one person?",
        "overlap": 2,
        "allow_empty": False,
    }
    return ProjectSpec(**settings | changed)


@pytest.fixture
def server(label_studio: Any) -> LabelStudioServer:
    return connect(label_studio.url, label_studio.token, patience=20)


@pytest.fixture
def project(server: LabelStudioServer, request: pytest.FixtureRequest) -> int:
    return server.open_project(spec(request.node.name[:50]), None)


@pytest.fixture(scope="module")
def annotators(label_studio: Any) -> tuple[str, str]:
    return label_studio.add_user("ann@localhost"), label_studio.add_user("bob@localhost")


@pytest.fixture
def answer(label_studio: Any) -> Any:
    """``answer(task, result, token, ...)``: annotate as a person; returns the annotation's id."""

    def annotate(task: int, result: list[JsonObject], token: str = "", **more: Any) -> int:
        sent = {"result": result, "lead_time": 2.5, **more}
        made = label_studio.ask("POST", f"tasks/{task}/annotations/", token, json=sent)
        return int(made["id"])

    return annotate


def all_tasks(label_studio: Any, project: int) -> list[JsonObject]:
    asked = {"project": project, "fields": "all", "page_size": 1000}
    found: list[JsonObject] = label_studio.ask("GET", "tasks/", params=asked)["tasks"]
    return found


def one(tasks: Iterator[ServerTask]) -> ServerTask:
    (task,) = tasks
    return task


def now() -> str:
    return datetime.now(UTC).isoformat()


def test_a_project_is_set_up_found_again_and_brought_up_to_date(
    server: LabelStudioServer, label_studio: Any
) -> None:
    made = server.open_project(spec("Set up"), None)

    assert server.open_project(spec("Set up"), None) == made
    assert server.open_project(spec("Set up"), made + 4000) == made
    assert server.open_project(spec("Set up", overlap=3, allow_empty=True), made) == made
    found = label_studio.ask("GET", f"projects/{made}/")
    assert found["maximum_annotations"] == 3
    assert found["enable_empty_annotation"]
    assert found["label_config"] == PAGE
    assert found["expert_instruction"] == "Is it one person?"
    assert found["show_instruction"]
    assert found["sampling"] == "Sequential sampling"
    assert not found["show_collab_predictions"]
    assert not found["show_skip_button"]
    assert httpx.get(server.project_url(made)).status_code in (200, 302)


def test_tasks_keep_their_order_and_are_never_there_twice(
    server: LabelStudioServer, project: int, label_studio: Any
) -> None:
    keys = [f"k{number:03}" for number in range(299, -1, -1)]

    assert server.add_tasks(project, [body(key) for key in keys[:280]]) == 280
    assert server.add_tasks(project, [body(key) for key in keys]) == 20

    ids = server.task_ids(project)
    assert sorted(ids, key=ids.__getitem__) == keys
    tasks = all_tasks(label_studio, project)
    assert [task["data"] for task in tasks] == [
        {"html": f"<b>{key}</b>", "key": key} for key in keys
    ]
    prediction = tasks[0]["predictions"][0]
    assert prediction["result"] == choice("same")
    assert (prediction["score"], prediction["model_version"]) == (0.75, "net")


def test_tasks_are_counted_but_for_those_made_by_hand(
    server: LabelStudioServer, project: int, label_studio: Any
) -> None:
    assert server.count_tasks(project) == 0
    server.add_tasks(project, [body("a"), body("b")])
    for data in ({"html": "by hand"}, {"html": "by hand", "key": ""}):
        label_studio.ask("POST", "tasks/", json={"data": data, "project": project})
    assert server.count_tasks(project) == 2
    server.remove_tasks(project, [server.task_ids(project)["a"]])
    assert server.count_tasks(project) == 1


def test_a_project_is_found_by_its_title_and_not_made(server: LabelStudioServer) -> None:
    assert server.find_project("Found by title") is None
    made = server.open_project(spec("Found by title"), None)
    assert server.find_project("Found by title") == made
    assert server.find_project("Found by") is None


def test_answers_of_two_people_come_back(
    server: LabelStudioServer, project: int, annotators: tuple[str, str], answer: Any
) -> None:
    ann, bob = annotators
    server.add_tasks(project, [body("a"), body("b"), body("c")])
    ids = server.task_ids(project)
    started = now()
    of_ann = answer(ids["a"], choice("same"), ann)
    of_bob = answer(ids["a"], choice("different"), bob)
    skipped = answer(ids["c"], [], bob, was_cancelled=True)

    first, second = server.changed_tasks(project, None)

    assert (first.id, first.key, second.key) == (ids["a"], "a", "c")
    by_id = {found.id: found for found in first.annotations}
    assert by_id.keys() == {str(of_ann), str(of_bob)}
    assert by_id[str(of_ann)].annotator == "ann@localhost"
    assert by_id[str(of_bob)].annotator == "bob@localhost"
    assert by_id[str(of_bob)].result == tuple(choice("different"))
    assert by_id[str(of_bob)].seconds == 2.5
    when = datetime.fromisoformat(by_id[str(of_bob)].answered_at)
    assert datetime.fromisoformat(started) < when < datetime.now(UTC)
    assert not by_id[str(of_bob)].skipped
    assert [(found.id, found.skipped) for found in second.annotations] == [(str(skipped), True)]


def test_one_person_may_answer_twice_and_leave_an_answer_empty(
    server: LabelStudioServer, project: int, annotators: tuple[str, str], answer: Any
) -> None:
    ann, _ = annotators
    server.add_tasks(project, [body("a")])
    task = server.task_ids(project)["a"]
    answers = [answer(task, choice("same"), ann), answer(task, [], ann)]

    found = one(server.changed_tasks(project, None)).annotations

    assert sorted(one.id for one in found) == sorted(map(str, answers))
    assert {one.annotator for one in found} == {"ann@localhost"}
    assert next(one for one in found if one.id == str(answers[1])).result == ()


def test_edited_and_deleted_answers_are_seen_and_untouched_tasks_are_not(
    server: LabelStudioServer,
    project: int,
    label_studio: Any,
    answer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cleaning.review.label_studio_tasks.OVERLAP", datetime.resolution)
    server.add_tasks(project, [body(key) for key in "abcd"])
    ids = server.task_ids(project)
    edited, deleted = (answer(ids[key], choice("same")) for key in "ab")
    answer(ids["c"], choice("same"))
    server.replace_data(project, {ids["d"]: {"html": "new", "key": "d"}, 999_999: {"html": ""}})
    since = now()

    assert list(server.changed_tasks(project, since)) == []
    label_studio.ask("PATCH", f"annotations/{edited}/", json={"result": choice("different")})
    label_studio.ask("DELETE", f"annotations/{deleted}/")

    first, second = server.changed_tasks(project, since)
    assert (first.key, first.annotations[0].result) == ("a", tuple(choice("different")))
    assert (second.key, second.annotations) == ("b", ())
    assert [task.key for task in server.changed_tasks(project, None)] == ["a", "c"]
    last = max(first.updated_at, second.updated_at)
    assert [task.updated_at for task in server.changed_tasks(project, last)] == [last]
    assert label_studio.ask("GET", f"tasks/{ids['d']}/")["data"]["html"] == "new"


def test_more_changed_tasks_than_fit_one_page(
    server: LabelStudioServer, project: int, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleaning.review.label_studio_tasks.ANNOTATED_PAGE_SIZE", 2)
    monkeypatch.setattr("cleaning.review.label_studio_tasks.PAGE_SIZE", 2)
    server.add_tasks(project, [body(key) for key in "abcde"])
    ids = server.task_ids(project)
    for key in "abcd":
        answer(ids[key], choice("same"))

    assert list(ids) == list("abcde")
    assert [task.key for task in server.changed_tasks(project, None)] == list("abcd")


def test_removed_tasks_are_gone_and_may_be_removed_again(
    server: LabelStudioServer, project: int, label_studio: Any
) -> None:
    server.add_tasks(project, [body(key) for key in "abc"])
    label_studio.ask("POST", "tasks/", json={"project": project, "data": {"html": "by hand"}})
    ids = server.task_ids(project)

    server.remove_tasks(project, [ids["a"], ids["b"]])
    server.remove_tasks(project, [ids["a"]])

    assert ids.keys() == {"a", "b", "c"}
    assert server.task_ids(project).keys() == {"c"}


def test_a_deleted_project_is_named(
    server: LabelStudioServer, project: int, label_studio: Any
) -> None:
    label_studio.ask("DELETE", f"projects/{project}/")
    gone = f"project {project} is gone"

    with pytest.raises(ProjectGoneError, match=gone):
        server.task_ids(project)
    with pytest.raises(ProjectGoneError, match=gone):
        server.add_tasks(project, [body("a")])
    with pytest.raises(ProjectGoneError, match=gone):
        list(server.changed_tasks(project, None))
    with pytest.raises(ProjectGoneError, match=gone):
        server.replace_data(project, {999_999: {"html": ""}})
    with pytest.raises(ProjectGoneError, match=gone):
        server.remove_tasks(project, [1])


def test_a_page_edited_by_hand_is_put_back_unless_answers_would_be_orphaned(
    server: LabelStudioServer, project: int, label_studio: Any, answer: Any
) -> None:
    title = label_studio.ask("GET", f"projects/{project}/")["title"]
    other = PAGE.replace('"answer"', '"verdict"')
    label_studio.ask("PATCH", f"projects/{project}/", json={"label_config": other})
    server.open_project(spec(title), project)
    assert label_studio.ask("GET", f"projects/{project}/")["label_config"] == PAGE

    label_studio.ask("PATCH", f"projects/{project}/", json={"label_config": other})
    server.add_tasks(project, [body("a")])
    result = [choice("same")[0] | {"from_name": "verdict"}]
    answer(server.task_ids(project)["a"], result)

    with pytest.raises(ReviewError, match="edited by hand and cannot be put back") as caught:
        server.open_project(spec(title), project)
    assert "from_name=verdict" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_token_names_its_variable_and_not_itself(label_studio: Any) -> None:
    with pytest.raises(RequestError, match="LABEL_STUDIO_API_KEY") as caught:
        connect(label_studio.url, "0" * 40).open_project(spec("Never"), None)
    assert "0000" not in str(caught.value)
    with pytest.raises(RequestError, match="LABEL_STUDIO_API_KEY is not set"):
        connect(label_studio.url, "")


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://", ""])
def test_an_address_that_cannot_be_one(url: str) -> None:
    with pytest.raises(RequestError, match="is not an http"):
        connect(url, "0" * 40)


def test_what_the_server_refuses_is_said_in_one_line(server: LabelStudioServer) -> None:
    with pytest.raises(ReviewError, match="HTTP 400: title: Ensure this field has") as caught:
        server.open_project(spec("ab"), None)
    assert "\n" not in str(caught.value)


def test_files_below_a_folder_are_shown(
    server: LabelStudioServer, project: int, label_studio: Any, tmp_path: Path
) -> None:
    folder = label_studio.document_root / "faces"
    folder.mkdir(exist_ok=True)
    (folder / "one.txt").write_text("a face")

    server.serve_folder(project, str(folder))
    server.serve_folder(project, str(folder) + "/")

    asked = {"project": project}
    assert len(label_studio.ask("GET", "storages/localfiles", params=asked)) == 1
    headers = {"Authorization": f"Token {label_studio.token}"}
    where = f"{label_studio.url}/data/local-files/?d=faces/one.txt"
    assert httpx.get(where, headers=headers).text == "a face"
    with pytest.raises(ReviewError, match="must be a subdirectory"):
        server.serve_folder(project, str(tmp_path))


def test_a_webhook_is_set_once_and_taken_back(
    server: LabelStudioServer, project: int, label_studio: Any
) -> None:
    url = "http://127.0.0.1:9/answers"
    server.set_webhook(project, url, {"Authorization": "Bearer old"})
    made = server.set_webhook(project, url, {"Authorization": "Bearer new"})

    (found,) = label_studio.ask("GET", "webhooks/", params={"project": project})
    assert (found["id"], found["url"]) == (made, url)
    assert found["headers"] == {"Authorization": "Bearer new"}
    assert sorted(found["actions"]) == [
        "ANNOTATIONS_DELETED",
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
    ]
    server.remove_webhook(made)
    server.remove_webhook(made)
    assert label_studio.ask("GET", "webhooks/", params={"project": project}) == []


def test_a_server_killed_in_an_import_gets_each_task_once(
    server: LabelStudioServer, project: int, label_studio: Any
) -> None:
    keys = [f"k{number:04}" for number in range(1500)]
    failed: list[ReviewError] = []
    hasty = connect(label_studio.url, label_studio.token, patience=0.1)

    def push() -> None:
        try:
            hasty.add_tasks(project, [body(key) for key in keys])
        except ReviewError as error:
            failed.append(error)

    pushing = threading.Thread(target=push)
    pushing.start()
    while len(server.task_ids(project)) < 500:
        time.sleep(0.05)
    label_studio.kill()
    pushing.join()
    assert failed
    label_studio.restart()

    assert 500 <= len(server.task_ids(project)) < 1500
    server.add_tasks(project, [body(key) for key in keys])

    tasks = all_tasks(label_studio, project) + all_tasks_after(label_studio, project)
    assert [task["data"]["key"] for task in tasks] == keys
    assert {task["total_predictions"] for task in tasks} == {1}


def all_tasks_after(label_studio: Any, project: int) -> list[JsonObject]:
    asked = {"project": project, "page_size": 1000, "page": 2}
    found: list[JsonObject] = label_studio.ask("GET", "tasks/", params=asked)["tasks"]
    return found


def test_a_restart_goes_unnoticed_by_a_patient_client(
    server: LabelStudioServer, project: int, label_studio: Any
) -> None:
    server.add_tasks(project, [body("a")])
    label_studio.kill()
    restarting = threading.Thread(target=label_studio.restart)
    restarting.start()

    assert server.task_ids(project).keys() == {"a"}
    restarting.join()
    assert server.version().startswith("1.")


def test_importing_the_module_does_not_import_the_library() -> None:
    code = "import sys, cleaning.review.label_studio; print('label_studio_sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
