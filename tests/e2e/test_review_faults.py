"""The review when things go wrong: a real server, a proxy in front of it that kills on request.

One build of a few rendered people serves all tests; each works on a copy of its workspace, with
projects of its own on the server.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
import yaml

from cleaning.identity.merge import merge as merge_identities
from cleaning.review.decisions import latest
from cleaning.review.items import PairItem, PersonAnswer
from cleaning.stages.material import find_newest
from cleaning.stages.review_folder import ReviewFolder
from facedata.lock import hold_workspace
from facedata.review import PENDING, Pair
from facedata.storage import Storage
from flows import review_record, review_server

LOGS = ("answers.jsonl", "decisions.jsonl", "photo_decisions.jsonl")
REVIEW = "review/people"
PAGE = ("question", "similarity", "closest", "galleries")
HASTY = (
    "import functools, flows.review_server as review\n"
    "review.connect = functools.partial(review.connect, patience=0.3)\n"
    "from flows.cli import main\n"
    "main()\n"
)


# --- a proxy that kills ---------------------------------------------------------------------------


@dataclass
class Proxy:
    """Passes requests on to a server, and at some of them calls what was asked for."""

    target: str
    seen: list[str] = field(default_factory=list)
    before: dict[int, Callable[[], None]] = field(default_factory=dict)
    after: dict[int, Callable[[], None]] = field(default_factory=dict)
    matching: str = ""
    count: int = 0

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        line = f"{handler.command} {handler.path}"
        self.seen.append(line)
        number = 0
        if self.matching and self.matching in line:
            self.count += 1
            number = self.count
        size = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(size)
        if number in self.before:
            self.before[number]()
            handler.close_connection = True
            return
        kept = ("Authorization", "Content-Type")
        headers = {name: handler.headers[name] for name in kept if name in handler.headers}
        url = f"{self.target}{handler.path}"
        try:
            answer = httpx.request(handler.command, url, headers=headers, content=body, timeout=120)
        except httpx.TransportError:
            # As a server that is gone: the connection ends without an answer.
            handler.close_connection = True
            return
        if number in self.after:
            self.after[number]()
            handler.close_connection = True
            return
        handler.send_response(answer.status_code)
        handler.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        handler.send_header("Content-Length", str(len(answer.content)))
        handler.end_headers()
        handler.wfile.write(answer.content)


@pytest.fixture
def proxy(label_studio: Any) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of the server, and its address."""
    passing = Proxy(target=label_studio.url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    for verb in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        setattr(Handler, f"do_{verb}", lambda handler: passing.pass_on(handler))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield passing, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


# --- a review in a workspace ----------------------------------------------------------------------


@dataclass
class Reviewed:
    """A workspace with a build in it, and a recipe whose questions go to the server."""

    winnow: Any
    server: Any
    home: Path
    settings: dict[str, Any]
    said: list[str] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def recipe(self) -> Path:
        return self.home / "recipe.yaml"

    @property
    def folder(self) -> ReviewFolder:
        return ReviewFolder(storage=Storage(self.work), dataset="people")

    def write(self, release: dict[str, Any] | None = None, **review: Any) -> Reviewed:
        """Write the recipe; keys given replace those of its review."""
        usual = {
            "backend": "label-studio",
            "url": self.server.url,
            "project": self.home.name,
            "borderline": 0,
            "images": {"document_root": str(self.server.document_root)},
        }
        recipe = {**self.settings, "release": release or {}, "review": {**usual, **review}}
        self.recipe.write_text(yaml.safe_dump(recipe))
        return self

    def copy(self, name: str, **review: Any) -> Reviewed:
        """The same in another workspace; its projects are the same where they were made."""
        home = self.home.with_name(name)
        shutil.copytree(self.home, home)
        other = Reviewed(self.winnow, self.server, home, self.settings)
        return other.write(**{"project": self.home.name, **review})

    def opened(self) -> review_server.Review:
        return review_server.open_review(self.recipe, str(self.work))

    def push(self, batches: int = 1) -> dict[str, Any]:
        material = find_newest(self.folder)
        return review_server.push(self.opened(), material, batches, self.said.append)

    def pull(self) -> dict[str, Any]:
        return review_server.pull(self.opened(), self.said.append)

    def close(self) -> dict[str, Any]:
        return review_server.close(self.opened(), self.said.append)

    def run(self, *command: str) -> Any:
        return self.winnow(*command, self.recipe, "-w", self.work)

    def command(self, *command: str) -> list[str]:
        return [self.winnow.command, *command, str(self.recipe), "-w", str(self.work)]

    def hasty(self, *command: str, token: str | None = None) -> tuple[int, str]:
        """Run a command that gives a server up soon; its exit code and all that it said."""
        environment = self.winnow.environment()
        if token is not None:
            environment["LABEL_STUDIO_API_KEY"] = token
        done = subprocess.run(
            [sys.executable, "-c", HASTY, *self.command(*command)[1:]],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stderr + done.stdout

    # --- the server's side ------------------------------------------------------------------------

    def project(self, kind: str) -> int:
        return int(json.loads((self.work / REVIEW / "projects.json").read_text())[kind])

    def tasks(self, kind: str) -> list[dict[str, Any]]:
        asked = {"project": self.project(kind), "page_size": 500, "fields": "all"}
        found: list[dict[str, Any]] = self.server.ask("GET", "tasks/", params=asked)["tasks"]
        return found

    def task(self, kind: str, pair: Pair) -> int:
        """The newest task about a pair."""
        keys = {item.key for item in self.items(kind) if pair_of(item) == pair}
        return max(int(task["id"]) for task in self.tasks(kind) if task["data"].get("key") in keys)

    def items(self, kind: str) -> list[Any]:
        names = [name for name in self.folder.batch_names() if name.startswith(kind)]
        return [item for name in names for item in self.folder.batch(name).items]

    def pairs(self, kind: str = "pairs") -> list[Pair]:
        """The pairs of the newest batch, in order of the questions."""
        names = [name for name in self.folder.batch_names() if name.startswith(kind)]
        return [pair_of(item) for item in self.folder.batch(names[-1]).items]

    def say(self, kind: str, pair: Pair, word: str, *mixed: str, token: str = "") -> int:
        """Answer the newest task about a pair; returns the annotation's id."""
        result = [choices("answer", "closest", word)]
        if mixed:
            result.append(choices("mixed", "galleries", *mixed))
        return self.annotate(self.task(kind, pair), result, token)

    def annotate(self, task: int, result: list[dict[str, Any]], token: str = "") -> int:
        body = {"result": result, "lead_time": 4.0}
        made = self.server.ask("POST", f"tasks/{task}/annotations/", token, json=body)
        return int(made["id"])

    def say_to_all(self, kind: str, word: str) -> None:
        """Answer every task that has no answer."""
        control = {"pairs": "closest", "senior": "closest", "audit": "photo"}.get(kind)
        for task in self.tasks(kind):
            if not task["annotations"]:
                result = [choices("answer", control, word)] if control else []
                self.annotate(task["id"], result)

    # --- what came of it --------------------------------------------------------------------------

    def words(self) -> dict[Pair, str]:
        return {row.pair: row.decision for row in self.folder.decisions()}

    def answers(self) -> list[PersonAnswer]:
        return self.folder.answers()

    def logs(self) -> dict[str, bytes]:
        paths = {name: self.work / REVIEW / name for name in LOGS}
        return {name: path.read_bytes() if path.exists() else b"" for name, path in paths.items()}


def pair_of(item: PairItem) -> Pair:
    return (item.a.identity, item.b.identity)


def choices(name: str, to_name: str, *words: str) -> dict[str, Any]:
    value = {"choices": list(words)}
    return {"from_name": name, "to_name": to_name, "type": "choices", "value": value}


@dataclass(frozen=True)
class Built:
    """A workspace with a build in it, which found no server, and how that command ended."""

    home: Path
    code: int
    said: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def built(
    winnow: Any, label_studio: Any, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Built:
    """A build whose merge candidates are all pairs of identities."""
    home = label_studio.document_root / tmp_path_factory.mktemp("built").name
    (home / "work").mkdir(parents=True)
    made = Reviewed(winnow, label_studio, home, settings_for(photos))
    made.write(url=f"http://127.0.0.1:{free_port()}")
    code, said = made.hasty("build", token=label_studio.token)
    return Built(home, code, said)


def settings_for(photos: Path) -> dict[str, Any]:
    sources = [{"folder": {"path": str(photos)}}]
    return {"name": "people", "models": "demo", "sources": sources, "inter": {"threshold": -0.9}}


@pytest.fixture
def reviewed(
    winnow: Any,
    label_studio: Any,
    built: Built,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Reviewed]:
    """A copy of the build, nothing sent yet."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    home = label_studio.document_root / tmp_path.name
    shutil.copytree(built.home, home)
    # What it had planned to ask it would ask now, whatever the recipe says since.
    shutil.rmtree(home / "work" / REVIEW / "batches")
    yield Reviewed(winnow, label_studio, home, settings_for(photos)).write()
    shutil.rmtree(home)


def sent(made: Reviewed) -> dict[str, list[str]]:
    """The keys of every kind on the server, and the names of all pictures."""
    known = set(json.loads((made.work / REVIEW / "projects.json").read_text())) - {"server"}
    keys = {kind: [task["data"]["key"] for task in made.tasks(kind)] for kind in known}
    return {**keys, "images": made.folder.storage.names(f"{REVIEW}/images")}


def markers(made: Reviewed) -> dict[str, list[str]]:
    batches = made.work / REVIEW / "batches"
    return {
        batch.name: sorted(file.name for file in batch.iterdir()) for batch in batches.iterdir()
    }


# --- no server, no token --------------------------------------------------------------------------


def test_a_build_goes_on_without_the_server(built: Built) -> None:
    assert built.code == 0, built.said
    assert "Traceback" not in built.said
    lines = [line for line in built.said.splitlines() if line.startswith("review: Label Studio")]
    assert len(lines) == 1
    assert "cannot be reached" in lines[0]
    assert "`winnow review push` sends the questions later" in lines[0]
    assert (built.home / "work/versions/people-v0001/manifest.json").exists()


def test_a_build_waits_once_for_a_server_that_is_down(reviewed: Reviewed) -> None:
    reviewed.write(url=f"http://127.0.0.1:{free_port()}")
    (reviewed.work / REVIEW / "projects.json").write_text('{"pairs": 1}')
    code, said = reviewed.hasty("build")
    assert code == 0, said
    (down,) = [line for line in said.splitlines() if "Label Studio at" in line]
    assert "cannot be reached" in down
    assert down.endswith("going on with the answers fetched so far")
    assert (
        "review: nothing is sent to a server that failed before; `winnow review push` sends the "
        "questions later"
    ) in said.splitlines()


@pytest.mark.parametrize("command", ["push", "pull", "close"])
def test_a_command_without_the_server_fails_in_one_line(reviewed: Reviewed, command: str) -> None:
    reviewed.write(url=f"http://127.0.0.1:{free_port()}")
    (reviewed.work / REVIEW / "projects.json").write_text('{"pairs": 1}')
    code, said = reviewed.hasty("review", command)
    assert code == 1
    (line,) = said.splitlines()
    assert line.startswith("winnow: Label Studio at http://127.0.0.1:")
    assert "cannot be reached" in line


def test_a_wrong_token_is_refused_and_never_printed(reviewed: Reviewed) -> None:
    wrong = "0123456789abcdef" * 2
    for command in (("review", "push"), ("build",)):
        code, said = reviewed.hasty(*command, token=wrong)
        assert code == 2, said
        assert "Traceback" not in said
        assert "refuses the token in LABEL_STUDIO_API_KEY" in said.splitlines()[-1]
        assert wrong not in said


def test_a_missing_token_is_named(reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    for command in (("review", "pull"), ("build",)):
        code, said = reviewed.hasty(*command)
        assert code == 2
        assert "environment variable LABEL_STUDIO_API_KEY is not set" in said.splitlines()[-1]


# --- killed in the middle -------------------------------------------------------------------------


def end_state(made: Reviewed) -> tuple[Any, ...]:
    plans = {
        plan.parent.name: plan.read_bytes()
        for plan in (made.work / REVIEW / "batches").glob("*/plan.json")
    }
    return sent(made), markers(made), plans


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(30)


AUDITED = {"audit": 5}


def test_a_push_in_which_the_server_dies_and_one_in_which_the_client_does(
    reviewed: Reviewed, proxy: tuple[Proxy, str], label_studio: Any
) -> None:
    passing, address = proxy
    first = reviewed.copy(f"{reviewed.home.name}-first")
    second = reviewed.copy(f"{reviewed.home.name}-second")
    reviewed.write(release=AUDITED).push()
    expected = end_state(reviewed)
    assert len(expected[0]["pairs"]) == len(set(expected[0]["pairs"])) > 9
    assert len(expected[0]["audit"]) == 5

    # The server dies once an import is taken, before it says so, and once before the next.
    def restart() -> None:
        label_studio.kill()
        label_studio.restart()

    passing.matching = "/import"
    passing.after[1] = passing.before[2] = restart
    first.write(release=AUDITED, project=first.home.name, url=address).push()
    assert passing.count == 3
    assert end_state(first) == expected

    started: list[subprocess.Popen[bytes]] = []
    passing.after, passing.before, passing.count = {1: lambda: kill(started[0])}, {}, 0
    second.write(release=AUDITED, project=second.home.name, url=address)
    started.append(subprocess.Popen(second.command("review", "push"), stderr=subprocess.DEVNULL))
    assert started[0].wait(120) == -signal.SIGKILL
    assert markers(second) == {"pairs-0001": ["index.json", "plan.json"]}
    second.push()
    assert end_state(second) == expected


def test_a_pull_in_which_the_server_dies_and_one_in_which_the_client_does(
    reviewed: Reviewed, proxy: tuple[Proxy, str], label_studio: Any
) -> None:
    passing, address = proxy
    reviewed.write(release=AUDITED).push()
    reviewed.say_to_all("pairs", "different")
    reviewed.say_to_all("audit", "right")
    first = reviewed.copy(f"{reviewed.home.name}-first", url=address)
    second = reviewed.copy(f"{reviewed.home.name}-second", url=address)
    pulled = reviewed.pull()
    assert pulled["completed"] == ["audit-0001", "pairs-0001"]
    assert pulled["new_answers"] == pulled["new_decisions"] + pulled["new_photo_decisions"] > 9

    def restart() -> None:
        label_studio.kill()
        label_studio.restart()

    passing.matching, passing.after = "GET /api/tasks", {2: restart}
    assert {**first.pull(), "problems": []} == pulled
    assert passing.count == 3
    assert first.logs() == reviewed.logs()

    started: list[subprocess.Popen[bytes]] = []
    passing.after, passing.count = {2: lambda: kill(started[0])}, 0
    started.append(subprocess.Popen(second.command("review", "pull"), stderr=subprocess.DEVNULL))
    assert started[0].wait(120) == -signal.SIGKILL
    second.pull()
    assert second.logs() == reviewed.logs()
    assert second.pull()["new_answers"] == 0
    assert second.logs() == reviewed.logs()
    assert markers(second) == markers(reviewed)


def test_pulls_at_once_and_a_push_beside_a_build(reviewed: Reviewed) -> None:
    with hold_workspace(Storage(reviewed.work)):
        assert reviewed.push()["new_questions"] > 9
    reviewed.say_to_all("pairs", "different")
    single = reviewed.copy(f"{reviewed.home.name}-single")
    single.pull()
    both = [
        subprocess.Popen(reviewed.command("review", "pull", "--json"), stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    counts = [json.loads(one.communicate(timeout=300)[0])["new_answers"] for one in both]
    assert sorted(counts) == [0, len(single.answers())]
    assert reviewed.logs() == single.logs()


# --- changed by hand on the server ----------------------------------------------------------------


def test_what_people_do_to_projects_tasks_and_answers(reviewed: Reviewed) -> None:
    server = reviewed.server
    asked = reviewed.push()["new_questions"]
    (view,) = server.ask("GET", "dm/views/", params={"project": reviewed.project("pairs")})
    assert "tasks:data.closest" in view["data"]["hiddenColumns"]["explore"]
    a, b, c, d, *_ = reviewed.pairs()
    edited = reviewed.say("pairs", a, "same")
    deleted = reviewed.say("pairs", b, "different")
    # One that cannot be read, a task made by hand, and a question left out of the project.
    reviewed.say("pairs", c, "twins")
    by_hand = server.ask(
        "POST",
        "tasks/",
        json={"data": dict.fromkeys(PAGE, "by hand"), "project": reviewed.project("pairs")},
    )
    reviewed.annotate(by_hand["id"], [choices("answer", "closest", "same")])
    server.ask("DELETE", f"tasks/{reviewed.task('pairs', d)}/")
    pulled = reviewed.pull()
    assert (pulled["new_answers"], pulled["new_decisions"]) == (2, 2)
    assert len(pulled["problems"]) == 2
    assert any("the answer 'twins' is unknown" in line for line in pulled["problems"])
    assert any("is not one of ours; it is left alone" in line for line in pulled["problems"])
    # What was deleted comes again.
    assert reviewed.push()["new_questions"] == 1

    server.ask(
        "PATCH", f"annotations/{edited}/", json={"result": [choices("answer", "closest", "unsure")]}
    )
    server.ask("DELETE", f"annotations/{deleted}/")
    pulled = reviewed.pull()
    assert (pulled["new_answers"], pulled["new_decisions"]) == (2, 2)
    assert (reviewed.words()[a], reviewed.words()[b]) == ("unsure", PENDING)
    assert [row.decision for row in reviewed.folder.decisions() if row.pair == a] == [
        "same",
        "unsure",
    ]

    # The whole project: only what is open is sent to the new one, whose page is put right.
    before = reviewed.project("pairs")
    server.ask("DELETE", f"projects/{before}/")
    (problem,) = reviewed.pull()["problems"]
    assert f"project {before} was deleted on the server" in problem
    assert reviewed.push()["new_questions"] == asked - 1
    assert reviewed.project("pairs") != before
    page = server.ask("GET", f"projects/{reviewed.project('pairs')}/")["label_config"]
    changed = page.replace("Same", "Alike")
    assert changed != page
    server.ask("PATCH", f"projects/{reviewed.project('pairs')}/", json={"label_config": changed})
    assert reviewed.push()["new_questions"] == 0
    assert server.ask("GET", f"projects/{reviewed.project('pairs')}/")["label_config"] == page
    reviewed.say_to_all("pairs", "different")
    assert reviewed.pull()["completed"] == ["pairs-0001"]
    assert set(reviewed.words().values()) == {"unsure", "different"}


def test_overlap_a_closed_batch_and_undo(reviewed: Reviewed) -> None:
    reviewed.write(overlap=2)
    other = reviewed.server.add_user("kim@overlap.example")
    reviewed.push()
    a, b, *_ = reviewed.pairs()
    reviewed.say("pairs", a, "same")
    twice = reviewed.say("pairs", a, "different")
    pulled = reviewed.pull()
    assert (pulled["new_decisions"], pulled["new_answers"]) == (0, 2)
    reviewed.say("pairs", a, "different", token=other)
    reviewed.say("pairs", b, "same")
    taken_back = reviewed.say("pairs", b, "same", token=other)
    reviewed.pull()
    assert reviewed.words() == {a: "different", b: "same"}

    assert reviewed.close()["closed"] == ["pairs-0001"]
    # To a batch that is over: still heard.
    reviewed.server.ask("DELETE", f"annotations/{taken_back}/")
    reviewed.server.ask("DELETE", f"annotations/{twice}/")
    assert reviewed.pull()["new_decisions"] == 2
    assert reviewed.words() == {a: "unsure", b: PENDING}
    reviewed.say("pairs", b, "same", token=other)
    assert reviewed.pull()["new_decisions"] == 1

    review_record.undo(reviewed.recipe, str(reviewed.work), b, "sam", "twins")
    (reviewed.work / REVIEW / "pulled.json").unlink()
    assert reviewed.pull()["new_decisions"] == 0
    assert reviewed.words()[b] == PENDING
    keys = {item.key for item in reviewed.items("pairs")}
    reviewed.push()
    assert b in reviewed.pairs()
    assert not keys & {item.key for item in reviewed.folder.batch("pairs-0002").items}


def test_an_answer_about_a_pair_that_is_no_candidate_any_more(reviewed: Reviewed) -> None:
    reviewed.push()
    last = reviewed.pairs()[-1]
    reviewed.say("pairs", last, "different")
    # The newest build has no candidates: the threshold was raised.
    reviewed.settings = {**reviewed.settings, "inter": {"threshold": 1.0}}
    reviewed.write(backend="none")
    assert reviewed.run("inter").code == 0
    stages = reviewed.work / "stages/inter"
    newest = max(stages.iterdir(), key=lambda stage: stage.stat().st_mtime)
    noted = reviewed.work / REVIEW / "newest.json"
    noted.write_text(json.dumps({**json.loads(noted.read_text()), "inter": ["inter", newest.name]}))
    reviewed.write()
    assert reviewed.pull()["superseded"] == 1
    assert reviewed.said[-1].startswith("review: 1 answers are about pairs that are no candidates")
    assert reviewed.words() == {last: "different"}
    # What was a candidate cannot be told any more; the answer counts.
    shutil.rmtree(newest)
    reviewed.say("pairs", reviewed.pairs()[0], "different")
    pulled = reviewed.pull()
    assert (pulled["new_decisions"], pulled["superseded"]) == (1, 0)


# --- answers that need more answers ---------------------------------------------------------------


def triangle(pairs: list[Pair]) -> tuple[Pair, Pair, Pair]:
    """Three pairs among three identities."""
    for one in pairs:
        for two in pairs:
            third = set(one) ^ set(two)
            for three in pairs:
                if len(third) == 2 and set(three) == third:
                    return one, two, three
    raise AssertionError(pairs)


def test_a_contradiction_goes_to_a_senior_and_ends_there(reviewed: Reviewed) -> None:
    reviewed.push()
    one, two, three = triangle(reviewed.pairs())
    for pair in reviewed.pairs():
        reviewed.say("pairs", pair, "same" if pair in (one, two) else "different")
    reviewed.pull()
    assert reviewed.push()["opened"]["senior-0001"] == 3
    # The pairs that the first batch might have spared.
    reviewed.say_to_all("pairs", "different")
    reviewed.pull()
    items = {pair_of(item): item for item in reviewed.items("senior")}
    assert set(items) == {one, two, three}
    assert items[one].earlier.startswith("same (")
    assert items[three].earlier.startswith("different (")
    held = merge(reviewed)
    assert set(held) == {*one, *two}
    # Asked of seniors, so of nobody else meanwhile.
    assert reviewed.push()["new_questions"] == 0

    # The senior says all three are the same; and that is that.
    for pair in items:
        reviewed.say("senior", pair, "same")
    assert reviewed.pull()["completed"] == ["senior-0001"]
    assert reviewed.words()[three] == "same"
    assert merge(reviewed) == {}
    assert reviewed.push()["new_questions"] == 0

    # A senior who contradicts the others again: held, and nobody is asked for ever.
    reviewed.say("senior", one, "different")
    reviewed.pull()
    assert reviewed.words()[one] == "different"
    assert set(merge(reviewed)) == {*one, *two}
    for _ in range(2):
        assert reviewed.push()["new_questions"] == 0
        assert reviewed.pull()["new_decisions"] == 0


def merge(made: Reviewed) -> dict[str, Any]:
    """The identities that contradictions hold."""
    log = latest(made.folder.decisions()).values()
    names = {name: 1 for row in log for name in row.pair}
    return dict(merge_identities(names, log, "keep-separate").held)


def test_control_questions_mixed_galleries_and_their_photos(reviewed: Reviewed) -> None:
    reviewed.push()
    first, *_, last = reviewed.pairs()
    reviewed.close()
    gold = reviewed.home / "gold.csv"
    rows = [f"{a},{b},{word}" for (a, b), word in ((first, "same"), (last, "different"))]
    gold.write_text("\n".join(["identity_a,identity_b,decision", *rows, ""]))
    reviewed.write(gold=str(gold), gold_share=0.5)
    reviewed.push()
    known = {first: "same", last: "different"}
    assert reviewed.words() == known
    controls = [item for item in reviewed.items("pairs") if item.gold]
    assert {pair_of(item) for item in controls} == set(known)

    # Wrong about one of them, and one gallery is called mixed.
    asked = [pair for pair in reviewed.pairs() if pair not in known]
    for pair in (first, last):
        reviewed.say("pairs", pair, "different")
    # Not one of those that are merged.
    seen, place = next((p, n) for p in asked for n in (0, 1) if p[n] not in first)
    mixed = seen[place]
    reviewed.say("pairs", seen, "different", "ab"[place])
    reviewed.say_to_all("pairs", "different")
    reviewed.pull()
    assert {pair: reviewed.words()[pair] for pair in known} == known
    status = reviewed.run("review", "status", "--json").answer
    (person,) = status["agreement"]["annotators"]
    assert (person["gold_answered"], person["gold_right"]) == (2, 1)

    reviewed.push()
    (grid,) = reviewed.items("photos")
    assert (grid.reference.identity, grid.why) == (
        mixed,
        "Reviewers saw more than one person in this gallery.",
    )
    (task,) = reviewed.tasks("photos")
    out = grid.photos[0].image_id
    reviewed.annotate(task["id"], [choices("wrong", "reference", out)])
    built = reviewed.run("build", "--json").answer
    assert built["stages"]["review"]["new_photo_decisions"] == len(grid.photos)
    version = reviewed.work / "versions" / built["release"]["version"]
    ledger = pq.read_table(version / "ledger.parquet").to_pylist()
    reasons = {row["reason"] for row in ledger if row["image_id"] == out}
    assert "rejected" in reasons
    shipped = {row["image_id"]: row["reason"] for row in ledger if row["identity"] == mixed}
    assert shipped.keys() == {photo.image_id for photo in grid.photos[1:]}
    assert set(shipped.values()) <= {"confirmed", "belongs_to_other"}
    report = (version / "report/index.html").read_text("utf-8")
    assert "1 of 2" in report
    assert reviewed.push()["new_questions"] == 0
