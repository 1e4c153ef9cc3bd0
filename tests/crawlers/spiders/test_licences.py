from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.spiders.licences import is_allowed, known_licence, licence_name, unknown_entries

SPELLINGS = {
    "cc-by-sa-4.0": [
        "cc-by-sa-4.0",
        "CC BY-SA 4.0",
        "CC-BY-SA-4.0",
        "cc_by_sa_4.0",
        "by-sa 4.0",
        "https://creativecommons.org/licenses/by-sa/4.0",
        "creativecommons.org/licenses/by-sa/4.0/deed.en",
        "//creativecommons.org/licenses/by-sa/4.0/legalcode.txt",
        "http://www.creativecommons.org/licenses/by-sa/4.0/",
        "Creative Commons Attribution-Share Alike 4.0 International",
        "Attribution-ShareAlike 4.0 International (CC BY-SA 4.0)",
    ],
    "cc-by-sa-3.0": ["CC-BY-SA-3.0-migrated", "CC BY-SA 3.0 unported"],
    "cc-by-sa-3.0-de": ["cc-by-sa-3.0-de", "https://creativecommons.org/licenses/by-sa/3.0/de/"],
    "cc-by-3.0-igo": ["CC BY 3.0 IGO", "https://creativecommons.org/licenses/by/3.0/igo/"],
    "cc-by-nc-nd-2.0": [
        "CC BY-NC-ND 2.0",
        "Attribution-NonCommercial-NoDerivs 2.0 Generic",
        "https://creativecommons.org/licenses/by-nc-nd/2.0/",
        "CC BY-ND-NC 2.0",
    ],
    "cc-by-2.0": ["CC BY 2.0", "cc-by 2", "CC-BY v2.0"],
    "cc-by": ["CC BY", "Attribution License"],
    "cc0": [
        "CC0",
        "CC0 1.0",
        "cc-zero",
        "Creative Commons Zero, Public Domain Dedication",
        "http://creativecommons.org/publicdomain/zero/1.0/deed.en",
    ],
    "public-domain": [
        "Public domain",
        "PD",
        "PD-old-100",
        "pd-us",
        "CC PDM 1.0",
        "Public Domain Mark 1.0",
        "https://creativecommons.org/publicdomain/mark/1.0/",
        "https://opendatacommons.org/licenses/pddl/1-0/",
    ],
    "gfdl": ["GFDL", "GNU Free Documentation License"],
    "gfdl-1.2": [
        "GFDL 1.2",
        "GNU Free Documentation License, Version 1.2",
        "https://www.gnu.org/licenses/old-licenses/fdl-1.2.html",
    ],
    "odbl": ["ODbL"],
    "odbl-1.0": ["ODbL 1.0", "https://opendatacommons.org/licenses/odbl/1-0/"],
    "ogl-3.0": ["OGL 3", "Open Government Licence v3.0"],
    "fair-use": ["Fair use", "fair_use"],
    "non-free": ["Non-free logo"],
    "all-rights-reserved": ["All rights reserved", "© 2020 Jo. All Rights Reserved."],
    "rs-inc": ["http://rightsstatements.org/vocab/InC/1.0/"],
    "rs-inc-edu": ["https://rightsstatements.org/page/InC-EDU/1.0/?language=en", "rs-inc-edu"],
    "rs-nkc": ["No known copyright restrictions"],
    "copyrighted-free-use": ["Copyrighted free use"],
    "fal": ["FAL", "Free Art License", "http://artlibre.org/licence/lal/en/"],
}


@pytest.mark.parametrize(
    ("text", "name"), [(text, name) for name, texts in SPELLINGS.items() for text in texts]
)
def test_spellings_have_one_name(text: str, name: str) -> None:
    assert known_licence(text) == name


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_name_names_itself(name: str) -> None:
    assert known_licence(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CC",
        "Attribution",
        "Unsplash License",
        "This image is not in the public domain",
        "CC BY 4.0 except for the logo",
        "CC BY 4.0 (non-commercial)",
        "CC BY 2.0 or CC BY-SA 2.0",
        "https://example.org/licenses/by/4.0/",
        "https://creativecommons.org.example.net/licenses/by/4.0/",
        "https://jo@creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org/",
        "https://opendatacommons.org/",
        "http://[x",
        "pdf",
        "accc by design",
        "by Jo",
        "cc-bye",
    ],
)
def test_what_is_no_licence_is_not_taken_for_one(text: str) -> None:
    assert known_licence(text) is None


def test_rights_reserved_weigh_more_than_what_stands_beside() -> None:
    assert known_licence("CC BY 4.0 for text, all rights reserved for photos") == (
        "all-rights-reserved"
    )


def test_the_first_text_that_is_understood_counts_else_the_first_words() -> None:
    assert licence_name(None, "see below", "https://creativecommons.org/licenses/by/4.0/") == (
        "cc-by-4.0"
    )
    assert licence_name(" House \n licence ", "see below") == "House licence"
    assert licence_name(None, "", "  ") is None
    assert licence_name("x" * 300) == "x" * 200


@pytest.mark.parametrize(
    ("licence", "entry", "allowed"),
    [
        ("cc-by-4.0", "cc-by", True),
        ("cc-by-3.0-de", "cc-by", True),
        ("cc-by", "cc-by", True),
        ("cc-by", "cc-by-4.0", False),
        ("cc-by-sa-4.0", "cc-by", False),
        ("cc-by-nc-4.0", "cc-by", False),
        ("cc-by-4.0", "cc-by-4.0", True),
        ("cc-by-3.0", "cc-by-4.0", False),
        ("cc-by-3.0-de", "cc-by-3.0", True),
        ("cc-by-3.0", "cc-by-3.0-de", False),
        ("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/", True),
        ("gfdl-1.2", "GFDL", True),
        ("cc0", "public-domain", True),
        ("public-domain", "cc0", False),
        ("House Licence", "house  licence", True),
        ("House Licence 2", "house licence", False),
        ("rs-inc-edu", "rs-inc", False),
        (None, "cc0", False),
        ("", "cc0", False),
    ],
)
def test_an_entry_stands_for_its_versions(licence: str | None, entry: str, allowed: bool) -> None:
    assert is_allowed(licence, [entry]) is allowed
    assert is_allowed(licence, ["fal", entry]) is allowed


@pytest.mark.parametrize("licence", [None, "cc0", "all-rights-reserved"])
def test_without_a_list_everything_is_allowed(licence: str | None) -> None:
    assert is_allowed(licence, [])


def test_entries_that_may_be_misspelt_are_told() -> None:
    assert unknown_entries(["cc-by", "CC0", "cc-bye", "House licence"]) == [
        "cc-bye",
        "House licence",
    ]


@settings(deadline=None)
@given(st.text())
def test_a_name_is_a_name_again_whatever_was_said(text: str) -> None:
    name = licence_name(text)
    assert licence_name(name) == name
    assert name is None or is_allowed(text, [name])
