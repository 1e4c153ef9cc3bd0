"""insightface's ``.bin`` sets of pairs (lfw.bin, cfp_fp.bin, agedb_30.bin …), read safely.

Such a file is a pickle of two lists, encoded images (bytes) and answers (bool), two images per
answer. A pickle can call anything. Here its opcodes are read first, and only those are let through
that make bytes, bools, lists and one tuple; the unpickler then refuses every class and function as
well. Sizes and counts are limited before any image is decoded.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from facedata.errors import RequestError

MAX_FILE_BYTES = 4 << 30
MAX_PAIRS = 1_000_000
MAX_IMAGE_BYTES = 1 << 20

_FRAME = frozenset({"PROTO", "FRAME", "STOP", "MARK"})
_LISTS = frozenset({"EMPTY_LIST", "LIST", "APPEND", "APPENDS", "TUPLE", "TUPLE2"})
_VALUES = frozenset(
    {"NEWTRUE", "NEWFALSE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BINSTRING"}
    | {"SHORT_BINSTRING"}
)
_MEMO = frozenset({"MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"})
_ALLOWED = _FRAME | _LISTS | _VALUES | _MEMO
_PUT_AT = frozenset({"BINPUT", "LONG_BINPUT"})
_ALSO_OPCODES = 4
"""Opcodes per image at most, beyond which a file is not what it says: value, memo, its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFile:
    """``images`` are encoded, 2n of them; ``same`` says whether 2i and 2i + 1 are one person."""

    images: tuple[bytes, ...]
    same: tuple[bool, ...]


def read_pairs(path: Path) -> PairFile:
    """Read a set of pairs; nothing in the file is executed, and no image is decoded yet.

    Raises ``RequestError`` for a file that is missing, too large, or holds anything but two lists
    of bytes and of bools that fit.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise RequestError(
                f"{path}: {size} bytes, more than {MAX_FILE_BYTES}; this is no verification set"
            )
        data = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    _check_opcodes(data, path)
    return _checked(_load(data, path), path)


class _BytesOnly(pickle.Unpickler):
    """No class and no function is ever found, and no persistent object."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError(f"it names the outside object {pid!r}")


def _check_opcodes(data: bytes, path: Path) -> None:
    """Refuse a pickle that would do more than make lists of bytes and bools."""
    limit = (2 * _ALSO_OPCODES) * MAX_PAIRS
    try:
        for index, (opcode, argument, position) in enumerate(pickletools.genops(data)):
            if opcode.name not in _ALLOWED:
                _refuse(path, f"opcode {opcode.name} at byte {position}")
            # The unpickler makes room for as many memo entries as the highest number says.
            if opcode.name in _PUT_AT and isinstance(argument, int) and argument > index:
                _refuse(path, f"memo entry {argument} at byte {position}")
            if index > limit:
                _refuse(path, f"more than {limit} opcodes")
    except (ValueError, IndexError, OverflowError) as error:
        raise RequestError(
            f"{path}: not a whole verification set: {_line(error)}; fetch it again"
        ) from error


def _load(data: bytes, path: Path) -> Any:
    try:
        # Files written by Python 2 hold images as its strings.
        return _BytesOnly(io.BytesIO(data), encoding="bytes").load()
    except (
        pickle.UnpicklingError,
        EOFError,
        IndexError,
        TypeError,
        ValueError,
        OverflowError,
    ) as error:
        raise RequestError(
            f"{path}: not a whole verification set: {_line(error)}; fetch it again"
        ) from error
    except AttributeError as error:
        # An append to something that is no list.
        raise RequestError(
            f"{path}: not a verification set: {_line(error)}; fetch it again"
        ) from error


def _checked(content: Any, path: Path) -> PairFile:
    if type(content) not in (tuple, list) or len(content) != 2:
        _refuse(path, f"a {type(content).__name__} instead of images and answers")
    images, same = content
    if type(images) is not list or type(same) is not list:
        _refuse(path, f"{type(images).__name__} and {type(same).__name__} instead of two lists")
    if not same or len(same) > MAX_PAIRS or len(images) != 2 * len(same):
        _refuse(path, f"{len(images)} images for {len(same)} answers (1 to {MAX_PAIRS}, two each)")
    for index, image in enumerate(images):
        if type(image) is not bytes or not 0 < len(image) <= MAX_IMAGE_BYTES:
            _refuse(path, f"image {index} is {_described(image)}")
    for index, answer in enumerate(same):
        if type(answer) is not bool:
            _refuse(path, f"answer {index} is {_described(answer)}")
    return PairFile(images=tuple(images), same=tuple(same))


def _refuse(path: Path, found: str) -> NoReturn:
    raise RequestError(
        f"{path}: not a verification set: {found}; only a list of encoded images (bytes, up to "
        f"{MAX_IMAGE_BYTES} each) and a list of bools are read: write it again as these"
    )


def _described(value: Any) -> str:
    return f"{len(value)} bytes" if type(value) is bytes else f"a {type(value).__name__}"


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
