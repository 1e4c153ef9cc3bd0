"""Invented celebrity names: drawn from parts of many languages, never looked up anywhere."""

from __future__ import annotations

import re
import unicodedata

import numpy as np

_WOMEN = (
    "Amara", "Anaïs", "Beatriz", "Chiara", "Dalia", "Efua", "Eleni", "Freja", "Greta", "Hana",
    "Imani", "Ingrid", "Isla", "Jasmin", "Kaia", "Leïla", "Linh", "Lucía", "Maëlle", "Mei",
    "Nadia", "Noor", "Océane", "Odile", "Paloma", "Priya", "Rosa", "Saoirse", "Selma", "Sinéad",
    "Sofia", "Tamsin", "Thandi", "Uma", "Valentina", "Wiebke", "Xiomara", "Yara", "Yuki", "Zoë",
)  # fmt: skip
_MEN = (
    "Abel", "Adnan", "Ángel", "Bao", "Björn", "Cassius", "Ciarán", "Dario", "Dmitri", "Emeka",
    "Esteban", "Farid", "Finn", "Gael", "Hamza", "Haruto", "Idris", "Ivo", "Jonas", "Kofi",
    "László", "Leandro", "Luca", "Malik", "Mateus", "Mikael", "Nils", "Omar", "Otto", "Pavel",
    "Quentin", "Rafael", "Ravi", "Søren", "Tariq", "Théo", "Ulises", "Viktor", "Wen", "Zaid",
)  # fmt: skip
_FAMILIES = (
    "Abernathy", "Achterberg", "Adeyinka", "Almquist", "Amberley", "Bellweather", "Boateng",
    "Brightwater", "Caravello", "Castellane", "Da Montanha", "D’Avreux", "De la Luz", "Dukovan",
    "Eikenberg", "El-Haddar", "Ferrandiz", "Fjeldgaard", "Galbraithe", "Hallowell", "Ibarrola",
    "Ishikari", "Jankovar", "Kalokairi", "Kirsebær", "Lindqvarn", "Łukowiak", "Mac Giolla",
    "Marchetti-Lowe", "Moonstone", "Mwangaza", "N’Dour-Vale", "Nightingale", "Norrström",
    "O’Malley-Fox", "Okonjo", "Oyelaran", "Pemberlane", "Quiñara", "Rosenthaler", "Saint-Amour",
    "Silverlake", "Sørbye", "Tanakawa", "Thornquist", "Underhill", "Van der Wolde", "Vasquelle",
    "Whitlocke", "Xanthos", "Yılmazer", "Zafirakis", "Zhanglin",
)  # fmt: skip
# Letters that Unicode does not take apart into a base letter and an accent.
_UNACCENTED = str.maketrans("øØłŁıæÆ", "oOlLiaA")
_NOT_PEOPLE = ("Golden Heron Awards", "The Midnight Quartet", "Festival Jury", "Cast & Crew")


def invent_names(seed: int, women: list[bool]) -> list[str]:
    """Return one full name per entry of ``women``: a woman's where true, else a man's.

    Family names repeat only when there are more people than families; full names never do.
    """
    rng = np.random.default_rng((0x7A3E, seed))
    taken: set[str] = set()
    names = []
    families: list[str] = []
    for woman in women:
        families = families or [str(family) for family in rng.permutation(_FAMILIES)]
        name = _untaken(rng, _given(woman=woman), families.pop(), taken)
        taken.add(name)
        names.append(name)
    return names


def _given(*, woman: bool) -> tuple[str, ...]:
    return _WOMEN if woman else _MEN


def _untaken(rng: np.random.Generator, given: tuple[str, ...], family: str, taken: set[str]) -> str:
    free = [f"{name} {family}" for name in given if f"{name} {family}" not in taken]
    return free[int(rng.integers(len(free)))]


def sibling_name(seed: int, name: str, taken: set[str], *, woman: bool) -> str:
    """Return another given name with the family name of ``name``, not among ``taken``."""
    rng = np.random.default_rng((0x51B, seed))
    return _untaken(rng, _given(woman=woman), name.split(" ", 1)[1], {*taken, name})


def stage_name(seed: int, name: str, taken: set[str]) -> str:
    """Return a second name of the same person, not among ``taken``: another family name."""
    rng = np.random.default_rng((0x57A6E, seed))
    first = name.split(" ", 1)[0]
    used = {other.split(" ", 1)[1] for other in {*taken, name}}
    free = [family for family in _FAMILIES if family not in used] or list(_FAMILIES)
    return f"{first} {free[int(rng.integers(len(free)))]}"


def not_a_person(seed: int) -> str:
    """Return a listed name that is no person: an award, a band, a jury."""
    return _NOT_PEOPLE[seed % len(_NOT_PEOPLE)]


def slug(name: str) -> str:
    """Return the name as a folder name: lower-case ASCII letters, digits and hyphens."""
    plain = (
        unicodedata.normalize("NFKD", name.replace("’", " ").translate(_UNACCENTED))
        .encode("ascii", "ignore")
        .decode()
    )
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
