"""The annotator's pages in a real browser on a real server: nothing to scroll, one key an answer.

With ``WINNOW_WRITE_DOCS=1`` the screenshots replace those in ``docs/images``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cleaning.faces.align import align_face, encode_crop
from cleaning.review.items import AuditItem, GridItem, Item, PairItem, PersonAnswer, PhotoView, Side
from cleaning.review.label_studio import connect
from cleaning.review.server import ReviewServer
from cleaning.review.sheet import gallery_sheet
from cleaning.review.tasks import Unreadable, images_of, project_spec, read_answer, task_body
from demo.casting import make_person, make_sibling
from demo.label_studio import EMAIL
from demo.photo import render_photo
from facedata.review import Kind

# The third is what a browser's own bars leave of the first.
WINDOWS = [(1366, 768), (1440, 900), (1366, 650)]
FACES_EACH = 14
DOCS = Path(__file__).parents[2] / "docs" / "images"
IMAGES = "people/review/images"

Crops = dict[str, bytes]


@pytest.fixture(scope="module")
def crops() -> Crops:
    """Aligned faces of five rendered people, the last two siblings, by face id ``p<n>-<i>``."""
    people = [make_person(seed) for seed in (1, 3, 5, 6)]
    people.append(make_sibling(people[3], 77, "sibling"))
    found: Crops = {}
    for number, person in enumerate(people):
        for index in range(FACES_EACH):
            photo = render_photo([person], 100 * number + index)
            face = align_face(photo.image, photo.faces[0].landmarks)
            found[f"p{number}-{index:02d}"] = encode_crop(face)
    return found


def side(number: int, name: str, count: int = 12) -> Side:
    return Side(
        identity=name,
        photos=count + 9,
        faces=tuple(f"p{number}-{index:02d}" for index in range(count)),
        sources=("gallery.example", "press.example"),
        years="2004–2011",
    )


def pair(place: int, a: Side, b: Side, earlier: str = "") -> PairItem:
    return PairItem(
        key=f"pair-{place}",
        a=a,
        b=b,
        face_a=a.faces[0],
        face_b=b.faces[0],
        max_similarity=0.61 - 0.04 * place,
        centroid_similarity=0.48 - 0.04 * place,
        close_pairs=23 - 7 * place,
        chance_same=0.74 - 0.2 * place,
        earlier=earlier,
    )


def view(face_id: str, kept: bool = True) -> PhotoView:
    return PhotoView(image_id=f"image-{face_id}", face_id=face_id, similarity=0.31, kept=kept)


def grid(place: int, number: int, name: str) -> GridItem:
    faces = [f"p{number}-{index:02d}" for index in (12, 13, *range(12))]
    others = [f"p{(number + 1) % 5}-{index:02d}" for index in range(6)]
    mixed = [face for two in zip(faces, others, strict=False) for face in two] + faces[6:]
    photos = tuple(view(face, kept=face in faces) for face in mixed[:18])
    why = "These photos are near the cut."
    return GridItem(key=f"grid-{place}", reference=side(number, name, 12), photos=photos, why=why)


PAIRS: list[Item] = [
    pair(0, side(3, "Ana Brightwater"), side(4, "Eva Brightwater")),
    pair(1, side(0, "Zoë O’Malley"), side(1, "Leyla <Marsh>", count=3), "Kim said same. " * 9),
    pair(2, side(2, "Noé Lindqvist", count=7), side(1, "A name so long that " * 5, count=1)),
]
GRIDS: list[Item] = [grid(0, 0, "Zoë O’Malley"), grid(1, 1, "Leyla Marsh"), grid(2, 2, "Noé")]
AUDITS: list[Item] = [
    AuditItem(key=f"audit-{n}", reference=side(n, "Ana Brightwater"), photo=view(f"p{n}-13"))
    for n in range(3)
]
ITEMS = {Kind.PAIRS: PAIRS, Kind.PHOTOS: GRIDS, Kind.AUDIT: AUDITS}


@dataclass(frozen=True)
class Opened:
    """A project with its questions, and the server it is on."""

    server: ReviewServer
    project: int
    items: Sequence[Item]

    @property
    def url(self) -> str:
        return self.server.project_url(self.project)

    def answers(self) -> dict[str, PersonAnswer]:
        """What was answered, by key, as a pull reads it."""
        found: dict[str, PersonAnswer] = {}
        by_key = {item.key: item for item in self.items}
        for task in self.server.changed_tasks(self.project, None):
            for annotation in task.annotations:
                answer = read_answer(by_key[task.key], "batch", annotation)
                assert not isinstance(answer, Unreadable), answer
                assert task.key not in found
                found[task.key] = answer
        return found


@pytest.fixture(scope="module")
def open_project(label_studio: Any, crops: Crops) -> Callable[[Kind], Opened]:
    """Makes a project of a kind, with its questions and their images."""
    server = connect(label_studio.url, label_studio.token)
    folder = label_studio.document_root / IMAGES
    folder.mkdir(parents=True, exist_ok=True)

    def make(kind: Kind) -> Opened:
        items = ITEMS[kind]
        project = server.open_project(project_spec(kind, f"people: {kind}", 1), None)
        for item in items:
            for name, faces in images_of(item).items():
                (folder / name).write_bytes(gallery_sheet([crops[face] for face in faces]))
        server.serve_folder(project, str(folder))
        bodies = [task_body(i, lambda n: f"/data/local-files/?d={IMAGES}/{n}", "x") for i in items]
        server.add_tasks(project, bodies)
        return Opened(server=server, project=project, items=items)

    return make


@pytest.fixture
def page(label_studio: Any) -> Iterator[Any]:
    """A page of a headless Chromium in which the first user is logged in."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on the PATH: the pages were not tried in a browser")
    with playwright.sync_playwright() as started:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=chromium, args=quiet)
        width, height = WINDOWS[0]
        opened = browser.new_page(viewport={"width": width, "height": height})
        opened.set_default_timeout(20_000)
        opened.goto(f"{label_studio.url}/user/login/")
        opened.fill("input[name=email]", EMAIL)
        opened.fill("input[name=password]", label_studio.settings.password)
        opened.click("button[type=submit]")
        opened.wait_for_url(lambda url: "/login" not in url)
        yield opened
        browser.close()


@pytest.fixture(scope="module")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any, str], None]:
    """Keeps a screenshot: in a temporary folder, and in the docs when asked to."""
    folder = tmp_path_factory.mktemp("screenshots")

    def shoot(page: Any, name: str) -> None:
        path = folder / name
        page.screenshot(path=path)
        with Image.open(path) as shot:
            shot.convert("RGB").quantize(256).save(path, optimize=True)
        assert path.stat().st_size < 300_000
        if os.environ.get("WINNOW_WRITE_DOCS") == "1":
            shutil.copyfile(path, DOCS / name)

    return shoot


def start_labelling(page: Any, opened: Opened) -> None:
    page.goto(f"{opened.url}?labeling=1")
    page.wait_for_selector(".w-page img")
    # The instructions are in front of the page until they are closed.
    heading = page.get_by_text("Labeling Instructions")
    heading.wait_for()
    page.locator("[class*=modal] button").first.click()
    heading.wait_for(state="hidden")
    ready(page)


def ready(page: Any) -> None:
    """Wait until all pictures are there."""
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('.w-page img')];"
        " return all.length > 1 && all.every(i => i.complete && i.naturalWidth > 0); }"
    )


def task_number(page: Any) -> str:
    return str(page.inner_text(".lsf-current-task__task-id").split()[0])


def is_answer(response: Any) -> bool:
    return response.request.method == "POST" and "/annotations" in response.url


def submit(page: Any, last: bool = False) -> None:
    """Press Enter and wait for the next question."""
    before = task_number(page)
    with page.expect_response(is_answer) as taken:
        page.keyboard.press("Enter")
    assert taken.value.ok, taken.value.text()
    page.wait_for_function(
        "old => !(document.querySelector('.lsf-current-task__task-id')?.innerText ?? '')"
        ".startsWith(old)",
        arg=before,
    )
    if not last:
        ready(page)


def outside(page: Any, selector: str) -> list[str]:
    """The elements that do not lie wholly between the top and the bottom bar of the window."""
    found: list[str] = page.evaluate(
        """selector => {
          const bar = document.querySelector('.lsf-bottombar').getBoundingClientRect();
          return [...document.querySelectorAll(selector)].filter(element => {
            const box = element.getBoundingClientRect();
            return !(box.width > 10 && box.height > 10 && box.left >= 0 && box.top >= 0
                     && box.right <= innerWidth && box.bottom <= bar.top);
          }).map(element => element.outerHTML.slice(0, 90));
        }""",
        selector,
    )
    return found


def assert_all_visible(page: Any, pictures: int, answers: int) -> None:
    for width, height in WINDOWS:
        page.set_viewport_size({"width": width, "height": height})
        assert page.locator(".w-page img").count() == pictures
        assert page.locator(".w-page label").count() == answers
        assert outside(page, ".w-page img, .w-page label, .w-page input[name=note]") == []
        assert page.locator(".lsf-tabs-panel:visible").count() == 0
    page.set_viewport_size({"width": WINDOWS[0][0], "height": WINDOWS[0][1]})


def test_pairs(page: Any, open_project: Any, keep: Any) -> None:
    opened = open_project(Kind.PAIRS)
    start_labelling(page, opened)
    assert_all_visible(page, pictures=4, answers=5)
    page.mouse.move(10, 700)
    keep(page, "review-pair.png")
    page.keyboard.press("d")
    submit(page)
    assert_all_visible(page, pictures=4, answers=5)
    page.keyboard.press("s")
    page.keyboard.press("2")
    submit(page)
    assert_all_visible(page, pictures=4, answers=5)
    page.fill("input[name=note]", "too few photos")
    page.click("text=Unsure")
    submit(page, last=True)
    answers = opened.answers()
    assert [answers[item.key].answer for item in PAIRS] == ["different", "same", "unsure"]
    assert answers["pair-1"].mixed == ("Leyla <Marsh>",)
    assert answers["pair-2"].note == "too few photos"


def test_photos(page: Any, open_project: Any, keep: Any) -> None:
    opened = open_project(Kind.PHOTOS)
    start_labelling(page, opened)
    assert_all_visible(page, pictures=19, answers=19)
    pictures = page.locator(".w-grid img")
    for place in (1, 3, 5):
        pictures.nth(place).click()
    pictures.nth(5).click()
    page.keyboard.press("u")
    page.mouse.move(10, 700)
    page.wait_for_timeout(300)
    keep(page, "review-photos.png")
    submit(page)
    submit(page)
    page.keyboard.press("f")
    submit(page, last=True)
    answers = opened.answers()
    first = GRIDS[0]
    assert isinstance(first, GridItem)
    marked = {first.photos[place].image_id for place in (1, 3, 15)}
    assert set(answers["grid-0"].wrong) == marked
    assert [answers[item.key].answer for item in GRIDS] == ["seen", "seen", "unsure"]
    assert answers["grid-1"].wrong == ()


def test_audit(page: Any, open_project: Any) -> None:
    opened = open_project(Kind.AUDIT)
    start_labelling(page, opened)
    assert_all_visible(page, pictures=2, answers=3)
    for key in "sdf":
        page.keyboard.press(key)
        submit(page, last=key == "f")
    answers = opened.answers()
    assert [answers[item.key].answer for item in AUDITS] == ["right", "wrong", "unsure"]


def test_the_project_lists_its_questions(page: Any, open_project: Any, keep: Any) -> None:
    opened = open_project(Kind.PAIRS)
    page.goto(opened.url)
    page.wait_for_selector("text=Ana Brightwater / Eva Brightwater")
    page.wait_for_timeout(500)
    keep(page, "review-project.png")
