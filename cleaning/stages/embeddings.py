"""The embeddings stage: one partition's crops turned into unit vectors, row-aligned with faces."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from cleaning.faces.align import decode_crops
from cleaning.faces.embed import embed_crops
from cleaning.faces.pack import ModelPack
from cleaning.stages.faces import FACES
from facedata.stages import StageOutput, StageResult, run_stage, stage_key
from facedata.storage import Storage

STAGE = "embed"
STAGE_VERSION = 1
EMBEDDINGS = "embeddings.npy"
NORMS = "norms.npy"
_CHUNK = 256


def embed_partition(
    storage: Storage, faces: StageResult, pack: ModelPack, threads: int
) -> StageResult:
    """Embed the faces of one partition, or return the stored result.

    The files are ``embeddings.npy``, float16 (n, d) unit rows, and ``norms.npy``, float32 (n,),
    the lengths before normalisation; row i belongs to row i of the faces table.
    ``threads`` changes the speed only.
    """
    inputs = {"faces": faces.digest, "recogniser": pack.recogniser.network.digest}
    key = stage_key(STAGE, STAGE_VERSION, {}, inputs)
    return run_stage(storage, STAGE, key, lambda: _embed(storage, faces, pack, threads))


def _embed(storage: Storage, faces: StageResult, pack: ModelPack, threads: int) -> StageOutput:
    crops: list[bytes] = (
        storage.read_columns(faces.path(FACES), ["crop"]).column("crop").to_pylist()
    )
    embeddings = np.zeros((len(crops), pack.recogniser.dim), np.float16)
    norms = np.zeros(len(crops), np.float32)
    for start in range(0, len(crops), _CHUNK):
        part = slice(start, start + _CHUNK)
        found = embed_crops(decode_crops(crops[part]), pack.recogniser, threads=threads)
        embeddings[part], norms[part] = found.vectors, found.norms
    return StageOutput(
        files={EMBEDDINGS: _npy(embeddings), NORMS: _npy(norms)},
        counts={"embeddings": len(embeddings)},
    )


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
