"""Photos to embeddings against a loop over insightface's ``FaceAnalysis.get``, and the memory.

Both sides get the same encoded photos, models and number of threads, give one embedding per photo
(of the most prominent face), and take turns in a fresh process; the best round counts. insightface
uses its threads inside each network; this project works on that many photos at once. Photos are
those of the research data when it is there (``WINNOW_SHARED``), else of the rendered demo.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from insightface.app import FaceAnalysis
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_mb
from cleaning.faces.align import decode_crops
from cleaning.faces.config import FacesConfig
from cleaning.faces.embed import embed_crops
from cleaning.faces.measure import PhotoRows, measure_photos
from cleaning.faces.pack import ModelPack, load_pack

_ROOT = Path(__file__).resolve().parents[1]
_SHARED = Path(os.environ.get("WINNOW_SHARED", _ROOT.parent / "shared"))
_ROUNDS = 3
_EMBED_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Photos:
    """A set of photos and the model pack for them."""

    name: str
    paths: tuple[Path, ...]
    models: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedCase:
    """What is timed: photos per round, threads of both sides, insightface's detection size."""

    photos: Photos
    count: int
    threads: int
    peer_det_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCase:
    """How many photos go through one process; the set is repeated when it is smaller."""

    photos: Photos
    count: int


def run() -> list[dict[str, Any]]:
    """One row per case, ``measure`` being ``speed`` or ``memory``.

    ``*_ms`` are milliseconds per photo: processor time with one thread, wall time with more.
    ``same_face`` is the median cosine between both sides' embeddings of a photo. ``peak_mb`` is
    the process's memory peak, everything included.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _run(Path(folder))


def main() -> None:
    """Print one table for speed and one for memory."""
    rows = run()
    console = Console()
    for measure in ("speed", "memory"):
        chosen = [row for row in rows if row["measure"] == measure]
        table = Table(title=f"Photos to embeddings: {measure}")
        table.add_column("photos")
        for row in chosen:
            table.add_column(row["photos"], justify="right")
        for name in chosen[0]:
            if name not in ("measure", "photos"):
                table.add_row(name, *(_text(row[name]) for row in chosen))
        console.print(table)


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"


def _run(folder: Path) -> list[dict[str, Any]]:
    small, large = _photo_sets(folder)
    usual, fitting = 640, 32 * math.ceil(_longest_side(small) / 32)
    speed = [
        SpeedCase(photos=small, count=120, threads=1, peer_det_size=usual),
        SpeedCase(photos=small, count=120, threads=1, peer_det_size=fitting),
        SpeedCase(photos=small, count=60, threads=2, peer_det_size=usual),
        SpeedCase(photos=large, count=24, threads=1, peer_det_size=usual),
    ]
    memory = [MemoryCase(photos=small, count=count) for count in (1000, 3000)]
    # The same photos again and again: only then must the peak stay where it is.
    few = replace(large, paths=large.paths[:48])
    memory += [MemoryCase(photos=few, count=count) for count in (48, 144)]
    return [_in_fresh_process(_measure_speed, case) for case in speed] + [
        _in_fresh_process(_measure_memory, case) for case in memory
    ]


def _photo_sets(folder: Path) -> tuple[Photos, Photos]:
    """Small photos and large ones."""
    if (_SHARED / "data").is_dir():
        models = _SHARED / "models" / "buffalo_sc"
        lfw = sorted((_SHARED / "data" / "lfw").glob("*/*"))
        crawl = sorted((_SHARED / "data" / "crawl").glob("*/*"))
        return (
            Photos(name="lfw, 150 px", paths=tuple(lfw), models=models),
            Photos(name="crawl, 0.1 to 13 MP", paths=tuple(crawl), models=models),
        )
    models = _ROOT / "demo" / "pack"
    rendered = tuple(_render(folder / "small"))
    return (
        Photos(name="demo", paths=rendered, models=models),
        Photos(name="demo, 8 times", paths=tuple(_enlarge(rendered, folder)), models=models),
    )


def _render(folder: Path) -> list[Path]:
    from demo.web import plan_web
    from demo.web_files import write_web

    write_web(plan_web(seed=11, people=12, photos_per_person=12), folder)
    return sorted(folder.glob("site/photos/*/*.jpg"))


def _enlarge(paths: Iterable[Path], folder: Path) -> Iterator[Path]:
    for index, path in enumerate(itertools.islice(paths, 24)):
        target = folder / f"large-{index:03d}.jpg"
        with Image.open(path) as image:
            image.resize((image.width * 8, image.height * 8)).save(target)
        yield target


def _longest_side(photos: Photos) -> int:
    """The longest side in pixels among the first photos of a set."""
    sizes: list[int] = []
    for path in photos.paths[:50]:
        with Image.open(path) as image:
            sizes += image.size
    return max(sizes)


def _in_fresh_process(measure: Callable[[Any], dict[str, Any]], case: Any) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measure, case).result()


def _measure_speed(case: SpeedCase) -> dict[str, Any]:
    cv2.setNumThreads(case.threads)
    # Spread over the set, so that no single person's photos are all that is timed.
    step = max(1, len(case.photos.paths) // case.count)
    data = [path.read_bytes() for path in case.photos.paths[::step][: case.count]]
    sides = {"winnow": _winnow(case), "insightface": _insightface(case)}
    clock = time.process_time if case.threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    answers: dict[str, dict[int, Any]] = {}
    for name in [*sides] * (_ROUNDS + 1):
        start = clock()
        answers[name] = sides[name](data)
        seconds[name].append(clock() - start)
    # The first round of each only warms up.
    best = {name: min(times[1:]) * 1000 / len(data) for name, times in seconds.items()}
    ours, peer = answers["winnow"], answers["insightface"]
    both = ours.keys() & peer.keys()
    return {
        "measure": "speed",
        "photos": case.photos.name,
        "count": len(data),
        "threads": case.threads,
        "insightface_det_size": case.peer_det_size,
        "winnow_ms": best["winnow"],
        "insightface_ms": best["insightface"],
        "speedup": best["insightface"] / best["winnow"],
        "winnow_embeddings": len(ours),
        "insightface_embeddings": len(peer),
        "same_face": float(np.median([ours[index] @ peer[index] for index in both])),
    }


def _winnow(case: SpeedCase) -> Callable[[list[bytes]], dict[int, Any]]:
    pack = load_pack(case.photos.models)
    config = FacesConfig(threads=case.threads, min_size=1.0)

    def embed(data: list[bytes]) -> dict[int, Any]:
        items = ((f"{index:064d}", photo) for index, photo in enumerate(data))
        rows = list(measure_photos(items, pack, config))
        return dict(_embed_prominent(rows, pack, config))

    return embed


def _embed_prominent(
    rows: list[PhotoRows], pack: ModelPack, config: FacesConfig
) -> Iterator[tuple[int, Any]]:
    chosen = [
        (index, max(faces, key=lambda face: face.prominence).crop)
        for index, (_, faces) in enumerate(rows)
        if faces
    ]
    crops = decode_crops([crop for _, crop in chosen])
    embeddings = embed_crops(crops, pack.recogniser, threads=config.threads)
    return zip((index for index, _ in chosen), embeddings.vectors, strict=True)


def _insightface(case: SpeedCase) -> Callable[[list[bytes]], dict[int, Any]]:
    warnings.simplefilter("ignore", FutureWarning)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    app = FaceAnalysis(
        str(case.photos.models), providers=["CPUExecutionProvider"], sess_options=options
    )
    app.prepare(-1, det_thresh=0.5, det_size=(case.peer_det_size, case.peer_det_size))

    def embed(data: list[bytes]) -> dict[int, Any]:
        found = {}
        for index, photo in enumerate(data):
            image = cv2.imdecode(np.frombuffer(photo, dtype=np.uint8), cv2.IMREAD_COLOR)
            faces = app.get(image, max_num=1)
            if faces:
                found[index] = faces[0].normed_embedding
        return found

    return embed


def _measure_memory(case: MemoryCase) -> dict[str, Any]:
    pack = load_pack(case.photos.models)
    config = FacesConfig()
    paths = itertools.islice(itertools.cycle(case.photos.paths), case.count)
    items = ((hashlib.sha256(data).hexdigest(), data) for data in (p.read_bytes() for p in paths))
    rows = measure_photos(items, pack, config)
    kept: list[Any] = []
    while part := list(itertools.islice(rows, _EMBED_AT_ONCE)):
        crops = decode_crops([face.crop for _, faces in part for face in faces])
        embeddings = embed_crops(crops, pack.recogniser, threads=config.threads)
        kept.append(embeddings.vectors.astype(np.float16))
    return {
        "measure": "memory",
        "photos": case.photos.name,
        "count": case.count,
        "embeddings": sum(map(len, kept)),
        "peak_mb": peak_mb(),
    }


if __name__ == "__main__":
    main()
