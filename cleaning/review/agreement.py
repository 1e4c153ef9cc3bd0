"""How well people agree with one another and with known answers, for the report.

The units compared are answers about one thing: a pair, or one photo of a grid or audit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import krippendorff
import numpy as np

from cleaning.review.items import Batch, GridItem, Item, PairItem, PersonAnswer
from cleaning.review.majority import UNSURE, photo_word, standing, vote
from facedata.review import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorReport:
    """One person's work.

    ``answered`` counts questions, ``unsure`` those answered so; ``median_seconds`` is the time
    per question, ``None`` when unknown. ``gold_right`` of ``gold_answered`` control questions were
    right. Of ``compared`` pairs and photos that the others had a majority word for, ``agreed``
    were answered with that word.
    """

    annotator: str
    answered: int
    unsure: int
    median_seconds: float | None
    gold_answered: int
    gold_right: int
    compared: int
    agreed: int

    @property
    def unsure_share(self) -> float:
        """The share of questions answered ``unsure``."""
        return self.unsure / self.answered

    @property
    def gold_accuracy(self) -> float | None:
        """The share of control questions answered right, ``None`` without any."""
        return self.gold_right / self.gold_answered if self.gold_answered else None

    @property
    def agreement(self) -> float | None:
        """The share of answers like those of the others, ``None`` when nothing was compared."""
        return self.agreed / self.compared if self.compared else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementReport:
    """The people in order of their names, and how they agree per kind of question.

    ``alpha`` is Krippendorff's alpha for nominal words: 1 is perfect agreement, 0 what chance
    gives. It is ``None`` where it is undefined: nothing was answered by two people, or all gave
    one and the same word. ``ties`` counts pairs and photos without a most frequent word.
    """

    annotators: tuple[AnnotatorReport, ...]
    alpha: Mapping[Kind, float | None]
    ties: Mapping[Kind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A question with the answers that count, at least one."""

    kind: Kind
    overlap: int
    item: Item
    votes: tuple[PersonAnswer, ...]

    def units(self) -> list[dict[str, str]]:
        """Return annotator → word of each thing that the question is about."""
        item = self.item
        if isinstance(item, PairItem):
            return [{row.annotator: row.answer for row in self.votes}]
        photos = item.photos if isinstance(item, GridItem) else (item.photo,)
        return [
            {row.annotator: photo_word(item, photo.image_id, row) for row in self.votes}
            for photo in photos
        ]


def annotator_report(batches: Sequence[Batch], answers: Sequence[PersonAnswer]) -> AgreementReport:
    """Return how each person answered, and how they agree, over all given batches.

    ``answers`` are rows in the order of the log; those to no question of the batches are left
    out. Kinds without an answered question have no alpha and no ties.
    """
    asked = list(_asked(batches, answers))
    units: dict[Kind, list[dict[str, str]]] = defaultdict(list)
    ties: Counter[Kind] = Counter()
    for question in asked:
        units[question.kind] += question.units()
        if len(question.votes) >= question.overlap:
            ties[question.kind] += sum(vote(words).is_tie for words in question.units())
    return AgreementReport(
        annotators=_annotators(asked, [unit for of_kind in units.values() for unit in of_kind]),
        alpha={kind: nominal_alpha(of_kind) for kind, of_kind in units.items()},
        ties={kind: ties[kind] for kind in units},
    )


def nominal_alpha(units: Sequence[Mapping[str, str]]) -> float | None:
    """Return Krippendorff's alpha of units (annotator → word), ``None`` where it is undefined.

    Krippendorff, "Content Analysis" (2004), chapter 11, as computed by the package of that name.
    """
    compared = [Counter(unit.values()) for unit in units if len(unit) > 1]
    words = sorted({word for counts in compared for word in counts})
    if len(words) < 2:
        return None
    counts = np.array([[unit[word] for word in words] for unit in compared], dtype=np.int64)
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def _asked(batches: Sequence[Batch], answers: Sequence[PersonAnswer]) -> Iterator[_Asked]:
    rows: dict[tuple[str, str], list[PersonAnswer]] = defaultdict(list)
    for row in answers:
        rows[row.batch, row.key].append(row)
    for batch in batches:
        for item in batch.items:
            votes = tuple(standing(rows.get((batch.name, item.key), [])))
            if votes:
                yield _Asked(kind=batch.kind, overlap=batch.overlap, item=item, votes=votes)


def _annotators(
    asked: Sequence[_Asked], units: Sequence[Mapping[str, str]]
) -> tuple[AnnotatorReport, ...]:
    answered: dict[str, list[PersonAnswer]] = defaultdict(list)
    gold: dict[str, list[bool]] = defaultdict(list)
    for question in asked:
        known = question.item.gold if isinstance(question.item, PairItem) else ""
        for row in question.votes:
            answered[row.annotator].append(row)
            if known:
                gold[row.annotator].append(row.answer == known)
    like_others = _like_others(units)
    return tuple(
        _annotator(name, answered[name], gold[name], like_others.get(name, []))
        for name in sorted(answered)
    )


def _annotator(
    name: str, rows: Sequence[PersonAnswer], gold: Sequence[bool], like_others: Sequence[bool]
) -> AnnotatorReport:
    seconds = [row.seconds for row in rows if row.seconds is not None]
    return AnnotatorReport(
        annotator=name,
        answered=len(rows),
        unsure=sum(row.answer == UNSURE for row in rows),
        median_seconds=median(seconds) if seconds else None,
        gold_answered=len(gold),
        gold_right=sum(gold),
        compared=len(like_others),
        agreed=sum(like_others),
    )


def _like_others(units: Sequence[Mapping[str, str]]) -> dict[str, list[bool]]:
    """Return of each person, per unit that the others agree on, whether the word is theirs."""
    like: dict[str, list[bool]] = defaultdict(list)
    for words in units:
        for name, word in words.items():
            others = {other: said for other, said in words.items() if other != name}
            verdict = vote(others) if others else None
            if verdict is not None and not verdict.is_tie:
                like[name].append(word == verdict.word)
    return like
