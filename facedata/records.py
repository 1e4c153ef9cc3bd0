"""The rows that pass between stages: frozen records, each with its Arrow schema.

``to_table`` and ``from_table`` convert between lists of records and Arrow tables; a schema's
field order is the record's field order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from facedata.errors import IntegrityError


class Record(Protocol):
    """A frozen dataclass with an Arrow schema of the same fields."""

    SCHEMA: ClassVar[pa.Schema]
    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One image as it entered, with its provenance.

    ``image_id`` is the sha256 of the bytes in hex. ``source`` names the source in the recipe,
    ``source_uri`` is the path below it (POSIX) or the URL, ``location`` is where the bytes lie
    now (a path or fsspec URL; machine-dependent, so never part of a digest). Crawled images
    also say which page linked them, when they were fetched (ISO 8601, UTC), the HTTP status and
    validators, the content type, the decision on robots.txt, the spider and, when known, the
    licence, its author and the line of attribution that it asks for.
    """

    image_id: str
    source: str
    source_uri: str
    claimed_identity: str
    location: str
    size_bytes: int
    url: str | None = None
    page_url: str | None = None
    fetched_at: str | None = None
    http_status: int | None = None
    content_type: str | None = None
    licence: str | None = None
    licence_url: str | None = None
    author: str | None = None
    attribution: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    robots: str | None = None
    spider: str | None = None
    spider_version: str | None = None

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("source_uri", pa.string(), nullable=False),
            pa.field("claimed_identity", pa.string(), nullable=False),
            pa.field("location", pa.string(), nullable=False),
            pa.field("size_bytes", pa.int64(), nullable=False),
            pa.field("url", pa.string()),
            pa.field("page_url", pa.string()),
            pa.field("fetched_at", pa.string()),
            pa.field("http_status", pa.int16()),
            pa.field("content_type", pa.string()),
            pa.field("licence", pa.string()),
            pa.field("licence_url", pa.string()),
            pa.field("author", pa.string()),
            pa.field("attribution", pa.string()),
            pa.field("etag", pa.string()),
            pa.field("last_modified", pa.string()),
            pa.field("robots", pa.string()),
            pa.field("spider", pa.string()),
            pa.field("spider_version", pa.string()),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRecord:
    """What decoding an image gave: one row per distinct ``image_id``.

    ``width`` and ``height`` in pixels after EXIF rotation (0 when not decoded);
    ``perceptual_hash`` a 64-bit hash in 16 hex digits, null when not decoded; ``problem`` null,
    or the ``ledger.Reason`` why the photo has no usable face; ``taken_year`` when the camera
    noted it.
    """

    image_id: str
    width: int
    height: int
    perceptual_hash: str | None
    problem: str | None
    taken_year: int | None = None

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("perceptual_hash", pa.string()),
            pa.field("problem", pa.string()),
            pa.field("taken_year", pa.int16()),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRecord:
    """One detected face, measured once; thresholds are applied later.

    ``face_id`` is ``<first 32 digits of image_id>-<index>``, faces ordered by falling
    ``det_score`` in [0, 1]. ``box`` is x1, y1, x2, y2 and ``landmarks`` x, y of left eye, right
    eye, nose, left and right mouth corner (image sides), in pixels of the upright photo.
    ``size`` is the box's shorter side in pixels, ``prominence`` in [0, 1] grows with the face's
    share of the photo and its closeness to the middle, ``blur`` the variance of the Laplacian
    of the grey crop (low is blurred), ``yaw``, ``pitch``, ``roll`` degrees estimated from the
    landmarks. ``crop`` is the aligned 112×112 face as PNG.
    """

    face_id: str
    image_id: str
    face_index: int
    det_score: float
    box: tuple[float, float, float, float]
    landmarks: tuple[float, ...]
    size: float
    prominence: float
    blur: float
    yaw: float
    pitch: float
    roll: float
    crop: bytes

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("face_id", pa.string(), nullable=False),
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("face_index", pa.int16(), nullable=False),
            pa.field("det_score", pa.float32(), nullable=False),
            pa.field("box", pa.list_(pa.float32(), 4), nullable=False),
            pa.field("landmarks", pa.list_(pa.float32(), 10), nullable=False),
            pa.field("size", pa.float32(), nullable=False),
            pa.field("prominence", pa.float32(), nullable=False),
            pa.field("blur", pa.float32(), nullable=False),
            pa.field("yaw", pa.float32(), nullable=False),
            pa.field("pitch", pa.float32(), nullable=False),
            pa.field("roll", pa.float32(), nullable=False),
            pa.field("crop", pa.binary(), nullable=False),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """The fate of one image that entered: one row per ``ImageRecord``.

    ``identity`` is the final identity, null unless kept or moved. ``similarity`` is the cosine
    of the chosen face to the centre of the main cluster it was judged against.
    """

    image_id: str
    source: str
    source_uri: str
    claimed_identity: str
    identity: str | None
    outcome: str
    reason: str
    face_id: str | None
    det_score: float | None
    similarity: float | None

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("source_uri", pa.string(), nullable=False),
            pa.field("claimed_identity", pa.string(), nullable=False),
            pa.field("identity", pa.string()),
            pa.field("outcome", pa.string(), nullable=False),
            pa.field("reason", pa.string(), nullable=False),
            pa.field("face_id", pa.string()),
            pa.field("det_score", pa.float32()),
            pa.field("similarity", pa.float32()),
        ]
    )


def to_table(record_type: type[R], rows: Iterable[R]) -> pa.Table:
    """Turn records into an Arrow table with the record type's schema."""
    listed = list(rows)
    columns = [[getattr(row, name) for row in listed] for name in record_type.SCHEMA.names]
    arrays = [
        pa.array(column, type=field.type)
        for column, field in zip(columns, record_type.SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=record_type.SCHEMA)


def from_table(record_type: type[R], table: pa.Table) -> list[R]:
    """Turn an Arrow table back into records.

    Raises:
        IntegrityError: when the table's schema is not the record type's.
    """
    if not table.schema.equals(record_type.SCHEMA):
        raise IntegrityError(
            f"table of {record_type.__name__}: columns are {table.schema.names}, "
            f"expected {record_type.SCHEMA.names}; it was written by another version"
        )
    columns = {name: _as_python(table.column(name)) for name in record_type.SCHEMA.names}
    names = [f.name for f in fields(record_type)]
    return [
        record_type(**dict(zip(names, values, strict=True)))
        for values in zip(*(columns[name] for name in names), strict=True)
    ]


def read_parquet(source: Any, columns: list[str] | None = None) -> pa.Table:
    """A Parquet file's columns; ``source`` is a stream or what pyarrow reads as one.

    In this thread alone, so not by ``pq.read_table``, which scans in threads whatever its options
    say: the thread pools of pyarrow 26 abort now and then when a process ends right after reading,
    and partitions are read in parallel as it is.

    Raises:
        pa.ArrowInvalid: when it is not a whole Parquet file.
    """
    return pq.ParquetFile(source, pre_buffer=False).read(columns, use_threads=False)


_ROWS = 16_384
_ROWS_WITH_PICTURES = 32
"""Rows in a row group: some 600 KB of pictures, so that one is read without all the others."""


def to_parquet(record_type: type[R], rows: Iterable[R]) -> bytes:
    """Records as a Parquet file; the same records give the same bytes."""
    return _as_parquet(to_table(record_type, rows))


def provenance_parquet(images: Iterable[ImageRecord]) -> bytes:
    """Where images came from, as a Parquet file: all columns but where their bytes lie now."""
    return _as_parquet(to_table(ImageRecord, images).drop_columns(["location"]))


def from_parquet(record_type: type[R], data: bytes, origin: str) -> list[R]:
    """Records from a Parquet file; ``origin`` names the file in errors.

    Raises:
        IntegrityError: when it is damaged, or holds another type of record.
    """
    try:
        table = read_parquet(pa.BufferReader(data))
    except pa.ArrowInvalid as error:
        raise IntegrityError(
            f"{origin}: not a whole Parquet file ({error}); remove its folder and run again"
        ) from error
    return from_table(record_type, table)


def _as_parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    holds_pictures = any(pa.types.is_binary(field.type) for field in table.schema)
    size = _ROWS_WITH_PICTURES if holds_pictures else _ROWS
    pq.write_table(table, sink, compression="zstd", row_group_size=size)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _as_python(column: pa.ChunkedArray) -> Sequence[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_fixed_size_list(column.type):
        return [tuple(value) for value in values]
    return values
