"""Questions as tasks: small, escaped, blind where they must be; annotations read back safely."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.items import AuditItem, GridItem, Item, PairItem, PhotoView, Side
from cleaning.review.server import Annotation
from cleaning.review.tasks import (
    PHOTO_KEYS,
    Unreadable,
    image_name,
    images_of,
    project_spec,
    read_answer,
    task_body,
)
from facedata.review import Kind

NASTY = "<script>alert('1')</script> & \"Zoë\" 山田太郎 {{ 7*7 }} $key"


def faces(start: int, count: int) -> tuple[str, ...]:
    return tuple(f"{start + index:064x}-0" for index in range(count))


def side(name: str, count: int = 12, start: int = 0) -> Side:
    sources = ("gallery.example", "press.example")
    shown = faces(start, count)
    return Side(identity=name, photos=40, faces=shown, sources=sources, years="2004–2011")


def pair(**changes: Any) -> PairItem:
    item = PairItem(
        key="0123456789abcdef0123",
        a=side("Ana Moon"),
        b=side("Eva Moon", start=50),
        face_a=faces(3, 1)[0],
        face_b=faces(55, 1)[0],
        max_similarity=0.5849,
        centroid_similarity=0.41,
        close_pairs=7,
        chance_same=0.72,
    )
    return replace(item, **changes)


def photos(count: int) -> tuple[PhotoView, ...]:
    return tuple(
        PhotoView(image_id=f"{i:064x}", face_id=f"{i:064x}-1", similarity=0.3, kept=i % 3 != 0)
        for i in range(count)
    )


GRID = GridItem(key="grid", reference=side("Ana Moon"), photos=photos(18), why="Near the cut.")
AUDIT = AuditItem(key="audit", reference=side("Ana Moon"), photo=photos(2)[1])
ITEMS: list[Item] = [pair(), GRID, AUDIT]


def short(name: str) -> str:
    return f"/data/local-files/?d=people/review/images/{name}"


def signed(name: str) -> str:
    """As long as presigned addresses get."""
    return f"https://bucket.s3.eu-central-1.amazonaws.com/review/{name}?" + "X-Amz-S=a&" * 54


def body_size(item: Item, address_of: Callable[[str], str]) -> int:
    return len(json.dumps(task_body(item, address_of, "model").data, ensure_ascii=False).encode())


def test_bodies_stay_small() -> None:
    assert 600 <= len(signed(image_name(("x",)))) <= 680
    assert body_size(pair(), short) <= 1_800
    assert body_size(pair(), signed) <= 5_000
    assert body_size(GRID, short) <= 5_000
    # An address for each of 18 photos: this cannot be shorter.
    assert body_size(GRID, signed) <= 20 * (len(signed(image_name(("x",)))) + 350)
    assert body_size(AUDIT, signed) <= 3_000


@pytest.mark.parametrize("item", ITEMS, ids=["pair", "grid", "audit"])
def test_a_page_shows_exactly_the_images_it_needs(item: Item) -> None:
    text = json.dumps(task_body(item, short, "model").data)
    assert set(re.findall(r"[0-9a-f]{32}\.jpg", text)) == set(images_of(item))


def test_a_pair_needs_four_images_and_equal_faces_share_one() -> None:
    item = pair()
    assert images_of(item) == {
        image_name(item.a.faces): item.a.faces,
        image_name(item.b.faces): item.b.faces,
        image_name((item.face_a,)): (item.face_a,),
        image_name((item.face_b,)): (item.face_b,),
    }
    assert len(images_of(pair(a=side("x", count=1, start=3)))) == 3
    assert image_name(("a", "b")) != image_name(("b", "a"))
    assert image_name(("a,b",)) != image_name(("a", "b"))


@pytest.mark.parametrize("kind", Kind)
def test_label_configs_are_valid_xml_with_a_plain_style(kind: Kind) -> None:
    spec = project_spec(kind, "people: pairs", 2)
    root = ET.fromstring(spec.label_config)
    (style,) = root.iter("Style")
    # The server does not undo XML's escapes in it.
    assert not set(style.text or "") & set("<>&")
    keys = [choice.get("hotkey") for choice in root.iter("Choice")]
    assert all(keys)
    assert len(set(keys)) == len(keys)
    assert not set(keys) & set(PHOTO_KEYS if kind == Kind.PHOTOS else "")
    assert (spec.title, spec.overlap, spec.allow_empty) == ("people: pairs", 2, kind == "photos")


@pytest.mark.parametrize("kind", Kind)
def test_a_task_has_every_field_that_its_page_shows(kind: Kind) -> None:
    item = {Kind.PHOTOS: GRID, Kind.AUDIT: AUDIT}.get(kind, pair())
    config = project_spec(kind, "t", 1).label_config
    asked = set(re.findall(r'value="\$(\w+)"', config))
    assert asked <= set(task_body(item, short, "m").data)


def test_words_from_data_are_escaped() -> None:
    nasty = pair(a=replace(side(NASTY), sources=(NASTY,), years=NASTY), earlier=NASTY)
    data = task_body(nasty, lambda name: f'/x?a=1&b="{name}', "m").data
    html = data["closest"] + data["galleries"]
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "山田太郎 {{ 7*7 }} $key" in html
    assert 'src="/x?a=1&amp;b=&#34;' in html
    assert data["question"] == f"{NASTY} / Eva Moon"
    grid = task_body(replace(GRID, reference=side(NASTY), why=NASTY), lambda n: f'"><b>{n}', "m")
    assert "<script" not in json.dumps(grid.data["photos"]) + grid.data["reference"]
    assert grid.data["photos"][0]["html"].startswith('<img src="&#34;&gt;&lt;b&gt;')


def test_a_pair_shows_what_was_measured_and_what_was_said_before() -> None:
    data = task_body(pair(), short, "m").data
    assert data["similarity"] == 0.58
    for fact in (">0.58<", ">0.41<", ">7<"):
        assert fact in data["closest"]
    for fact in ("Ana Moon", "40 photos · 2004–2011 · gallery.example, press.example"):
        assert fact in data["galleries"]
    assert "Kim said same" not in data["closest"]
    assert "Kim said same" in task_body(pair(earlier="Kim said same"), short, "m").data["closest"]


@pytest.mark.parametrize(
    ("chance", "word", "score"), [(0.72, "same", 0.72), (0.5, "same", 0.5), (0.2, "different", 0.8)]
)
def test_a_pair_carries_the_expected_answer(chance: float, word: str, score: float) -> None:
    body = task_body(pair(chance_same=chance), short, "buffalo@12ab")
    (result,) = body.prediction
    assert (result["from_name"], result["to_name"]) == ("answer", "closest")
    assert result["value"] == {"choices": [word]}
    assert body.score == pytest.approx(score)
    assert body.model == "buffalo@12ab"


def test_a_control_question_looks_like_any_other() -> None:
    assert task_body(pair(gold="same"), short, "m") == task_body(pair(), short, "m")


def test_a_grid_marks_what_the_machine_dropped_in_the_prediction_only() -> None:
    body = task_body(GRID, short, "m")
    dropped = [photo.image_id for photo in GRID.photos if not photo.kept]
    assert body.prediction[0]["value"] == {"choices": dropped}
    assert "kept" not in json.dumps(body.data)
    assert "selected" not in json.dumps(body.data)
    all_kept = replace(GRID, photos=tuple(replace(photo, kept=True) for photo in GRID.photos))
    assert task_body(all_kept, short, "m").prediction == ()
    assert task_body(all_kept, short, "m").data == body.data


def test_every_photo_of_a_grid_has_a_key_of_its_own() -> None:
    keys = [photo["hotkey"] for photo in task_body(GRID, short, "m").data["photos"]]
    assert "".join(keys) == PHOTO_KEYS


def test_an_audit_is_blind() -> None:
    body = task_body(AUDIT, short, "m")
    assert body.prediction == ()
    dropped = replace(AUDIT, photo=replace(AUDIT.photo, kept=False, similarity=-0.5))
    assert task_body(dropped, short, "m") == body


def test_an_empty_reference_says_so() -> None:
    data = task_body(replace(GRID, reference=side("Ana", count=0)), short, "m").data
    assert "No photo of this person is certain yet." in data["reference"]
    assert "<img" not in data["reference"]


# Reading back


def chosen(name: str, *choices: object) -> dict[str, Any]:
    value = {"choices": list(choices)}
    return {"from_name": name, "to_name": "x", "type": "choices", "value": value}


def annotation(*result: Any, **changes: Any) -> Annotation:
    made = Annotation(
        id="17", annotator="kim@x.org", answered_at="2026-01-02T03:04:05Z", result=result
    )
    return replace(made, **changes)


NOTE = {"from_name": "note", "type": "textarea", "value": {"text": ["twins?", "again"]}}


@pytest.mark.parametrize("word", ["same", "different", "unsure"])
def test_an_answer_to_a_pair_is_read_with_all_that_came_with_it(word: str) -> None:
    given_back = annotation(chosen("answer", word), chosen("mixed", "b"), NOTE, seconds=4.5)
    answer = read_answer(pair(), "pairs-0001", given_back)
    assert not isinstance(answer, Unreadable)
    assert (answer.batch, answer.key, answer.answer) == ("pairs-0001", pair().key, word)
    assert (answer.annotator, answer.answered_at) == ("kim@x.org", "2026-01-02T03:04:05Z")
    assert (answer.annotation, answer.seconds, answer.note) == ("17", 4.5, "twins?\nagain")
    assert (answer.mixed, answer.wrong) == (("Eva Moon",), ())


def test_both_galleries_may_be_mixed() -> None:
    answer = read_answer(
        pair(), "b", annotation(chosen("answer", "unsure"), chosen("mixed", "a", "b"))
    )
    assert not isinstance(answer, Unreadable)
    assert answer.mixed == ("Ana Moon", "Eva Moon")


def test_a_grid_without_a_mark_was_seen() -> None:
    seen = read_answer(GRID, "b", annotation())
    assert not isinstance(seen, Unreadable)
    assert (seen.answer, seen.wrong) == ("seen", ())
    second, fifth = GRID.photos[1].image_id, GRID.photos[4].image_id
    marked = read_answer(GRID, "b", annotation(chosen("wrong", fifth, second)))
    assert not isinstance(marked, Unreadable)
    assert (marked.answer, marked.wrong) == ("seen", (second, fifth))


def test_unsure_about_a_grid_leaves_the_machines_marks_aside() -> None:
    result = (chosen("wrong", GRID.photos[0].image_id), chosen("answer", "unsure"))
    answer = read_answer(GRID, "b", annotation(*result))
    assert not isinstance(answer, Unreadable)
    assert (answer.answer, answer.wrong) == ("unsure", ())


@pytest.mark.parametrize("word", ["right", "wrong", "unsure"])
def test_an_audit_is_read(word: str) -> None:
    answer = read_answer(AUDIT, "b", annotation(chosen("answer", word)))
    assert not isinstance(answer, Unreadable)
    assert answer.answer == word


@pytest.mark.parametrize(
    ("item", "result", "problem"),
    [
        (pair(), (), "one answer is needed, none given"),
        (pair(), (NOTE,), "one answer is needed, none given"),
        (pair(), (chosen("answer", "same", "different"),), "same, different given"),
        (pair(), (chosen("answer", "same"), chosen("answer", "unsure")), "same, unsure given"),
        (pair(), (chosen("answer", "Gleich"),), "the answer 'Gleich' is unknown"),
        (pair(), (chosen("answer", "right"),), "the answer 'right' is unknown"),
        (pair(), (chosen("answer", "same"), chosen("mixed", "c")), "the gallery 'c' is unknown"),
        (pair(), (chosen("answer", 3),), "answer holds no list of choices"),
        (pair(), ({"from_name": "answer", "value": None},), "answer holds no list of choices"),
        (GRID, (chosen("wrong", "elsewhere"),), "the photo 'elsewhere' is unknown"),
        (GRID, (chosen("answer", "right"),), "the answer 'right' is unknown"),
        (AUDIT, (chosen("answer", "same"),), "the answer 'same' is unknown"),
    ],
)
def test_what_is_no_answer_is_a_problem(item: Item, result: tuple[Any, ...], problem: str) -> None:
    answer = read_answer(item, "b", annotation(*result))
    assert isinstance(answer, Unreadable)
    assert problem in answer.problem
    assert "\n" not in answer.problem


def test_a_task_passed_over_is_a_problem() -> None:
    skipped = read_answer(GRID, "b", annotation(skipped=True))
    assert skipped == Unreadable(problem="passed over without an answer")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["from_name", "value", "choices", "text"]),
            inner | st.sampled_from(["answer", "wrong", "mixed", "note", "same"]),
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(result=st.lists(JSON, max_size=4), item=st.sampled_from(ITEMS))
def test_no_result_crashes_the_reader(result: list[Any], item: Item) -> None:
    answer = read_answer(item, "b", annotation(*result))
    assert isinstance(answer, Unreadable) or answer.answer in {"same", "seen", "unsure"}
