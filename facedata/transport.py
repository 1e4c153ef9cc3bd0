"""What client libraries of remote stores raise: connections that fail, and no credentials.

fsspec passes their errors on as they are. Only libraries that are in use are asked for theirs, so
that none is loaded for this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_Names = dict[str, tuple[str, ...]]

_FAILURES: _Names = {
    "aiohttp": ("ClientError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "http.client": ("HTTPException",),
}
_NO_CREDENTIALS: _Names = {"botocore.exceptions": ("NoCredentialsError", "PartialCredentialsError")}
_NOT_FOUND = 404


def transport_errors() -> tuple[type[Exception], ...]:
    """What is raised, besides OSError, when a connection or the server behind it fails.

    Missing credentials are among them: ask for ``credential_errors`` first.
    """
    return _classes(_FAILURES)


def credential_errors() -> tuple[type[Exception], ...]:
    """What the client library of S3 raises without credentials."""
    return _classes(_NO_CREDENTIALS)


def one_line(error: BaseException) -> str:
    """What an error says, on one line; its name when it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def connection_errors() -> Iterator[None]:
    """Turn every failure of a connection in the block into an OSError.

    Raises:
        ConnectionError: when a connection failed, whichever library noticed.
    """
    try:
        yield
    except FileNotFoundError as error:
        cause = error.__cause__
        # Over HTTP fsspec calls a file missing whatever went wrong while it looked it up.
        if isinstance(cause, transport_errors()) and getattr(cause, "status", 0) != _NOT_FOUND:
            raise ConnectionError(one_line(cause)) from error
        raise
    except transport_errors() as error:
        raise ConnectionError(one_line(error)) from error


def _classes(names: _Names) -> tuple[type[Exception], ...]:
    return tuple(
        getattr(sys.modules[module], name)
        for module, of_module in names.items()
        if module in sys.modules
        for name in of_module
    )
