"""Small released versions to train on: drawn faces in real shards, with a real manifest."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleaning.export.samples import Sample
from cleaning.export.shards import ShardConfig, write_shards
from facedata.storage import Storage
from facedata.versions import CANDIDATES, LEDGER, Manifest, ShardEntry, content_digest

MakeVersion = Callable[..., Manifest]


def draw_crop(identity: str, number: int) -> bytes:
    """A 112×112 picture as PNG: patches of colour that are the identity's, and some noise."""
    own = np.random.default_rng(zlib.crc32(identity.encode()))
    patches = own.integers(0, 256, (4, 4, 3)).astype(np.float32)
    photo = np.random.default_rng([zlib.crc32(identity.encode()), number])
    picture = cv2.resize(patches, (112, 112), interpolation=cv2.INTER_CUBIC)
    picture += photo.normal(0, 12, 3).astype(np.float32)
    picture += cv2.resize(photo.normal(0, 25, (28, 28, 3)).astype(np.float32), (112, 112))
    _, encoded = cv2.imencode(".png", np.clip(picture, 0, 255).astype(np.uint8))
    return bytes(encoded)


def write_version(
    root: Path,
    identities: Mapping[str, int],
    *,
    version: str = "people-v0001",
    images: int | Mapping[str, int] = 6,
    retired: Mapping[str, int] | None = None,
    shard_images: int = 10,
) -> Manifest:
    """Release a version into a workspace; the images of all classes are mixed."""
    counts = {name: images if isinstance(images, int) else images[name] for name in identities}
    samples = [
        Sample(
            key=f"{zlib.crc32(f'{name} {number}'.encode()):08x}-{identities[name]}-{number}",
            crop=draw_crop(name, number),
            class_index=identities[name],
            facts={"identity": name},
        )
        for name in identities
        for number in range(counts[name])
    ]
    samples.sort(key=lambda sample: sample.key)
    storage = Storage(root)
    written = write_shards(
        samples,
        ShardConfig(max_images=shard_images),
        lambda name: storage.open_write(f"versions/{version}/{name}"),
    )
    shards = tuple(
        ShardEntry(
            path=shard.name, images=shard.images, size_bytes=shard.size_bytes, sha256=shard.sha256
        )
        for shard in written
    )
    manifest = Manifest(
        version=version,
        parent=None,
        digest="",
        recipe={},
        recipe_digest="",
        code_version="0",
        models={},
        counts={},
        shards=shards,
        files={LEDGER: "", CANDIDATES: ""},
        identities=dict(identities),
        retired=dict(retired or {}),
    )
    digest = content_digest(shards, manifest.files, manifest.identities, manifest.models)
    manifest = replace(manifest, digest=digest)
    storage.write(f"versions/{version}/manifest.json", manifest.to_json())
    return manifest


@pytest.fixture(scope="session")
def make_version() -> MakeVersion:
    """``make_version(root, {identity: class index}, version=, images=, retired=, …)``."""
    return write_version
