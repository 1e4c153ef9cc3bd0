"""A folder on the local disk that is there whole or not at all."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cleaning.export.released import Person
from facedata.errors import RequestError, StorageError

IDENTITIES = "identities.csv"


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a new folder beside ``path`` to write in; it gets that name when the block ends well.

    Raises:
        RequestError: when there is something at ``path`` already, or its parent is no folder.
        StorageError: when it cannot be written.
    """
    if path.is_symlink() or (path.exists() and not _is_empty_folder(path)):
        raise RequestError(f"{path} is there already; give --to a folder that is not")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise RequestError(
            f"{path}: cannot be made ({error.strerror}); give --to a place you may write to"
        ) from error
    try:
        yield partial
        partial.chmod(0o755)
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}); free space and run again"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def write_identities(path: Path, first: str, rows: Iterable[tuple[str, Person]]) -> None:
    """Write who is who as CSV: the column named ``first``, identity, class index, images."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([first, "identity", "class_index", "images"])
        for value, person in rows:
            writer.writerow([value, person.identity, person.class_index, person.images])
