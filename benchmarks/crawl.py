"""Fetching a list of images against img2dataset: in turn, the same list, server and machine.

20,000 distinct JPEGs of about 14 KB, of 1,000 identities, are served by nginx (one worker) on
loopback. ``winnow`` is ``crawlers.run.crawl`` as a recipe's ``urls`` source runs it, without a
delay and with the most concurrency, in one and in two partitions: it asks robots.txt, records
where every image is from in its ledger, and stores bytes and ledger durably. ``img2dataset`` runs
in an environment of its own, whose Python ``WINNOW_IMG2DATASET`` names, with what was fastest here:
two processes of 32 threads, WebDataset tars, bytes as fetched, no EXIF; it does not look at
robots.txt. All take turns; each column is of the median round by time. Seconds begin before the
process starts, ``CPU s`` are of all its processes and not of nginx, ``MB`` is the most memory of
all of them at once (PSS). ``ratio`` is img2dataset's seconds over these, the median of the rounds.
Every round is checked: both must have stored the bytes of every image.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.process_tree import Spent, run_measured
from facedata.errors import IntegrityError, RequestError

IMAGES = 20_000
ROUNDS = 3
PEER_PYTHON = "WINNOW_IMG2DATASET"
_IMAGES_EACH = 20
_FOLDER_IMAGES = 1_000
_THREADS, _PROCESSES = 32, 2
_PATIENCE_S = 10.0

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  types {{ image/jpeg jpg; text/plain txt; }}
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/site; }}
}}
"""

CRAWL = """
import json, sys
from pathlib import Path
from crawlers.run import CrawlJob, crawl
from facedata.sources import UrlsSource
crawl(CrawlJob(source=UrlsSource(**json.loads(sys.argv[1])), out=Path(sys.argv[2])))
"""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Images on a running server, and the list of them."""

    folder: Path
    host: str
    digests: frozenset[str]

    @property
    def list_path(self) -> Path:
        """The list, with the columns ``identity`` and ``url``."""
        return self.folder / "urls.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of those who take turns: ``fetch`` fetches into a folder, ``digests`` reads it."""

    fetch: Callable[[Served, Path], Spent]
    digests: Callable[[Path], Iterator[str]]


def run() -> list[Row]:
    """One row per side; none without nginx."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        Console(stderr=True).print("crawl: nginx is not installed, nothing serves the images")
        return []
    sides = {"winnow": _winnow(1), "winnow, 2 partitions": _winnow(2)}
    if PEER_PYTHON in os.environ:
        sides["img2dataset"] = Side(fetch=_peer, digests=lambda out: _digests_in(out.glob("*.tar")))
    else:
        said = f"crawl: {PEER_PYTHON} names no Python with img2dataset: Winnow is measured alone"
        Console(stderr=True).print(said)
    with tempfile.TemporaryDirectory() as name, served(Path(name), IMAGES, nginx) as site:
        rounds = [_round(sides, site) for _ in range(ROUNDS)]
    return [_row(name, rounds) for name in sides]


@contextmanager
def served(folder: Path, images: int, nginx: str) -> Iterator[Served]:
    """Render the images, write their list, and serve them until the context is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    host = f"127.0.0.1:{port}"
    site = Served(folder=folder, host=host, digests=_render(folder / "site", images))
    paths = [_path(number) for number in range(images)]
    identities = [f"Person {number // _IMAGES_EACH:05d}" for number in range(images)]
    urls = [f"http://{host}/{path}" for path in paths]
    pq.write_table(pa.table({"identity": identities, "url": urls}), site.list_path)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    # It runs as whoever runs this, also for root, so that it may read the folder.
    user = f"user {_user()};" if os.geteuid() == 0 else ""
    with subprocess.Popen([nginx, "-c", str(config), "-g", user]) as server:
        try:
            _wait_for(f"http://{host}/robots.txt")
            yield site
        finally:
            server.send_signal(signal.SIGTERM)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _wait_for(url: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            if httpx.get(url).is_success:
                return
        time.sleep(0.05)
    raise RequestError(f"nginx does not serve {url}; run it by hand to see why")


def _path(number: int) -> str:
    return f"{number // _FOLDER_IMAGES:03d}/{number:06d}.jpg"


def _render(site: Path, images: int) -> frozenset[str]:
    """Write images of smooth noise, all different; returns the sha256 of each."""
    site.mkdir()
    (site / "robots.txt").write_text("User-agent: *\nDisallow: /private/\n")
    digests = set()
    for number in range(images):
        rng = np.random.default_rng(number)
        coarse = cv2.resize(rng.integers(0, 256, (24, 24, 3), np.uint8), (256, 256))
        fine = cv2.resize(rng.integers(0, 24, (64, 64, 3), np.uint8), (256, 256))
        quality = (cv2.IMWRITE_JPEG_QUALITY, 75 + number % 20)
        data = cv2.imencode(".jpg", cv2.add(coarse, fine), quality)[1].tobytes()
        path = site / _path(number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        digests.add(hashlib.sha256(data).hexdigest())
    return frozenset(digests)


def _round(sides: Mapping[str, Side], site: Served) -> dict[str, Spent]:
    """Let every side fetch the list into a folder of its own."""
    spent = {}
    for name, side in sides.items():
        out = site.folder / "out"
        spent[name] = side.fetch(site, out)
        found = frozenset(side.digests(out))
        if found != site.digests:
            raise IntegrityError(
                f"{name} stored {len(found & site.digests)} of {len(site.digests)} images as they "
                "are; look at what it says"
            )
        shutil.rmtree(out)
    return spent


def _winnow(partitions: int) -> Side:
    def fetch(site: Served, out: Path) -> Spent:
        source = {
            "path": str(site.list_path),
            "contact": "https://example.org/crawl",
            "author": "The benches",
            "purpose": "Measuring the crawler",
            "delay_s": 0.0,
            "concurrency": 64,
            "partitions": partitions,
            "allow_private": [site.host],
        }
        command = [sys.executable, "-c", CRAWL, json.dumps(source), str(out)]
        return run_measured(command, os.environ, site.folder / "winnow.log")

    return Side(fetch=fetch, digests=lambda out: _digests_in(out.glob("*/raw/*.tar")))


def _peer(site: Served, out: Path) -> Spent:
    options = {
        "url_list": site.list_path,
        "input_format": "parquet",
        "url_col": "url",
        "save_additional_columns": '["identity"]',
        "output_folder": out,
        "output_format": "webdataset",
        "processes_count": _PROCESSES,
        "thread_count": _THREADS,
        "resize_mode": "no",
        "disable_all_reencoding": True,
        "extract_exif": False,
    }
    command = [os.environ[PEER_PYTHON], "-m", "img2dataset.main"]
    command += [f"--{name}={value}" for name, value in options.items()]
    quiet = {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
    return run_measured(command, os.environ | quiet, site.folder / "img2dataset.log")


def _digests_in(tars: Iterable[Path]) -> Iterator[str]:
    """The sha256 of all images in tar files, from their bytes."""
    for path in tars:
        with tarfile.open(path) as tar:
            for member in tar:
                is_image = member.name.endswith((".jpg", ".jpeg"))
                stream = tar.extractfile(member) if is_image else None
                if stream is not None:
                    yield hashlib.sha256(stream.read()).hexdigest()


def _row(name: str, rounds: list[dict[str, Spent]]) -> Row:
    spent = sorted((one[name] for one in rounds), key=lambda one: one.wall_s)[len(rounds) // 2]
    peer = "img2dataset"
    ratios = [one[peer].wall_s / one[name].wall_s for one in rounds if peer in one]
    cpu_ratios = [one[peer].cpu_s / one[name].cpu_s for one in rounds if peer in one]
    return {
        "side": name,
        "images": IMAGES,
        "seconds": spent.wall_s,
        "images/s": IMAGES / spent.wall_s,
        "CPU s": spent.cpu_s,
        "MB": spent.peak_mb,
        "ratio": statistics.median(ratios) if ratios else None,
        "ratio of CPU s": statistics.median(cpu_ratios) if cpu_ratios else None,
        "load average": os.getloadavg()[0],
    }
