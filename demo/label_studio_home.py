"""What a Label Studio server finds when it starts: its settings, its environment, its database."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

from facedata.errors import ReviewError

EMAIL = "winnow@localhost"

_DATABASE = "label_studio.sqlite3"

# One plain key submits; the editor's other use of Enter is for regions, which Winnow has none of.
KEYMAP = {
    "annotation:submit": {"key": "enter,ctrl+enter", "description": "Submit the answer"},
    "region:focus": {"key": None, "description": "off"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where a server keeps things and how one gets in.

    ``document_root`` is the only folder it may show files from; ``password`` counts only when the
    data folder is new.
    """

    data_dir: Path
    port: int
    document_root: Path
    token: str
    password: str


def server_environment(settings: ServerSettings) -> dict[str, str]:
    """Return the server's environment: ours, less what the server itself would read."""
    own = {
        "USERNAME": EMAIL,
        "PASSWORD": settings.password,
        "USER_TOKEN": settings.token,
        "EDITOR_KEYMAP": json.dumps(KEYMAP),
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "LOCAL_FILES_DOCUMENT_ROOT": str(settings.document_root.resolve()),
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        # Webhooks go to loopback, which is where this server is too.
        "SSRF_PROTECTION_ENABLED": "false",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "FEATURE_FLAGS_OFFLINE": "true",
    }
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LABEL_STUDIO_", "HEARTEX_", "DJANGO_"))
    }
    return ours | {f"LABEL_STUDIO_{name}": value for name, value in own.items()}


def stored_token(data_dir: Path) -> str:
    """Return the first user's token as an earlier start left it, empty when there was none."""
    path = data_dir / _DATABASE
    if not path.exists():
        return ""
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT key FROM authtoken_token JOIN htx_user ON htx_user.id = user_id"
            " WHERE email = ?",
            (EMAIL,),
        ).fetchall()
    return str(rows[0][0]) if rows else ""


def prepare_database(command: Path, settings: ServerSettings) -> None:
    """See that the database has all tables, and the named token when it has a user.

    Making the tables takes half a minute, so it is done once per installation of ``command``.
    Raises ``ReviewError`` when the tables cannot be made.
    """
    path = settings.data_dir / _DATABASE
    if path.exists():
        _store_token(path, settings.token)
    else:
        _take_empty_database(command, path)


def _take_empty_database(command: Path, target: Path) -> None:
    empty = command.parents[1] / "empty.sqlite3"
    if not empty.exists():
        if not os.access(empty.parent, os.W_OK):
            return
        making = empty.parent / f"making-{os.getpid()}"
        _make_tables(command, making)
        (making / _DATABASE).replace(empty)
        shutil.rmtree(making)
    shutil.copyfile(empty, target)


def _make_tables(command: Path, folder: Path) -> None:
    # Asking for a user that is not there makes the tables and nothing else.
    ask: list[str | Path] = [
        command,
        "user",
        "--username",
        "nobody@localhost",
        "--data-dir",
        str(folder),
    ]
    nobody = ServerSettings(data_dir=folder, port=0, document_root=folder, token="", password="")
    done = subprocess.run(
        ask,
        env=server_environment(nobody),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 or not (folder / _DATABASE).exists():
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ReviewError(f"{command}: cannot make its database ({reason}); run it by hand to see")


def _store_token(path: Path, token: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE authtoken_token SET key = ?"
            " WHERE user_id = (SELECT id FROM htx_user WHERE email = ?)",
            (token, EMAIL),
        )
