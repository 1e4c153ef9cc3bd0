"""The report of a crawl: ``report.json`` for programs and ``report.html`` for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from crawlers.counts import CrawlCounts
from crawlers.job_file import ListFacts
from crawlers.process.wording import in_words, is_refusal
from facedata.palette import palette_css

JSON_NAME = "report.json"
HTML_NAME = "report.html"
_HOSTS_SHOWN = 500
_PEOPLE_SHOWN = 2_000
_MISSING_SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlReport:
    """What a crawl source holds, over all its partitions that are here.

    ``images_of`` has every listed identity with the number of its stored images, zero included.
    ``hosts`` are by falling number of URLs. ``seconds`` is how long the latest run took.
    ``missing_partitions`` are those that other machines crawl and that were not copied here.
    """

    source: str
    written_at: str
    people: ListFacts
    counts: CrawlCounts
    hosts: Mapping[str, CrawlCounts]
    images_of: Mapping[str, int]
    seconds: float
    partitions: int = 1
    missing_partitions: tuple[str, ...] = ()
    user_agent: str = ""
    licences_allowed: tuple[str, ...] = ()

    @property
    def without_images(self) -> list[str]:
        """Listed people of whom nothing is stored."""
        return [identity for identity, images in self.images_of.items() if not images]


def write_report(report: CrawlReport, folder: Path) -> Path:
    """Write both files whole or not at all, and return the page's path.

    Raises:
        OSError: when the folder cannot be written to.
    """
    facts = {
        **{field.name: getattr(report, field.name) for field in fields(report)},
        "people": report.people.model_dump(),
        "counts": asdict(report.counts),
        "hosts": {host: asdict(counts) for host, counts in report.hosts.items()},
        "without_images": report.without_images,
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    _write(folder / JSON_NAME, text.encode("utf-8", "backslashreplace"))
    page = render_report(report).encode("utf-8", "replace")
    return _write(folder / HTML_NAME, page)


def render_report(report: CrawlReport) -> str:
    """Return the page; every word from the data is escaped, nothing is loaded from elsewhere.

    At most about a MB for any number of people and hosts: tables are cut, and say so.
    """
    people = sorted(report.images_of.items(), key=lambda line: (line[1], line[0]))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            failed=_by_cause(report.counts),
            people=people[:_PEOPLE_SHOWN],
            hosts=list(report.hosts.items())[:_HOSTS_SHOWN],
            missing=report.without_images[:_MISSING_SHOWN],
            style=Markup(palette_css() + _asset("report.css")),
        )
    )


def _by_cause(counts: CrawlCounts) -> list[tuple[str, tuple[int, int]]]:
    """Return each cause with its failed images and pages, the most frequent first."""
    causes = {*counts.failed, *counts.pages_failed}
    found = [
        (cause, (counts.failed.get(cause, 0), counts.pages_failed.get(cause, 0)))
        for cause in causes
    ]
    return sorted(found, key=lambda line: (-sum(line[1]), line[0]))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("crawlers.process", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        words=in_words,
        causes=_by_cause,
        refused=is_refusal,
        bytes=in_bytes,
        duration=in_time,
        many=_grouped,
    )
    return environment


def in_bytes(count: int) -> str:
    """A number of bytes for people."""
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def in_time(seconds: float) -> str:
    """A duration for people: its two largest units."""
    left = round(seconds)
    for size, unit, next_size, next_unit in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if left >= size:
            return f"{left // size} {unit} {left % size // next_size} {next_unit}"
    return f"{left} s"


def _grouped(count: int) -> str:
    return f"{count:,}"


def _asset(name: str) -> str:
    return (files("crawlers.process") / name).read_text("utf-8")


def _write(path: Path, content: bytes) -> Path:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
    return path
