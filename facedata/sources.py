"""The sources of a recipe, as ``facedata.recipe`` reads them: folders, sets and crawls."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facedata.options import Model


class FolderSource(Model):
    """One folder per person: ``path/<identity>/<image>``.

    ``identity`` says where an image's path below ``path`` names the person: the number of the
    folder, 1 for the first and -1 for the one the image is in, or a regular expression that is
    searched in the path, whose group ``identity``, or else first group, is the name.
    """

    path: str
    identity: int | str = 1

    @model_validator(mode="after")
    def _identity_is_a_rule(self) -> Self:
        if isinstance(self.identity, int):
            if not 1 <= abs(self.identity) <= 32:
                raise ValueError(f"identity is folder {self.identity}; give 1 to 32, or -1 to -32")
            return self
        try:
            groups = re.compile(self.identity).groups
        except re.error as error:
            raise ValueError(f"identity is no regular expression: {error}") from error
        if not groups:
            raise ValueError("identity has no group; put the part that is the name in ( )")
        return self


class RecordIoSource(Model):
    """A training set in insightface's layout: ``train.rec``, with ``train.idx`` beside it."""

    path: str
    names: str | None = None
    """Who the classes are: a CSV with ``label`` and ``identity``, or a ``.lst`` whose paths have
    a folder per person. Without it they are called ``<source>:<class>``."""


class WebDatasetSource(Model):
    """Tars in WebDataset's layout, also Winnow's own: ``shards/{000..099}.tar``."""

    urls: str
    identity: Annotated[str, Field(pattern=r"^(cls|txt|json\..+)$")] | None = None
    """Which file of a sample names the person: ``cls``, ``txt`` or ``json.<key>``; the first of
    ``json.identity``, ``cls`` and ``txt`` that is there when not given."""
    names: str | None = None
    """As for ``recordio``, when classes are numbers."""


class Img2DatasetSource(Model):
    """The folder that img2dataset wrote, in its format ``webdataset`` or ``files``."""

    path: str
    identity: str | None = None
    """The column that names the person; ``identity`` or else ``caption`` when not given."""
    names: str | None = None


class ParquetSource(Model):
    """Parquet files as Hugging Face has them, with a column of images and one of labels."""

    path: str
    image: str = "image"
    label: str = "label"
    names: str | None = None
    """As for ``recordio``; the names in the file's own metadata when not given."""


class FetchedSource(Model):
    """What sources have in common whose images are fetched from the web."""

    author: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    purpose: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    """Who drew up the list of people, and what for; both are recorded with the version."""
    partitions: Annotated[int, Field(ge=1, le=1024)] = 1
    """In how many parts the people are crawled, each by a process of its own, on one machine or
    several."""
    retry_failed: bool = False
    """Ask again for what failed in an earlier run."""
    refresh_days: Annotated[float, Field(gt=0.0, le=36_500.0)] | None = None
    """Ask again for what was fetched so many days ago, whether it has changed."""


_HOST = (
    r"^([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])"
    r"(:([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]))?$"
)
"""A host name or address, and a port when it is another than 80 and 443."""


class UrlsSource(FetchedSource):
    """Images to fetch by a list of addresses: CSV or Parquet with ``identity`` and ``url``.

    ``contact`` is who a host's owner can write to; it is sent with each request. With
    ``identities``, an identity list, rows of people who are not on it are left out.
    ``allow_private`` names hosts (``host`` or ``host:port``) that may have private or loopback
    addresses. Times in seconds.
    """

    path: str
    contact: Annotated[str, Field(pattern=r"^[\x20-\x7e]{1,200}$")]
    user_agent: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")] = "Winnow"
    identities: str | None = None
    delay_s: Annotated[float, Field(ge=0.0, le=3600.0)] = 0.5
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    timeout_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 30.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 5
    max_image_bytes: Annotated[int, Field(ge=1, le=1 << 30)] = 32 << 20
    allow_private: tuple[Annotated[str, Field(pattern=_HOST)], ...] = ()


class CrawlSource(FetchedSource):
    """Photos to fetch: who (``identities``) and from where (``sites``, YAML).

    ``spider`` is the kind of the sites that do not say theirs; ``gallery`` when not given.
    """

    spider: Literal["gallery", "jsonapi", "wikimedia"] = "gallery"
    identities: str
    sites: str


class VerificationSetSource(Model):
    """insightface's ``.bin`` set of pairs, or a folder of such. Nobody in it has a name."""

    path: str


class Source(Model):
    """One entry under ``sources``: exactly one kind, with an optional name."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] | None = None
    identities: Literal["shared", "own"] = "shared"
    """Whether a name means the person of that name in other sources too, or in this one alone:
    then its identities are called ``<source>:<name>``."""
    aligned: bool | None = None
    """Whether images of 112×112 pixels are aligned faces, taken as they are without detection;
    with ``recordio`` they are unless this is false."""
    folder: FolderSource | None = None
    recordio: RecordIoSource | None = None
    webdataset: WebDatasetSource | None = None
    img2dataset: Img2DatasetSource | None = None
    parquet: ParquetSource | None = None
    urls: UrlsSource | None = None
    crawl: CrawlSource | None = None

    @property
    def kind(self) -> str:
        """The key under which the source is described."""
        return self._kinds_given()[0]

    @property
    def is_aligned(self) -> bool:
        """Whether images of 112×112 pixels are taken as aligned faces."""
        return self.kind in _ALIGNED_KINDS if self.aligned is None else self.aligned

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> Self:
        kinds = self._kinds_given()
        if len(kinds) != 1:
            allowed = ", ".join(self._kinds())
            raise ValueError(f"needs exactly one of {allowed}; found {kinds or 'none'}")
        return self

    @classmethod
    def _kinds(cls) -> list[str]:
        """The kinds of source, in the order in which they are described."""
        return [name for name in cls.model_fields if name not in _NO_KINDS]

    def _kinds_given(self) -> list[str]:
        return [kind for kind in self._kinds() if getattr(self, kind) is not None]


_NO_KINDS = frozenset({"name", "identities", "aligned"})
_ALIGNED_KINDS = frozenset({"recordio", "bin"})
"""Kinds of which images of 112×112 pixels are aligned faces unless ``aligned`` says no."""


class ExcludedSource(Source):
    """One entry under ``exclude``: a set whose people must not be in the version.

    ``identities: own`` says that its names are its own: nobody is excluded by name.
    """

    bin: VerificationSetSource | None = None

    @property
    def has_names(self) -> bool:
        """Whether its names are those of other sets too."""
        return self.identities == "shared" and self.bin is None

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.crawl is not None or self.urls is not None:
            raise ValueError("a crawl cannot be excluded; build it, and exclude the set it gave")
        return self
