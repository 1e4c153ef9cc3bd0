"""The report of a version: one self-contained page."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cleaning.export.exclusion_facts import HOWS, ExclusionFacts
from cleaning.export.galleries import PairCard, PhotoGallery
from cleaning.export.histogram import Histogram, draw
from cleaning.export.review_facts import NOT_AUDITED, AuditFacts, ReviewFacts
from cleaning.export.summary import IdentityLine, Summary
from cleaning.export.wording import OUTCOMES, REASONS, count_of, percent_of, share_of
from facedata.ledger import Outcome, Reason
from facedata.names import have_one_name
from facedata.palette import palette_css
from facedata.review import CandidateRow

IDENTITIES_SHOWN = 2_000
SOURCES_SHOWN = 200
CONTRADICTIONS_SHOWN = 100
PEOPLE_SHOWN = 100
EXCLUDED_SHOWN = 500
_FEW_PHOTOS = 2
_TONES = {
    Outcome.KEPT: "good",
    Outcome.MOVED: "other",
    Outcome.DROPPED: "bad",
    Outcome.HELD: "wait",
}
_DECISIONS = {
    "same": "Merged: decided to be the same person",
    "different": "Kept apart: decided to be different people",
    "unsure": "Unsure: the reviewer could not tell",
    "pending": "Pending: nobody has decided yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFact:
    """A threshold with the place it came from.

    ``origin`` is a sentence such as "set in the recipe" or "calibrated on this data"; ``facts``
    are what the calibration rests on, as label and value.
    """

    name: str
    value: float
    origin: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFact:
    """A model that took part; ``digest`` is the sha256 of its file in hex."""

    role: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything the report says; bounded parts (galleries, pairs) come ready-made.

    ``candidates`` are all merge candidates with their decisions, ``pairs`` cards of the nearest
    of them (``galleries.build_pair_cards``). ``contradictions`` are groups of identities about
    which answers contradict one another. ``licences`` counts images in the version, those
    without a known licence under ``None``. ``recipe`` is the recipe's text. ``notes`` are
    further sentences on what the version does not know. ``review`` says who decided, ``audit`` how
    many wrong photos a sample showed, ``exclusion`` who was kept out; each is None when there was
    none. No time of day is part of a report: the same version gives the same bytes.
    """

    name: str
    version: str
    parent: str | None
    code_version: str
    summary: Summary
    thresholds: Sequence[ThresholdFact] = ()
    histograms: Sequence[Histogram] = ()
    galleries: Sequence[PhotoGallery] = ()
    candidates: Sequence[CandidateRow] = ()
    pairs: Sequence[PairCard] = ()
    contradictions: Sequence[Sequence[str]] = ()
    models: Sequence[ModelFact] = ()
    licences: Mapping[str | None, int] = field(default_factory=dict)
    recipe: str = ""
    notes: Sequence[str] = ()
    review: ReviewFacts | None = None
    audit: AuditFacts | None = None
    exclusion: ExclusionFacts | None = None


def render_report(data: ReportData) -> bytes:
    """Return ``index.html``; every word from the data is escaped, nothing comes from elsewhere.

    At most a few MB for any number of images: tables and galleries are cut at fixed numbers,
    and say so.
    """
    script = _asset("report.js")
    lines = sorted(data.summary.identities, key=_most_removed_first)
    page = _environment().get_template("report.html.j2")
    return page.render(
        data=data,
        summary=data.summary,
        decisions=count_decisions(data.candidates),
        deciders=_deciders(data.candidates),
        decision_titles=_DECISIONS,
        unknowns=list_unknowns(data),
        lines=lines[:IDENTITIES_SHOWN],
        sources=_largest_sources(data.summary),
        contradictions=data.contradictions[:CONTRADICTIONS_SHOWN],
        people_shown=PEOPLE_SHOWN,
        excluded=data.exclusion.people[:EXCLUDED_SHOWN] if data.exclusion else [],
        hows=HOWS,
        licences=sorted(data.licences.items(), key=lambda item: (-item[1], item[0] or "")),
        outcomes=OUTCOMES,
        reasons=REASONS,
        tones=_TONES,
        # Trusted: files of this package, not data.
        style=Markup(palette_css() + _asset("report.css")),
        script=Markup(script),
        script_digest=_source_digest(script),
    ).encode()


def count_decisions(candidates: Sequence[CandidateRow]) -> dict[str, int]:
    """Count candidates per decision; each decision is present, zero included."""
    found = Counter(row.decision for row in candidates)
    return {decision: found[decision] for decision in _DECISIONS}


def list_unknowns(data: ReportData) -> list[str]:
    """Return what the version does not know, in sentences; the data card says them too."""
    decisions = count_decisions(data.candidates)
    held = data.summary.outcomes[Outcome.HELD]
    few = sum(0 < line.in_version <= _FEW_PHOTOS for line in data.summary.identities)
    unlicensed = sum(count for licence, count in data.licences.items() if not licence)
    found = [
        (
            decisions["pending"],
            f"{count_of(decisions['pending'], 'pair')} of identities may be one person and "
            "nobody has decided yet.",
        ),
        (
            decisions["unsure"],
            f"{count_of(decisions['unsure'], 'pair')} of identities stayed unsure after review.",
        ),
        (
            len(data.contradictions),
            f"The review's answers contradict one another in "
            f"{count_of(len(data.contradictions), 'group')} of identities.",
        ),
        (held, f"{count_of(held, 'image')} held: nobody has judged the identity yet."),
        (
            few,
            f"{count_of(few, 'identity', 'identities')} with one or two photos in the version: "
            "there is little to tell whether they show the right person.",
        ),
        (
            unlicensed,
            f"The licence of {count_of(unlicensed, 'image')} in the version is not known.",
        ),
    ]
    always = (
        data.audit.in_words() if data.audit else NOT_AUDITED,
        "Twins and other look-alikes: similarity cannot tell them from the same person, so a "
        "look-alike's photo under the wrong name can be kept.",
        "Whether the names are right: a class whose photos nearly all show another, unlisted "
        "person looks like a clean class.",
    )
    excluded = data.exclusion.unknowns() if data.exclusion else []
    return [text for count, text in found if count] + [*excluded, *data.notes, *always]


def _most_removed_first(line: IdentityLine) -> tuple[int, str]:
    return (line.kept - line.images, line.identity)


def _largest_sources(summary: Summary) -> list[object]:
    largest = sorted(summary.sources, key=lambda line: (-line.images, line.source))
    return list(largest[:SOURCES_SHOWN])


def _deciders(candidates: Sequence[CandidateRow]) -> list[tuple[str, int]]:
    found = Counter(row.decided_by for row in candidates if row.decided_by is not None)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _source_digest(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _asset(name: str) -> str:
    return files("cleaning.export").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cleaning.export", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(draw=draw, share=share_of, percent=percent_of, count=count_of)
    environment.globals.update(Outcome=Outcome, Reason=Reason, have_one_name=have_one_name)
    return environment
