"""The review server as people start it: the command, its errors and its clean end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.label_studio import start_server
from demo.label_studio_home import ServerSettings
from facedata.errors import RequestError

OLD, NEW = "a" * 40, "b" * 40


def settings(home: Path, port: int, token: str = OLD) -> ServerSettings:
    return ServerSettings(
        data_dir=home / "data",
        port=port,
        document_root=home / "files",
        token=token,
        password="a password of no account",
    )


def whoami(url: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Token {token}"}
    return httpx.get(f"{url}/api/current-user/whoami", headers=headers, timeout=30)


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_without_the_server_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_LABEL_STUDIO", str(tmp_path / "label-studio"))

    with pytest.raises(RequestError, match="is not installed; run `make label-studio`"):
        start_server(settings(tmp_path, 8080))


@pytest.mark.usefixtures("label_studio")
def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(RequestError, match=f"port {port}: Address already in use; stop what"):
            start_server(settings(tmp_path, port))


@pytest.mark.usefixtures("label_studio")
def test_a_token_that_cannot_be_one(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="8 to 40 letters and digits") as caught:
        start_server(settings(tmp_path, a_port(), token="no token!"))
    assert "no token!" not in str(caught.value)


def test_the_server_tells_nobody_about_itself(label_studio: Any) -> None:
    page = httpx.get(f"{label_studio.url}/user/login/").text

    assert "sentry-cdn" not in page
    version = label_studio.ask("GET", "version")["label-studio-os-package"]
    assert version["latest_version_from_pypi"] is None


def test_nobody_signs_up_without_an_invitation(label_studio: Any) -> None:
    with httpx.Client(base_url=label_studio.url) as browser:
        browser.get("/user/signup/")
        form = {
            "email": "stranger@localhost",
            "password": "a password of no account",
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        assert browser.post("/user/signup/", data=form).status_code == 403


@pytest.mark.usefixtures("label_studio")
def test_the_command_starts_a_server_says_how_to_get_in_and_ends_it(
    tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    port = a_port()
    said = tmp_path / "said"
    command = [sys.executable, "-m", "demo.label_studio", "--port", str(port)]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LABEL_STUDIO")
    }
    with said.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--data-dir", str(tmp_path / "data")],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    wait_for(lambda: "Ctrl-C ends it" in said.read_text(), "the server", 120)
    text = said.read_text()
    url = f"http://127.0.0.1:{port}"
    token = re.search(r"export LABEL_STUDIO_API_KEY=([0-9a-f]{40})\n", text)

    assert token is not None
    assert url in text
    assert whoami(url, token[1]).json()["email"] == "winnow@localhost"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


@pytest.mark.usefixtures("label_studio")
def test_another_token_replaces_the_stored_one(tmp_path: Path) -> None:
    port = a_port()
    with start_server(settings(tmp_path, port)) as server:
        assert whoami(server.url, OLD).is_success
    with start_server(settings(tmp_path, port, token=NEW)) as server:
        assert whoami(server.url, NEW).is_success
        assert whoami(server.url, OLD).status_code == 401
