"""A Label Studio server on this machine, as ``make label-studio`` and the tests start it.

It lives in an environment of its own, listens on loopback, keeps all it stores in one folder and
tells nobody about itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import httpx

from demo.label_studio_home import (
    EMAIL,
    ServerSettings,
    prepare_database,
    server_environment,
    stored_token,
)
from facedata.errors import RequestError, ReviewError, WinnowError

TOKEN_VARIABLE = "LABEL_STUDIO_API_KEY"
PASSWORD_VARIABLE = "LABEL_STUDIO_PASSWORD"
EXECUTABLE_VARIABLE = "WINNOW_LABEL_STUDIO"
START_SECONDS = 240.0

_ROOT = Path(__file__).resolve().parents[1]
_LOG = "server.log"


class RunningServer:
    """A server in the background; a context manager that stops it."""

    def __init__(self, settings: ServerSettings, process: subprocess.Popen[bytes]) -> None:
        self.settings = settings
        self.process = process

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def token(self) -> str:
        """The token of the first user."""
        return self.settings.token

    def stop(self) -> None:
        """End the server and all it started; nothing happens when it has ended."""
        for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                return

    def add_user(self, email: str, password: str) -> str:
        """Sign a further person up with the server's invitation; returns the person's token.

        Raises ``ReviewError`` when the server refuses, for example because the person is there.
        """
        first = {"Authorization": f"Token {self.token}"}
        invitation = httpx.get(f"{self.url}/api/invite", headers=first).json()["invite_url"]
        with httpx.Client(base_url=self.url) as browser:
            browser.get(invitation)
            form = {
                "email": email,
                "password": password,
                "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            }
            browser.post(invitation, data=form)
            answer = browser.get("/api/current-user/token")
        if not answer.is_success:
            raise ReviewError(f"{self.url}: cannot sign up {email}; choose another e-mail")
        token: str = answer.json()["token"]
        return token

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def executable() -> Path:
    """Return the server's command; ``RequestError`` when it is not installed."""
    default = _ROOT / ".cache" / "label-studio" / "bin" / "label-studio"
    found = Path(os.environ.get(EXECUTABLE_VARIABLE) or default)
    if not found.is_file():
        raise RequestError(
            f"{found}: Label Studio is not installed; run `make label-studio`, or name its "
            f"command in {EXECUTABLE_VARIABLE}"
        )
    return found


def start_server(settings: ServerSettings) -> RunningServer:
    """Start a server and wait until it answers.

    A token other than the stored one replaces it. Raises ``RequestError`` when the port is in use,
    the token cannot be one or the command is missing, ``ReviewError`` when it does not start.
    """
    command = executable()
    _check(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.document_root.mkdir(parents=True, exist_ok=True)
    prepare_database(command, settings)
    where = ["--internal-host", "127.0.0.1", "--port", str(settings.port)]
    kept = ["--data-dir", str(settings.data_dir)]
    with (settings.data_dir / _LOG).open("wb") as log:
        process = subprocess.Popen(
            [command, "start", "--no-browser", "--enable-legacy-api-token", *where, *kept],
            env=server_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = RunningServer(settings, process)
    try:
        _wait(server)
    except BaseException:
        server.stop()
        raise
    return server


def _check(settings: ServerSettings) -> None:
    if not re.fullmatch(r"[0-9A-Za-z]{8,40}", settings.token):
        raise RequestError(
            f"{TOKEN_VARIABLE}: a token is 8 to 40 letters and digits; unset it to have one made"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
        except OSError as error:
            raise RequestError(
                f"port {settings.port}: {error.strerror}; stop what uses it or choose another "
                "with --port"
            ) from None


def _wait(server: RunningServer) -> None:
    end = time.monotonic() + START_SECONDS
    log = server.settings.data_dir / _LOG
    while not _is_healthy(server.url):
        if server.process.poll() is not None:
            raise ReviewError(f"Label Studio ended while it started; see {log}")
        if time.monotonic() > end:
            raise ReviewError(f"Label Studio is not up after {START_SECONDS:.0f} s; see {log}")
        time.sleep(0.1)


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _settings(arguments: Sequence[str]) -> tuple[ServerSettings, bool]:
    """Return what the command line asks for, and whether the data folder is new."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.label_studio", description="Run a Label Studio server for reviews."
    )
    kept = _ROOT / ".cache" / "label-studio-data"
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--data-dir", type=Path, default=kept, help="its database and media")
    parser.add_argument(
        "--document-root", type=Path, help="files it may show (default: DATA_DIR/files)"
    )
    given = parser.parse_args(arguments)
    data_dir: Path = given.data_dir.resolve()
    old = stored_token(data_dir)
    settings = ServerSettings(
        data_dir=data_dir,
        port=given.port,
        document_root=(given.document_root or data_dir / "files").resolve(),
        token=os.environ.get(TOKEN_VARIABLE) or old or secrets.token_hex(20),
        password=os.environ.get(PASSWORD_VARIABLE) or secrets.token_urlsafe(9),
    )
    return settings, not old


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _run(arguments: Sequence[str]) -> int:
    settings, is_new = _settings(arguments)
    signal.signal(signal.SIGTERM, _end)
    sys.stdout.write("Label Studio starts; the first time this takes half a minute.\n")
    sys.stdout.flush()
    with start_server(settings) as server, contextlib.suppress(KeyboardInterrupt):
        password = settings.password if is_new else "(as before)"
        sys.stdout.write(
            f"\n  {server.url}\n  log in as {EMAIL} with password {password}\n"
            f"  files are shown from below {settings.document_root}\n"
            f"  export {TOKEN_VARIABLE}={settings.token}\n\nCtrl-C ends it.\n"
        )
        sys.stdout.flush()
        return server.process.wait()
    return 0


def main() -> int:
    """Run a server in the foreground; returns the exit code."""
    try:
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        return 0
    except WinnowError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
