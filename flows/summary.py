"""What a build reports: one JSON value, and the lines that show it to people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cleaning.export.exclusion_facts import ExclusionFacts
from cleaning.export.review_facts import AuditFacts
from cleaning.stages.release import Released
from facedata.stages import StageResult
from flows.job import Job
from flows.progress import Reporter
from flows.review_lines import waiting_lines

Answer = dict[str, Any]


class Summary:
    """Collects what each stage counted, and says it as it happens."""

    def __init__(self, job: Job, until: str, reporter: Reporter) -> None:
        self._job = job
        self._until = until
        self._reporter = reporter
        self._answer: Answer = {
            "recipe": job.recipe.name,
            "workspace": job.workspace,
            "until": until,
            "stages": {},
        }

    def reached(self, *stages: str) -> bool:
        """Whether the last stage asked for is one of these."""
        return self._until in stages

    def result(self) -> Answer:
        """Everything collected so far."""
        return self._answer

    def add(self, stage: str, counts: Answer) -> None:
        """A stage that counts for itself."""
        self._answer["stages"][stage] = counts
        text = _counts_text(counts)
        if text:
            self._reporter.say(f"{stage}: {text}")

    def add_stage(self, result: StageResult) -> None:
        """A stage with one result."""
        self.add(result.stage, {**result.counts, "resumed": result.resumed})

    def add_excluded(self, ingested: Mapping[str, StageResult]) -> None:
        """The excluded sets as they were listed; nothing without any."""
        if ingested:
            counts = {name: images.counts["images"] for name, images in ingested.items()}
            self.add("excluded sets", counts)

    def add_parts(self, parts: Sequence[tuple[StageResult, StageResult | None]]) -> None:
        """The stages that run partition by partition."""
        for position in (0, 1):
            results = [part[position] for part in parts]
            done = [result for result in results if result is not None]
            if done:
                total: Counter[str] = Counter()
                for result in done:
                    total.update(result.counts)
                resumed = sum(result.resumed for result in done)
                counts = {**total, "partitions": len(done), "partitions_resumed": resumed}
                self.add(done[0].stage, counts)

    def add_release(self, released: Released) -> None:
        """The version released, or found unchanged."""
        manifest = released.manifest
        self._answer["release"] = {
            "version": manifest.version,
            "is_new": released.is_new,
            "digest": manifest.digest,
            "folder": self._job.storage().url(f"versions/{manifest.version}"),
            "identities": len(manifest.identities),
            "counts": manifest.counts,
            "contradictions": [
                {"identity_a": c.identity_a, "identity_b": c.identity_b}
                for c in released.contradictions
            ],
            "audit": asdict(released.audit.facts()) if released.audit else None,
            "exclusion": _exclusion(released.exclusion) if released.exclusion else None,
        }


def _exclusion(facts: ExclusionFacts) -> Answer:
    return {
        "threshold": facts.threshold,
        "open_pairs": facts.open_pairs,
        "sets": {
            fact.name: {
                "identities": fact.identities,
                "images": fact.images,
                "unusable": fact.unusable,
                "people_out": fact.people,
                "pictures_out": fact.pictures,
                "closest": fact.closest.similarity if fact.closest else None,
            }
            for fact in facts.sets
        },
        "says": [*facts.in_words(), *facts.unknowns()],
    }


def _counts_text(counts: Answer) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in counts.items()
        if not isinstance(value, dict | list) and value is not False
    )


def summary_lines(answer: Answer) -> list[str]:
    """What people read after a build."""
    release = answer.get("release")
    if release is None:
        return [f"{answer['recipe']}: done up to {answer['until']}", *_review_lines(answer)]
    counts = release["counts"]
    lines = [
        f"{release['version']} {'released' if release['is_new'] else 'is up to date'}: "
        f"{release['identities']} identities, {counts['kept'] + counts['moved']} photos",
        f"  {counts['images']} in = {counts['kept']} kept + {counts['moved']} moved + "
        f"{counts['dropped']} dropped + {counts['held']} held",
        f"  digest  {release['digest']}",
        f"  folder  {release['folder']}",
        f"  report  {release['folder']}/report/index.html",
    ]
    lines.extend(_review_lines(answer))
    if release["exclusion"]:
        lines.extend(f"  exclude {line}" for line in release["exclusion"]["says"])
    if release["audit"]:
        lines.append(_audit_line(AuditFacts(**release["audit"])))
    lines.extend(
        f"  contradiction: {c['identity_a']} and {c['identity_b']} were called different, "
        "and the same through others; please look again"
        for c in release["contradictions"]
    )
    return lines


def _review_lines(answer: Answer) -> list[str]:
    """What people can answer now, and where."""
    review = answer["stages"].get("review", {})
    if "waiting" in review:
        return [f"  review  {line}" for line in waiting_lines(review["waiting"])]
    if not review.get("pending"):
        return []
    return [f"  review  {review['pending']} pairs wait for an answer: {review['page']}"]


def _audit_line(audit: AuditFacts) -> str:
    if audit.pending:
        return (
            f"  audit   {audit.pending} of {audit.sampled} sampled photos wait for an answer; "
            f"wrong so far: {audit.estimate}"
        )
    line = f"  audit   wrong photos: {audit.estimate}, {audit.sampled} looked at"
    return f"{line}. {audit.warning}" if audit.warning else line
