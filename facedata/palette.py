"""The colours that all pages share; a page's own style follows them."""

from __future__ import annotations

from importlib.resources import files


def palette_css() -> str:
    """Colours and basics of every page Winnow writes, as CSS."""
    return files("facedata").joinpath("palette.css").read_text("utf-8")
