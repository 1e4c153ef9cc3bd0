from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleaning.review.file_backend import (
    PAIRS_PER_BATCH,
    Gallery,
    in_review_order,
    next_batch,
    write_review,
)
from cleaning.review.pairs_csv import Reading, read_pairs, write_pairs
from facedata.errors import IntegrityError
from facedata.palette import palette_css
from facedata.review import CandidateRow, Decision

NASTY = ["<script>alert(1)</script>", "=cmd|' /C calc'!A0", "Quote \"Q\" 'Smith'", "陳小明; a,=b"]


class Page(HTMLParser):
    """What a browser would find: texts, images, radio buttons and where links point."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.images: list[str] = []
        self.scripts = 0
        self.radios: list[tuple[str, str, bool]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "img":
            self.images.append(found["src"] or "")
        if tag == "script":
            self.scripts += 1
        if found.get("type") == "radio":
            self.radios.append((found["name"] or "", found["value"] or "", "checked" in found))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


@pytest.fixture
def review(candidate, gallery, face_crop):
    """Candidates between people of difficult names, their galleries, and a crop per face."""
    candidates: list[CandidateRow] = []
    galleries: dict[str, Gallery] = {}
    for i, name in enumerate(NASTY):
        left, right = name, f"Person {'abcd'[i]}"
        for side, identity in enumerate((left, right)):
            ids = [f"{16 * i + 8 * side + n:032x}-0" for n in range(3)]
            galleries[identity] = gallery(identity, *ids, count=7)
        a, b = sorted((left, right))
        candidates.append(
            candidate(
                a,
                b,
                0.4 + i / 100,
                face_a=galleries[a].faces[0].face_id,
                face_b=galleries[b].faces[2].face_id,
            )
        )

    def crop_of(face_id: str) -> bytes:
        return face_crop(int(face_id.split("-")[0], 16))

    return candidates, galleries, crop_of


def files_of(review) -> dict[str, bytes]:
    candidates, galleries, crop_of = review
    files: dict[str, bytes] = {}
    write_review(candidates, galleries, crop_of, files.__setitem__, title="demo <set>")
    return files


def test_undecided_first_then_nearest_then_by_name(candidate) -> None:
    rows = [
        candidate("a", "b", 0.9, decision="same"),
        candidate("a", "d", 0.5),
        candidate("a", "c", 0.5),
        candidate("a", "e", 0.6),
    ]
    assert [row.identity_b for row in in_review_order(rows)] == ["e", "c", "d", "b"]
    rows.append(candidate("one:Ann_Lee", "two:Lee, Ann", 0.4))
    assert in_review_order(rows)[0] == rows[-1]


def test_page_shows_every_pair_and_every_image_exists(review) -> None:
    files = files_of(review)
    page = Page(files["index.html"].decode())
    assert list(files)[-2:] == ["pairs.csv", "index.html"]
    assert set(page.images) == {name for name in files if name.startswith("faces/")}
    assert len(page.images) == 4 * (6 + 2)
    assert len(page.radios) == 4 * 3
    assert not any(checked for _, _, checked in page.radios)
    for name in NASTY:
        assert name in page.texts
    assert page.texts.count("7 faces") == 8
    assert "0.430" in page.texts
    pixels = cv2.imdecode(np.frombuffer(files[page.images[0]], np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (112, 112, 3)


def test_names_stay_text_and_nothing_comes_from_elsewhere(review) -> None:
    html = files_of(review)["index.html"].decode()
    assert Page(html).scripts == 2
    assert "<script>alert" not in html
    assert re.findall(r"https?://|//[a-z]", html) == []
    book = json.loads(re.search(r'id="book">(.*?)</script>', html, re.DOTALL)[1])
    assert len(book["pairs"]) == 4


def test_earlier_decisions_are_filled_in(review) -> None:
    candidates, galleries, crop_of = review
    decided = [
        replace(candidates[0], decision="different", decided_by="=Ana"),
        *candidates[1:],
    ]
    page = Page(files_of((decided, galleries, crop_of))["index.html"].decode())
    assert [radio for radio in page.radios if radio[2]] == [("pair-4", "different", True)]
    assert "=Ana" in page.texts


def test_same_input_same_bytes(review) -> None:
    candidates, galleries, crop_of = review
    assert files_of(review) == files_of((candidates[::-1], galleries, crop_of))


def test_pages_of_fifty(candidate, gallery, face_crop) -> None:
    names = [f"P{i:03}" for i in range(121)]
    galleries = {name: gallery(name, f"{1:032x}-0") for name in names}
    rows = [candidate(names[0], other) for other in names[1:]]
    files: dict[str, bytes] = {}
    write_review(rows, galleries, lambda _: face_crop(1), files.__setitem__, title="t")
    html = files["index.html"].decode()
    sections = re.findall(
        r'<section class="page".*?(?=<section class="page"|<nav)', html, re.DOTALL
    )
    assert [section.count("<article") for section in sections] == [50, 50, 20]
    assert [" hidden><template>" in section for section in sections] == [False, True, True]
    # Two faces in 120 pairs, each stored once.
    assert [name for name in files if name.startswith("faces/")] == [
        f"faces/{1:032x}-0.jpg",
        f"faces/{2:032x}-0.jpg",
    ]


def test_a_batch_at_a_time(candidate, gallery, face_crop) -> None:
    names = [f"P{i:04}" for i in range(PAIRS_PER_BATCH + 6)]
    rows = [candidate(names[0], other, decision="same") for other in names[1:4]]
    rows += [candidate(names[0], other) for other in names[4:]]
    batch = next_batch(rows)
    assert [row.identity_b for row in batch] == names[4 : 4 + PAIRS_PER_BATCH]
    galleries = {name: gallery(name) for name in {names[0]} | {row.identity_b for row in batch}}
    files: dict[str, bytes] = {}
    write_review(rows, galleries, lambda _: face_crop(1), files.__setitem__, title="t")
    assert files["pairs.csv"] == write_pairs(batch)
    assert b"5 more come after these 1,000." in files["index.html"]


def test_no_candidates() -> None:
    files: dict[str, bytes] = {}
    write_review([], {}, lambda _: b"", files.__setitem__, title="t")
    assert list(files) == ["pairs.csv", "index.html"]
    assert "No pairs to decide" in Page(files["index.html"].decode()).texts
    assert files["pairs.csv"] == write_pairs([])


@pytest.mark.parametrize("crop", [b"", b"not an image"])
def test_a_broken_crop_is_named(review, crop: bytes) -> None:
    candidates, galleries, _ = review
    with pytest.raises(IntegrityError, match=f"face crop of {len(crop)} bytes is not an image"):
        files_of((candidates, galleries, lambda _: crop))


def test_the_palette_is_that_of_the_other_pages(review) -> None:
    assert palette_css().encode() in files_of(review)["index.html"]


def test_an_earlier_answer_can_be_changed_but_not_emptied(review, browser, tmp_path: Path) -> None:
    candidates, galleries, crop_of = review
    rows = [replace(row, decision="same", decided_by="Ben") for row in candidates]
    for name, data in files_of((rows, galleries, crop_of)).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    tab = browser.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    tab.fill("#reviewer", "Ana")
    tab.press("#reviewer", "Escape")
    for key in ("d", "j", "u", "Backspace"):
        tab.keyboard.press(key)
    tab.click("#pair-4 .different")
    tab.click("#pair-4 .clear")
    with tab.expect_download() as filled:
        tab.click("#download")
    data = filled.value.path().read_bytes()
    answers = read_pairs(data, rows, Reading(reviewer="x", decided_at="now"))
    assert [(answer.decision, answer.decided_by) for answer in answers] == [
        ("different", "Ana"),
    ]


def test_answers_by_keyboard_reach_the_downloaded_table(review, browser, tmp_path: Path) -> None:
    for name, data in files_of(review).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    tab = browser.new_page()
    problems: list[str] = []
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.goto((tmp_path / "index.html").as_uri())

    with tab.expect_download() as untouched:
        tab.click("#download")
    assert untouched.value.path().read_bytes() == (tmp_path / "pairs.csv").read_bytes()

    tab.fill("#reviewer", "=Ana")
    tab.press("#reviewer", "Escape")
    for key in "sdjk":  # pair 1 same, pair 2 different; 3 → 4 → 3
        tab.keyboard.press(key)
    tab.keyboard.press("u")
    tab.keyboard.press("s")
    tab.keyboard.press("Backspace")
    tab.fill("#pair-1 .note", '"=1", twins')
    assert tab.inner_text("#decided") == "3 of 4 decided"
    tab.reload()
    assert tab.input_value("#pair-1 .note") == '"=1", twins'
    with tab.expect_download() as filled:
        tab.click("#download")
    data = filled.value.path().read_bytes()
    candidates = in_review_order(review[0])
    expected = [
        Decision(
            identity_a=row.identity_a,
            identity_b=row.identity_b,
            decision=word,
            decided_by="=Ana",
            decided_at="now",
            note=note,
        )
        for row, word, note in zip(
            candidates[:3],
            ("same", "different", "unsure"),
            ('"=1", twins', "", ""),
            strict=True,
        )
    ]
    assert read_pairs(data, candidates, Reading(reviewer="x", decided_at="now")) == expected
    assert problems == []


def test_later_pages_open_and_keep_their_answers(
    candidate, gallery, face_crop, browser, tmp_path: Path
) -> None:
    names = ["Zed", *(f"P{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(52))]
    rows = [candidate(names[0], other) for other in names[1:]]
    galleries = {name: gallery(name, f"{1:032x}-0") for name in names}

    def write(name: str, data: bytes) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)

    write_review(rows, galleries, lambda _: face_crop(1), write, title="t")
    tab = browser.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    assert tab.inner_text(".where") == "Page 1 of 2"
    tab.click("[data-turn='1']")
    for key in "sk":  # the first pair of page 2, and back over the last one's end to page 1
        tab.keyboard.press(key)
    tab.keyboard.press("k")
    assert tab.inner_text(".where") == "Page 1 of 2"
    tab.keyboard.press("d")
    tab.reload()
    tab.click("[data-turn='1']")
    assert tab.is_checked("#pair-51 [value=same]")
    with tab.expect_download() as filled:
        tab.click("#download")
    answers = read_pairs(
        filled.value.path().read_bytes(), rows, Reading(reviewer="x", decided_at="now")
    )
    assert [(answer.identity_a, answer.decision) for answer in answers] == [
        (names[50], "different"),
        (names[51], "same"),
    ]
