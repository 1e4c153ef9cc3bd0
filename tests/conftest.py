"""What all tests share: a Prefect of their own, and real servers for those that ask."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.label_studio import RunningServer, executable, start_server
from demo.label_studio_home import ServerSettings
from facedata.errors import RequestError

_HOME = Path(tempfile.mkdtemp(prefix="winnow-tests-"))

# Before Prefect is imported: no telemetry, and nothing of the person's own settings or runs.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["PREFECT_HOME"] = str(_HOME / "prefect")
os.environ.pop("PREFECT_API_URL", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@dataclass(frozen=True)
class Running:
    """A command in the background, in a session of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """End it, and whatever it started."""
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 10)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)


def _wait_for(ready: Callable[[], Any], what: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain for {what}")
        time.sleep(0.25)


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., None]:
    """``wait_for(ready, what, seconds)``: ask until it is so; fail after ``seconds``."""
    return _wait_for


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server on a free loopback port, with everything it stores in ``home``."""

    home: Path
    port: int

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command that talks to this server."""
        own = {"PREFECT_HOME": str(self.home), "PREFECT_API_URL": self.api}
        return os.environ | own | {"PYTHONUNBUFFERED": "1"}

    def start(self, name: str, *arguments: str, cwd: Path | None = None, **env: str) -> Running:
        """Start a ``prefect`` command in the background; its log is ``<name>.log``."""
        log = self.home / f"{name}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
                env=self.environment | env,
                cwd=cwd,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Running(process, log)

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run a ``prefect`` command to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
            env=self.environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def is_up(self) -> bool:
        try:
            return httpx.get(f"{self.api}/health", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def send(self, method: str, path: str, **request: Any) -> Any:
        """Send a request to the API and return its answer, null for an empty one.

        A server whose database is busy answers 503: it is asked again, as Prefect's client does.
        """
        end = time.monotonic() + 60
        while True:
            answer = httpx.request(method, f"{self.api}{path}", timeout=20, **request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > end:
                break
            time.sleep(0.5)
        assert answer.is_success, answer.text[:500]
        return answer.json() if answer.content else None

    def ask(self, path: str, **query: Any) -> Any:
        """POST a query to the API and return its answer."""
        return self.send("POST", path, json=query)

    def events(self, name: str, resource_id: str) -> list[dict[str, Any]]:
        """Events of one name about one resource, as the server has stored them."""
        wanted = {"event": {"name": [name]}, "resource": {"id": [resource_id]}}
        found: list[dict[str, Any]] = self.ask("/events/filter", filter=wanted)["events"]
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A real Prefect server, started once for the whole session."""
    server = PrefectServer(home=tmp_path_factory.mktemp("prefect"), port=free_port())
    where = ("--host", "127.0.0.1", "--port", str(server.port))
    running = server.start("server", "server", "start", "--no-ui", *where)
    try:
        _wait_for(server.is_up, f"the Prefect server (see {running.log})", 180)
        yield server
    finally:
        running.stop()


class LabelStudio:
    """A Label Studio server that a test may kill and start again, with what it had stored."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.document_root = settings.document_root
        self.token = settings.token
        self._server: RunningServer = start_server(settings)

    @property
    def url(self) -> str:
        return self._server.url

    def add_user(self, email: str) -> str:
        """Sign an annotator up; returns the annotator's token."""
        return self._server.add_user(email, "a password of no account")

    def kill(self) -> None:
        """End the server in the middle of whatever it does."""
        os.killpg(self._server.process.pid, signal.SIGKILL)
        self._server.process.wait(10)

    def restart(self) -> None:
        """Start the server again, with the same address; takes about four seconds."""
        self._server.stop()
        self._server = start_server(self.settings)

    def stop(self) -> None:
        self._server.stop()

    def ask(self, method: str, path: str, token: str = "", **request: Any) -> Any:
        """Send a request as the first user, or as the one with ``token``; returns the answer."""
        headers = {"Authorization": f"Token {token or self.token}"}
        url = f"{self.url}/api/{path}"
        answer = httpx.request(method, url, headers=headers, timeout=60, **request)
        assert answer.is_success, answer.text[:500]
        return answer.json() if answer.content else None


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    """A real Label Studio server, started once for the whole session."""
    try:
        executable()
    except RequestError as error:
        pytest.skip(str(error))
    home = tmp_path_factory.mktemp("label-studio")
    settings = ServerSettings(
        data_dir=home / "data",
        port=free_port(),
        document_root=home / "files",
        token=secrets.token_hex(20),
        password=secrets.token_hex(10),
    )
    server = LabelStudio(settings)
    yield server
    server.stop()


class FileServer:
    """A folder over HTTP; each request for a file takes the next of ``faults``, if one is left.

    ``503`` and ``404`` are answers, ``cut`` ends the connection half way, ``flip`` changes a byte.
    Without ``ranges`` it sends whole files only.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[str] = []
        self.ranges = True
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.answer(self, server.faults.pop(0) if server.faults else "")

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def answer(self, request: BaseHTTPRequestHandler, fault: str) -> None:
        path = self.root / request.path.strip("/")
        status = int(fault) if fault.isdecimal() else 200 if path.is_file() else 404
        data = path.read_bytes() if status == 200 else b""
        if data and self.ranges and (asked := request.headers.get("Range")):
            first, last = asked.removeprefix("bytes=").split("-")
            status, data = 206, data[int(first) : int(last) + 1]
        request.send_response(status)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        middle = len(data) // 2
        if fault == "flip":
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        request.wfile.write(data[:middle] if fault == "cut" else data)


@pytest.fixture
def file_server(tmp_path: Path) -> Iterator[FileServer]:
    """A server of ``tmp_path`` whose requests can be made to fail."""
    server = FileServer(tmp_path)
    yield server
    server.stop()
