"""Import of WebDataset tars, also Winnow's own: files of one sample share the name up to a dot.

A sample has one image or several, and says in a ``.cls``, ``.txt`` or ``.json`` file whom they
show. The images stay in the tar; a row says where in it they begin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

from crawlers.importers.facts import identity_in, json_facts, provenance_in
from crawlers.importers.listing import (
    MAX_IMAGE_BYTES,
    Import,
    ImportFile,
    LeftOut,
    find_files,
    opened,
    short_names,
    state_of,
)
from crawlers.importers.tar_file import BrokenMember, TarMember, read_members
from facedata.errors import SourceError
from facedata.location import ByteRange, range_location
from facedata.records import ImageRecord

IMAGE_SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "avif"})
DEFAULT_IDENTITY = ("json.identity", "cls", "txt")
"""Where a sample's identity is looked for, in this order, when the recipe does not say."""
_TEXT_SUFFIXES = frozenset({"cls", "txt", "json"})
_MAX_TEXT_BYTES = 1 << 20
_MAX_IMAGES = 64
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """An image in a sample: its member, and its digest in hex."""

    member: TarMember
    sha256: str


@dataclass(slots=True)
class _Sample:
    """The files of one sample seen so far."""

    key: str
    images: list[_Image] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tar:
    """A tar to be listed: where it lies, what rows call it, and where samples name the person.

    ``facts`` is what a table beside the tar says of samples, by their keys; it goes before what
    their own JSON says.
    """

    file: str
    name: str
    identity: tuple[str, ...] = DEFAULT_IDENTITY
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def find_webdataset(pattern: str, identity: str | None) -> list[ImportFile]:
    """The tars that a source names.

    Raises:
        SourceError: when there is none, or one is missing.
    """
    files = find_files(pattern, ".tar")
    order = (identity,) if identity else DEFAULT_IDENTITY
    return [
        _import_file(Tar(file=file, name=name, identity=order))
        for file, name in zip(files, short_names(files), strict=True)
    ]


def _import_file(tar: Tar) -> ImportFile:
    return ImportFile(
        location=tar.file,
        state=state_of(tar.file),
        settings={"kind": "webdataset", "version": 1, "name": tar.name, "identity": tar.identity},
        list_rows=partial(_list_rows, tar),
    )


def _list_rows(tar: Tar, given: Import, _copy: BinaryIO | None) -> Iterator[ImageRecord]:
    return list_tar(tar, given)


def list_tar(tar: Tar, given: Import) -> Iterator[ImageRecord]:
    """Yield a row per image, sample by sample; one sample's texts are in memory at a time.

    Raises:
        SourceError: when the tar cannot be read, or is compressed.
    """
    with opened(tar.file) as stream:
        try:
            for sample in _samples(stream, given):
                yield from _rows(tar, sample, given)
        except SourceError as error:
            raise SourceError(f"{tar.file}: {error}") from error


def _samples(stream: BinaryIO, given: Import) -> Iterator[_Sample]:
    """Gather files that follow one another and share a key."""
    current: _Sample | None = None
    for member in read_members(stream, stream.seek(0, 2)):
        if isinstance(member, BrokenMember):
            given.notes.leave_out(LeftOut.DAMAGED, f"byte {member.offset}: {member.problem}")
            continue
        key, suffix = split_name(member.name)
        if suffix is None:
            continue
        if current is not None and current.key != key:
            yield current
            current = None
        current = current or _Sample(key=key)
        _take(stream, member, suffix, current, given)
    if current is not None:
        yield current


def split_name(name: str) -> tuple[str, str | None]:
    """Cut a member's name into its sample's key and its suffix, at the first dot of the file.

    The suffix is in small letters, and None for a file without one, or one that is hidden.
    """
    folder, _, file = name.rpartition("/")
    stem, dot, suffix = file.partition(".")
    key = f"{folder}/{stem}" if folder else stem
    return key, suffix.lower() if stem and dot else None


def _take(stream: BinaryIO, member: TarMember, suffix: str, sample: _Sample, given: Import) -> None:
    """Add a member to its sample, or note why it is left out."""
    kind = suffix.rpartition(".")[2]
    if kind in IMAGE_SUFFIXES:
        if member.size > MAX_IMAGE_BYTES or len(sample.images) == _MAX_IMAGES:
            problem = f"{member.name!r} has {member.size} bytes, or its sample too many images"
            given.notes.leave_out(LeftOut.TOO_LARGE, problem)
            return
        sample.images.append(_Image(member=member, sha256=_digest(stream, member)))
    elif suffix in _TEXT_SUFFIXES and member.size <= _MAX_TEXT_BYTES:
        stream.seek(member.offset)
        sample.texts[suffix] = stream.read(member.size)


def _digest(stream: BinaryIO, member: TarMember) -> str:
    digest, left = hashlib.sha256(), member.size
    stream.seek(member.offset)
    while piece := stream.read(min(left, _READ_BYTES)):
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()


def _rows(tar: Tar, sample: _Sample, given: Import) -> Iterator[ImageRecord]:
    where = f"sample {sample.key!r}"
    if not sample.images:
        if sample.texts:
            given.notes.leave_out(LeftOut.NO_IMAGE, where)
        return
    own = json_facts(sample.texts.get("json", b""))
    facts = own | dict(tar.facts.get(sample.key.rpartition("/")[2], {}))
    identity = _identity(tar.identity, sample.texts, facts, given, where)
    if identity is None:
        return
    for image in sample.images:
        place = ByteRange(offset=image.member.offset, length=image.member.size)
        yield ImageRecord(
            image_id=image.sha256,
            source=given.source,
            source_uri=f"{tar.name}/{image.member.name}",
            claimed_identity=identity,
            location=range_location([place], tar.file),
            size_bytes=image.member.size,
            **provenance_in(facts),
        )


def _identity(
    order: tuple[str, ...],
    texts: Mapping[str, bytes],
    facts: Mapping[str, Any],
    given: Import,
    where: str,
) -> str | None:
    """The identity that the first of the places in ``order`` gives."""
    values: dict[str, Any] = {f"json.{key}": value for key, value in facts.items()}
    values |= {suffix: texts[suffix].decode("utf-8", "replace") for suffix in texts}
    for place in order:
        if (value := values.get(place)) not in (None, ""):
            named = partial(identity_in, value, given.classes, numeric=place == "cls")
            return given.identity(named, where)
    given.notes.leave_out(LeftOut.NO_IDENTITY, f"{where} has none of {', '.join(order)}")
    return None
