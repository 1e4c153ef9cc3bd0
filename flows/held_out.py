"""Whether people of an evaluation set are in the version that a model was trained on.

By name, where the set has names: who is named in both is taken to be in both. By face: a pack
compares every face of the set with one face of each class, up to ``CLASSES`` of them. Faces raise a
question only: no similarity separates look-alikes from one person.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facedata.errors import IntegrityError
from facedata.storage import Storage
from facedata.versions import Manifest
from flows.evaluation_set import EmbeddedSet, Sight
from training.evaluate.overlap import NearestFace, SameName, nearest_faces, same_names

CLASSES = 10_000
_RARE = 0.001
"""The share of the set's different pairs that may be as similar as what is told: a few twins or
wrong labels in a set must not silence the check."""
_NO_NAMES = "its file names nobody"
_FACES_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What was found about one set: people of the same name, and people who look the same.

    ``threshold`` is the similarity from which faces are told, ``compared`` of ``classes`` were.
    """

    name: str
    by_name: tuple[SameName, ...]
    by_face: tuple[NearestFace, ...]
    threshold: float
    compared: int
    classes: int
    doubt: str = ""
    """Why the set's names are not known to be its people's; empty where they are."""

    @property
    def separate(self) -> bool:
        """Whether the set may decide about a model that was trained on the version."""
        return not self.by_name

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "separate": self.separate}

    def lines(self) -> list[str]:
        """One line per finding."""
        found = []
        if self.by_name:
            found.append(
                f"{self.name}: {len({one.person for one in self.by_name})} of its people are in "
                f"the version by name, first {self.by_name[0].person!r}; it does not count for "
                "promotion: leave these people out of the set, or of the version"
            )
        if self.doubt:
            found.append(
                f"{self.name}: whether its people are in the version by name is not known: "
                f"{self.doubt}"
            )
        if self.by_face:
            first = self.by_face[0]
            found.append(
                f"{self.name}: {len(self.by_face)} faces or people look like people of the "
                f"version, nearest {first.person or 'a face'!r} like {first.identity!r} "
                f"(similarity {first.similarity:.2f}); please look"
            )
        if self.compared < self.classes:
            found.append(
                f"{self.name}: by face compared with {self.compared:,} of the version's "
                f"{self.classes:,} classes"
            )
        return found


def version_faces(
    released: Storage, manifest: Manifest, sight: Sight
) -> tuple[NDArray[np.float32], list[str]]:
    """Embeddings (n, d) and identities of one face for each of the first ``CLASSES`` classes.

    Raises:
        StorageError, IntegrityError: a shard cannot be read.
    """
    names = {index: name for name, index in manifest.identities.items()}
    crops, found = [], []
    for label, crop in _first_faces(released, manifest):
        crops.append(crop)
        found.append(names[label])
    rows = [
        sight.embed(np.stack(crops[start : start + _FACES_AT_ONCE]))
        for start in range(0, len(crops), _FACES_AT_ONCE)
    ]
    return np.concatenate(rows), found


def check_held_out(
    seen: EmbeddedSet, version: tuple[NDArray[np.float32], list[str]], manifest: Manifest
) -> HeldOut:
    """Both checks on a set, ``seen`` by the pack that made the version's ``version`` faces."""
    people = [one for one in seen.people if one]
    labels = [name or f"image {index}" for index, name in enumerate(seen.people)]
    threshold = _threshold(seen)
    nearest = nearest_faces((seen.rows, np.array(labels)), (version[0], np.array(version[1])))
    return HeldOut(
        name=seen.name,
        by_name=tuple(same_names(people, manifest.identities)),
        by_face=tuple(one for one in nearest if one.similarity >= threshold),
        threshold=threshold,
        compared=len(version[1]),
        classes=len(manifest.identities),
        doubt=seen.doubt or ("" if people else _NO_NAMES),
    )


def _threshold(seen: EmbeddedSet) -> float:
    """What half of the set's same-person pairs reach, and hardly any of its different pairs."""
    middle = float(np.median(seen.scored.genuine))
    rare = float(np.quantile(seen.scored.impostor, 1 - _RARE, method="higher"))
    return min(1.0, max(middle, float(np.nextafter(rare, 2.0))))


def _first_faces(released: Storage, manifest: Manifest) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Class index and crop (112, 112, 3) BGR of the first sample of each class, shard by shard."""
    seen: set[int] = set()
    most = min(CLASSES, len(manifest.identities))
    for shard in manifest.shards:
        if len(seen) == most:
            return
        path = f"versions/{manifest.version}/{shard.path}"
        for label, image in _samples(released.read(path), released.url(path)):
            if label in seen or len(seen) == most:
                continue
            seen.add(label)
            crop = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
            if crop is None:
                raise IntegrityError(
                    f"{released.url(path)}: an image of class {label} cannot be decoded; "
                    "run winnow versions verify"
                )
            yield label, np.asarray(crop, dtype=np.uint8)


def _samples(data: bytes, origin: str) -> Iterator[tuple[int, bytes]]:
    """Class index and encoded image of every sample of a shard."""
    parts: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as shard:
            for member in shard:
                path = PurePosixPath(member.name)
                stream = shard.extractfile(member)
                sample = parts.setdefault(path.stem, {})
                sample[path.suffix] = stream.read() if stream else b""
                image = sample.get(".jpg") or sample.get(".png")
                if image and ".cls" in sample:
                    yield int(sample[".cls"]), image
                    parts[path.stem] = {}
    except (tarfile.TarError, ValueError) as error:
        raise IntegrityError(
            f"{origin}: not a whole shard ({error}); run winnow versions verify"
        ) from error
