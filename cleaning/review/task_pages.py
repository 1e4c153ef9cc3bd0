"""The annotator's pages: label configurations, and the HTML that a task carries for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cleaning.review.items import PairItem, Side
from cleaning.review.sheet import sheet_columns, sheet_size
from facedata.names import have_one_name

FACE_SIDE = 190
PHOTO_SIDE = 340
"""Sides on the screen, pixels, of the closest two faces and of the photo of an audit."""

# The room of a gallery on a laptop's screen of 1366×768.
_GALLERY_WIDTH = 654
_GALLERY_HEIGHT = 216


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image on a page; ``width`` and ``height`` are those on the screen, pixels."""

    address: str
    width: int
    height: int


def face_picture(address: str, side: int) -> Picture:
    """Return the picture of a single face."""
    return Picture(address=address, width=side, height=side)


def sheet_picture(address: str, faces: int) -> Picture:
    """Return the picture of a sheet of so many faces, fitted into the room of a gallery."""
    width, height = sheet_size(faces, sheet_columns(faces))
    scale = min(_GALLERY_WIDTH / width, _GALLERY_HEIGHT / height)
    return Picture(address=address, width=round(width * scale), height=round(height * scale))


def label_config(name: str) -> str:
    """Return the label configuration in ``label_configs/<name>.xml.j2``, with its style."""
    style = files("cleaning.review").joinpath("label_configs/style.css").read_text("utf-8")
    # Trusted: a file of this package. The server takes it as it stands, XML escapes and all,
    # so it holds none of the characters that XML would escape.
    return _environment().get_template(f"{name}.xml.j2").render(style=Markup(_terse(style)))


def closest_html(item: PairItem, face_a: Picture, face_b: Picture) -> str:
    """Return the closest two faces with what was measured."""
    return _terse(_macros().closest(item, face_a, face_b))


def galleries_html(item: PairItem, sheet_a: Picture | None, sheet_b: Picture | None) -> str:
    """Return the two galleries side by side; None stands for an empty one."""
    return _terse(_macros().galleries(item.a, sheet_a, item.b, sheet_b))


def reference_html(side: Side, sheet: Picture | None, why: str = "") -> str:
    """Return the gallery of an identity, and why people are asked."""
    return _terse(_macros().reference(side, sheet, why))


def photo_html(picture: Picture) -> str:
    """Return the one photo of an audit."""
    return _terse(_macros().photo(picture))


def choice_html(address: str) -> str:
    """Return the picture of a choice."""
    return str(Markup('<img src="{}">').format(address))


def _facts(side: Side) -> str:
    photos = "1 photo" if side.photos == 1 else f"{side.photos} photos"
    return " · ".join(fact for fact in (photos, side.years, ", ".join(side.sources)) if fact)


def _terse(markup: str) -> str:
    """Return the text with its line ends and indents taken out."""
    return re.sub(r"\s*\n\s*", "", markup)


def _macros() -> Any:
    # Any: the macros of a template have no types.
    return _environment().get_template("pages.html.j2").module


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cleaning.review", "label_configs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["similarity"] = lambda value: f"{value:.2f}"
    environment.globals.update(facts_of=_facts, have_one_name=have_one_name)
    return environment
