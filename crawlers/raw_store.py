"""Raw bytes as fetched, each under its own sha256: ``raw/<first two digits>/<sha256>``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


class RawStore:
    """Content-addressed files below ``<out>/raw``, written whole or not at all."""

    def __init__(self, out: Path) -> None:
        self._raw = out / "raw"
        self._partial = out / "partial"

    def path_of(self, sha256: str) -> Path:
        """Return where the bytes with this digest lie, or would lie."""
        return self._raw / sha256[:2] / sha256

    def has(self, sha256: str, size_bytes: int) -> bool:
        """Say whether the bytes are there in their full length."""
        try:
            return self.path_of(sha256).stat().st_size == size_bytes
        except FileNotFoundError:
            return False

    def clear_partial(self) -> None:
        """Remove what a killed crawl had begun to write."""
        self._partial.mkdir(parents=True, exist_ok=True)
        for path in self._partial.iterdir():
            path.unlink()

    def put(self, body: bytes) -> str:
        """Store ``body`` durably, unless it is there, and return its sha256 in hex.

        Raises:
            OSError: when the disk is full or the folder is read-only; nothing is left behind
                under the digest then.
        """
        sha256 = hashlib.sha256(body).hexdigest()
        if self.has(sha256, len(body)):
            return sha256
        partial = self._partial / sha256
        with partial.open("wb") as stream:
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        path = self.path_of(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
        return sha256
