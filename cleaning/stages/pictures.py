"""The pictures that questions show: single faces, and sheets of several."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial

from cleaning.review.items import Item
from cleaning.review.sheet import gallery_sheet
from cleaning.review.tasks import images_of
from cleaning.review.thumbnail import to_jpeg
from cleaning.stages.exchange import IMAGES
from cleaning.stages.review_folder import ReviewFolder

_WRITERS = 8
"""Files written at once: most of the time goes by until each is safe on the disk."""
_FACES_AT_ONCE = 8192
"""Crops in memory at a time, of some 20 KB each."""

ReadCrops = Callable[[Collection[str]], Mapping[str, bytes]]
"""Gives the PNG crops of faces, by face id."""


class Pictures:
    """The pictures in a review's folder, by their names; the folder is listed once."""

    def __init__(self, folder: ReviewFolder, crops: ReadCrops) -> None:
        """``crops`` is called only when pictures are missing."""
        self._folder = folder
        self._crops = crops

    def make(self, items: Iterable[Item]) -> None:
        """Write the pictures of questions that are not there yet."""
        wanted: dict[str, tuple[str, ...]] = {}
        for item in items:
            wanted.update(images_of(item))
        missing = {name: faces for name, faces in wanted.items() if name not in self._there}
        with ThreadPoolExecutor(_WRITERS) as writers:
            for names in _chunks(missing):
                crops = self._crops({face for name in names for face in missing[name]})
                write = partial(self._write, missing, crops)
                self._there.update(writers.map(write, names))

    @cached_property
    def _there(self) -> set[str]:
        return set(self._folder.storage.names(self._folder.path(IMAGES)))

    def _write(
        self, shown: Mapping[str, tuple[str, ...]], crops: Mapping[str, bytes], name: str
    ) -> str:
        pictures = [crops[face] for face in shown[name]]
        data = to_jpeg(pictures[0]) if len(pictures) == 1 else gallery_sheet(pictures)
        self._folder.storage.write(self._folder.path(f"{IMAGES}/{name}"), data)
        return name


def _chunks(shown: Mapping[str, tuple[str, ...]]) -> Iterator[list[str]]:
    """Names of pictures, so many at a time that their faces find room in memory."""
    names: list[str] = []
    faces: set[str] = set()
    for name, on_it in shown.items():
        if names and len(faces) + len(on_it) > _FACES_AT_ONCE:
            yield names
            names, faces = [], set()
        names.append(name)
        faces.update(on_it)
    if names:
        yield names
