from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from cleaning.export.exclusion_facts import ExcludedSetFact, ExclusionFacts
from cleaning.export.galleries import build_galleries, build_pair_cards
from cleaning.export.histogram import Threshold, Tone, make_histogram
from cleaning.export.report import (
    IDENTITIES_SHOWN,
    ModelFact,
    ReportData,
    ThresholdFact,
    list_unknowns,
    render_report,
)
from cleaning.export.review_facts import AnnotatorFact, AuditFacts, KindFact, ReviewFacts
from cleaning.export.summary import summarise
from facedata.exclusion import ExclusionRow
from facedata.ledger import Reason
from facedata.palette import palette_css

NASTY = "<script>alert('x')</script> & \"Q\""


class Page(HTMLParser):
    """Tables, texts and images of a page, as a browser would find them."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.images: list[str] = []
        self.rows: list[list[str]] = []
        self.scripts = 0
        self._in_cell = False
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(" ".join(data.split()))
        if self._in_cell:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def crop_of(face_crop):
    return lambda face_id: face_crop(int(face_id.split("-")[0], 16) % 5)


@pytest.fixture
def data(row, candidate, crop_of) -> ReportData:
    rows = [
        row(1, Reason.MAIN_CLUSTER, NASTY, NASTY),
        row(2, Reason.BELONGS_TO_OTHER, NASTY, "Bea"),
        row(3, Reason.OUTLIER, "Bea", source="<i>crawl</i>"),
        row(4, Reason.MAIN_CLUSTER, "Bea", "Bea"),
        row(5, Reason.SINGLE_PHOTO, "Cleo"),
    ]
    candidates = [
        candidate(NASTY, "Bea", 0.61, "same", "<b>Ana</b>"),
        candidate("Bea", "Cleo", 0.5, "pending"),
        candidate("Bea", "Dora", 0.45, "unsure", "Ben"),
    ]
    return ReportData(
        name="politicians",
        version="politicians-v0003",
        parent="politicians-v0002",
        code_version="0.1.0",
        summary=summarise(rows),
        thresholds=[
            ThresholdFact(
                name="Inside", value=0.28714, origin="Calibrated.", facts=(("Pairs", "1,204"),)
            )
        ],
        histograms=[
            make_histogram(
                NASTY,
                {("Kept", Tone.GOOD): np.array([0.5, 0.6]), ("Dropped", Tone.BAD): np.array([])},
                [Threshold(label="Cut", value=0.3)],
            )
        ],
        galleries=build_galleries(rows, crop_of),
        candidates=candidates,
        pairs=build_pair_cards(candidates, crop_of),
        contradictions=[["Bea", NASTY]],
        models=[ModelFact(role="detector", name="det.onnx", digest="ab" * 32)],
        licences={"CC BY 4.0": 2, None: 1},
        recipe="name: politicians # <script>\n",
        notes=["A note & more."],
    )


def test_counts_reasons_sources_and_identities(data) -> None:
    page = Page(render_report(data))
    assert ["kept", "In the identity's largest cluster", "2", "40.0 %", ""] in page.rows
    assert ["moved", "Shows the person of another identity", "1", "20.0 %", ""] in page.rows
    assert ["photos", "4", "2", "1", "0", "1", "33.3 %", ""] in page.rows
    assert ["<i>crawl</i>", "1", "0", "0", "1", "0", "100 %", ""] in page.rows
    assert [NASTY, "2", "1", "1", "0", "0", "0", "1"] in page.rows
    assert ["Bea", "2", "1", "0", "1", "0", "1", "2"] in page.rows
    assert ["Cleo", "1", "0", "0", "0", "1", "0", "0"] in page.rows
    assert ["not known", "1"] in page.rows
    assert ["detector", "det.onnx" + "ab" * 32] in page.rows


def test_what_it_says(data) -> None:
    texts = " ".join(Page(render_report(data)).texts)
    for said in (
        "politicians v0003",
        "Follows politicians-v0002.",
        "Merged: decided to be the same person 1 pair",
        "decided by <b>Ana</b>",
        "0.2871 Calibrated.",
        f"Bea, {NASTY}",
        "name: politicians # <script>",
        "A note & more.",
    ):
        assert said in texts


def test_everything_is_inside_and_escaped(data) -> None:
    html = render_report(data)
    page = Page(html)
    assert page.scripts == 1
    assert b"<script>alert" not in html
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.images)
    without_images = re.sub(rb"data:image/jpeg;base64,[^\"]+", b"", html)
    assert re.findall(rb"https?://|url\(|@import|<link|<iframe", without_images) == []


def test_the_palette_is_that_of_the_other_pages(data) -> None:
    assert palette_css().encode() in render_report(data)


def test_unknowns_are_honest(data) -> None:
    assert list_unknowns(data)[:7] == [
        "1 pair of identities may be one person and nobody has decided yet.",
        "1 pair of identities stayed unsure after review.",
        "The review's answers contradict one another in 1 group of identities.",
        "1 image held: nobody has judged the identity yet.",
        "2 identities with one or two photos in the version: there is little to tell whether "
        "they show the right person.",
        "The licence of 1 image in the version is not known.",
        "A note & more.",
    ]
    empty = ReportData(
        name="n", version="n-v0001", parent=None, code_version="0", summary=summarise([])
    )
    assert [text.split(":")[0] for text in list_unknowns(empty)] == [
        "How many wrong photos are left",
        "Twins and other look-alikes",
        "Whether the names are right",
    ]


AUDIT = AuditFacts(
    photos_in=4_000,
    sampled=105,
    wrong=2,
    right=98,
    unsure=3,
    pending=2,
    noise=0.02,
    low=0.00243,
    high=0.0704,
    max_noise=0.05,
)
REVIEW = ReviewFacts(
    kinds=[
        KindFact(title="Pairs of identities", yes=30, no=1_170, unsure=4, ties=3, alpha=0.9126),
        KindFact(title="Pairs, from a file or command", yes=1, no=0, unsure=0),
    ],
    annotators=[
        AnnotatorFact(
            name=NASTY,
            answered=1_204,
            gold_answered=60,
            gold_right=57,
            compared=1_200,
            agreed=1_100,
        ),
        AnnotatorFact(name="ben", answered=1, gold_answered=0, gold_right=0, compared=0, agreed=0),
    ],
    inferred=17,
)


def test_who_decided_and_how_far_they_agree(data) -> None:
    page = Page(render_report(replace(data, review=REVIEW)))
    assert ["Pairs of identities", "30", "1,170", "4", "3", "0.913"] in page.rows
    assert ["Pairs, from a file or command", "1", "0", "0", "–", "–"] in page.rows
    assert [NASTY, "1,204", "57 of 60", "95.0 %", "1,100 of 1,200", "91.7 %"] in page.rows
    assert ["ben", "1", "–", "–", "–", "–"] in page.rows
    said = " ".join(page.texts)
    assert "17 candidates decided without asking, because the answer follows from others." in said
    assert "Residual noise" not in said
    assert "Who" not in Page(render_report(data)).texts


def test_the_audit_says_how_many_wrong_photos_are_left(data) -> None:
    audited = replace(data, audit=AUDIT)
    sentence = (
        "How many wrong photos are left: 2.0 % (95 % interval 0.24 % to 7.0 %), from a random "
        "sample of 105 photos of 4,000, of which 2 were wrong; those were dropped. People could "
        "not judge 3 of them. 2 of them wait for an answer. The interval reaches above the 5.0 % "
        "that the recipe allows: a larger sample would tell."
    )
    assert sentence in list_unknowns(audited)
    assert not any("no sample of the kept photos" in text for text in list_unknowns(audited))
    page = " ".join(Page(render_report(audited)).texts)
    for said in (
        "Residual noise 2.0 %",
        "95 % interval 0.24 % to 7.0 %; the recipe allows 5.0 %, marked red.",
        "photos drawn at random 105 of 4,000 right 98 wrong, dropped from this version 2 "
        "could not be judged 3 without an answer 2",
        sentence,
    ):
        assert said in page


def test_an_audit_without_answers_claims_nothing(data) -> None:
    open_audit = AuditFacts(
        photos_in=10, sampled=5, wrong=0, right=0, unsure=1, pending=4, noise=None, low=0, high=1
    )
    audited = replace(data, audit=open_audit)
    assert any("no sample of the kept photos" in text for text in list_unknowns(audited))
    page = " ".join(Page(render_report(audited)).texts)
    assert "Not known yet: 4 photos of a random sample of 5 wait for an answer, and" in page


def test_nothing_is_proven_by_a_wide_interval_only() -> None:
    assert replace(AUDIT, high=0.05).warning == ""
    assert replace(AUDIT, max_noise=None).warning == ""
    assert AUDIT.warning.startswith("The interval reaches above the 5.0 %")


def tie(how: str, similarity: float | None, **changes: object) -> ExclusionRow:
    values = {"identity": NASTY, "excluded_set": "lfw", "excluded_identity": "<u>Bea</u>"}
    face = {"face_id": None, "excluded_face_id": None}
    return ExclusionRow(how=how, similarity=similarity, photos=7, **values | face | changes)  # type: ignore[arg-type]


@pytest.fixture
def without(data) -> ReportData:
    closest = tie("remaining", 0.25, identity="Cleo")
    fact = ExcludedSetFact(
        name="lfw",
        by_name=True,
        identities=5749,
        images=13233,
        unusable=0,
        faces=13000,
        people=1,
        pictures=2,
        closest=closest,
    )
    facts = ExclusionFacts(
        threshold=0.375,
        origin="set in the recipe",
        sets=[fact, replace(fact, name="gone", by_name=False, closest=None)],
        rows=[
            tie("name", None),
            tie("face", 0.75),
            tie("merged", None, identity="Dora", via=NASTY),
            tie("photo", None),
            closest,
        ],
        open_pairs=0,
    )
    return replace(data, exclusion=facts)


def test_excluded_sets_and_who_is_out(without) -> None:
    page = Page(render_report(without))
    assert page.scripts == 1
    of_set = ["lfw", "5,749", "13,233", "13,000", "yes", "1", "2", "0.2500", "Cleo and <u>Bea</u>"]
    assert of_set in page.rows
    assert ["gone", *of_set[1:4], "no", "1", "2", "–", ""] in page.rows
    assert [NASTY, "has the name", "<u>Bea</u>", "lfw", "–", "7"] in page.rows
    assert [NASTY, "looks like", "<u>Bea</u>", "lfw", "0.7500", "7"] in page.rows
    merged = f"is one person with somebody out ({NASTY})"
    assert ["Dora", merged, "<u>Bea</u>", "lfw", "–", "7"] in page.rows
    # Pictures are counted, and what is left is no reason.
    assert not any("shares a picture" in cell for row in page.rows for cell in row)


def test_an_empty_version_renders() -> None:
    empty = ReportData(
        name="n", version="n-v0001", parent=None, code_version="0", summary=summarise([])
    )
    texts = Page(render_report(empty)).texts
    assert "The first version. Built by Winnow 0." in texts
    assert "No two identities come near enough to be one person." in texts


def test_same_data_same_bytes(data) -> None:
    assert render_report(data) == render_report(data)


def test_stays_small_for_many_identities(row, crop_of, data) -> None:
    rows = [
        row(i, list(Reason)[i % len(Reason)], f"Person with a longer name {i // 2}", f"P{i}")
        for i in range(12_000)
    ]
    big = ReportData(
        name="n",
        version="n-v0001",
        parent=None,
        code_version="0",
        summary=summarise(rows),
        galleries=build_galleries(rows, crop_of),
        candidates=data.candidates,
        pairs=data.pairs,
    )
    html = render_report(big)
    page = Page(html)
    identities = [cells for cells in page.rows if len(cells) == 8 and "name" in cells[0]]
    assert len(identities) <= IDENTITIES_SHOWN
    assert any(text.startswith(f"The {IDENTITIES_SHOWN:,} of ") for text in page.texts)
    assert len(html) < 3_000_000


def test_table_sorts_and_searches(data, browser, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(render_report(data))
    tab = browser.new_page()
    problems: list[str] = []
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.goto((tmp_path / "index.html").as_uri())

    def names() -> list[str]:
        return tab.locator("#identities tbody tr:visible td.name").all_inner_texts()

    assert names() == [NASTY, "Bea", "Cleo"]
    tab.click("#identities th:nth-child(8) button")
    assert names() == ["Bea", NASTY, "Cleo"]
    tab.click("#identities th:first-child button")
    assert names()[1:] == ["Bea", "Cleo"]
    tab.fill("#search", "BE")
    assert names() == ["Bea"]
    assert tab.inner_text("#found") == "1 found"
    tab.close()
    assert problems == []
