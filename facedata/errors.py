"""Every error Winnow raises on purpose.

``WinnowError``
├── ``RequestError``      the request was wrong; exit code 2
│   ├── ``RecipeError``       a recipe, or a file it names, is not valid
│   ├── ``SourceError``       a source is missing or unusable
│   ├── ``ModelError``        a model pack is missing or unusable
│   ├── ``WorkspaceError``    the workspace cannot be used (read-only, not a folder)
│   └── ``VersionError``      no such version, or its name is not valid
└── ``WorkError``         the request was right and the work failed; exit code 1
    ├── ``StorageError``      reading or writing failed (disk full, connection lost)
    ├── ``IntegrityError``    bytes on disk are not what their digest says
    ├── ``CrawlError``        the crawler process failed
    ├── ``DivergenceError``   training came to numbers that are not finite
    ├── ``ReviewError``       the review server failed, or lost what was sent to it
    │   └── ``ProjectGoneError``  a project on the review server was deleted
    └── ``QualityError``      the version is not good enough to be released

A message is one line that says what went wrong, for which item, the value found and the remedy.
"""

from __future__ import annotations


class WinnowError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command returns."""

    exit_code = 1


class RequestError(WinnowError):
    """The request itself was wrong; nothing was done."""

    exit_code = 2


class RecipeError(RequestError):
    """A recipe, or a file it names, is not valid."""


class SourceError(RequestError):
    """A source is missing or unusable."""


class ModelError(RequestError):
    """A model pack is missing or unusable."""


class WorkspaceError(RequestError):
    """The workspace cannot be used."""


class VersionError(RequestError):
    """No such version, or its name is not valid."""


class WorkError(WinnowError):
    """The request was right and the work failed."""


class StorageError(WorkError):
    """Reading or writing failed."""


class IntegrityError(WorkError):
    """Bytes on disk are not what their digest says."""


class CrawlError(WorkError):
    """The crawler process failed."""


class DivergenceError(WorkError):
    """Training came to numbers that are not finite; starting again comes to them again."""


class ReviewError(WorkError):
    """The review server failed, or lost what was sent to it."""


class ProjectGoneError(ReviewError):
    """A project on the review server was deleted."""


class QualityError(WorkError):
    """The version is not good enough to be released."""
