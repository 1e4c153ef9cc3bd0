"""The options of each stage, as ``facedata.recipe`` reads them."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Threshold: TypeAlias = Literal["auto"] | Annotated[float, Field(ge=-1.0, le=1.0)]
"""A cosine similarity in [-1, 1], or ``auto``: calibrated on the data itself."""


class Model(BaseModel):
    """A part of a recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FacesOptions(Model):
    """Detection. A face below ``min_score`` or ``min_size`` pixels is not considered."""

    min_score: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    min_size: Annotated[int, Field(ge=8, le=1024)] = 24
    near_duplicates: Literal["keep", "drop"] = "keep"
    """Re-encoded or resized copies of one photo within one identity: found always, dropped
    only with ``drop``."""


class IntraOptions(Model):
    """Cleaning inside each identity."""

    method: Literal["average", "complete", "single", "chinese-whispers"] = "average"
    threshold: Threshold = "auto"
    readmit: bool = True
    move: bool = True
    min_photos: Annotated[int, Field(ge=1, le=1000)] = 2
    """Identities that end with fewer photos are held."""


class InterOptions(Model):
    """Finding one person under two names."""

    threshold: Threshold = "auto"
    target_fmr: Annotated[float, Field(gt=0.0, lt=0.1)] = 1.0e-6
    """With ``auto``: accepted share of chance candidates among all pairs of identities; lowered
    where it would miss people and costs little (``cleaning.identity.calibrate_merge``)."""
    pending: Literal["keep-separate", "hold-out"] = "keep-separate"
    """What happens to an undecided or unsure candidate: both identities stay, or the smaller one
    is held."""


class ImageOptions(Model):
    """How faces reach the annotator's browser.

    ``local-files``: Label Studio serves them from the workspace, which lies below its
    ``document_root``; only people logged in see them. ``presigned``: the workspace is on S3 and
    each address is signed for ``hours``. ``http``: a server of yours gives
    ``base_url``/<path below the workspace>.
    """

    serve: Literal["local-files", "presigned", "http"] = "local-files"
    document_root: str | None = None
    """The server's LOCAL_FILES_DOCUMENT_ROOT; the workspace itself when not given."""
    base_url: str | None = None
    hours: Annotated[float, Field(gt=0.0, le=168.0)] = 24.0

    @model_validator(mode="after")
    def _base_url_with_http(self) -> Self:
        if (self.serve == "http") != (self.base_url is not None):
            raise ValueError("base_url and serve: http need one another")
        return self


class ReviewOptions(Model):
    """Who decides about merge candidates: ``file`` writes pages and ``pairs.csv``,
    ``label-studio`` sends tasks to a server; its token is in LABEL_STUDIO_API_KEY."""

    backend: Literal["file", "label-studio", "none"] = "file"
    url: Annotated[str, Field(pattern=r"^https?://")] = "http://127.0.0.1:8080"
    project: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    """First words of the projects' titles; the recipe's name when not given."""
    overlap: Annotated[int, Field(ge=1, le=20)] = 1
    """How many people answer each question."""
    batch: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Most questions in a batch."""
    gold: str | None = None
    """A CSV of pairs with known answers (identity_a, identity_b, decision), mixed in to measure
    the annotators."""
    gold_share: Annotated[float, Field(gt=0.0, le=0.5)] = 0.05
    borderline: Annotated[int, Field(ge=0, le=100_000)] = 200
    """Most photos near the cut that people are asked about."""
    images: ImageOptions = ImageOptions()


class ReleaseOptions(Model):
    """What a version must be like before it is released."""

    max_noise: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Largest share of wrong photos that the audit may estimate."""
    audit: Annotated[int, Field(ge=0, le=100_000)] = 0
    """How many of the photos to be released people look at."""

    @model_validator(mode="after")
    def _noise_needs_an_audit(self) -> Self:
        if self.max_noise is not None and not self.audit:
            raise ValueError("max_noise needs audit: the number of photos to be looked at")
        return self


class ShardOptions(Model):
    """The released WebDataset shards."""

    max_images: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    format: Literal["jpg", "png"] = "jpg"
