"""By which names a student's traces are found."""

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.identity import is_reserved, may_act
from rules.personal.subjects import in_file_names, names_of, pseudonym

NOW: Final = {"first_name": "Åsa", "last_name": "von Qvist", "full_name": "Åsa Maria von Qvist"}
BEFORE: Final = {"first_name": "Åsa", "last_name": "Berg", "email": "asa.berg@skola.example"}


def test_all_names_and_addresses_are_sought_the_longest_first() -> None:
    names = names_of([{**NOW, "email": None}, BEFORE])
    assert set(names) == {
        "Åsa von Qvist",
        "von Qvist Åsa",
        "von Qvist, Åsa",
        "Åsa Maria von Qvist",
        "Åsa Berg",
        "Berg Åsa",
        "Berg, Åsa",
        "asa.berg@skola.example",
    }
    assert [*names] == sorted(names, key=lambda name: (-len(name), name))


def test_who_has_one_name_is_sought_by_it_and_nobody_by_nothing() -> None:
    assert names_of([{"first_name": "Ali", "last_name": "", "full_name": "Ali"}]) == ("Ali",)
    assert names_of([{}, {"first_name": None}]) == ()


@pytest.mark.parametrize(
    "file", ["berg_åsa.docx", "Åsa Berg v2.pdf", "ASA.BERG.txt", "2026-asa_berg-essay.odt"]
)
def test_names_of_files_are_found_as_people_write_them(file: str) -> None:
    patterns = in_file_names(names_of([BEFORE]))
    assert any(re.search(pattern, file, re.IGNORECASE) for pattern in patterns)


@pytest.mark.parametrize("file", ["berg.docx", "åsa.docx", "lisa bergman.pdf"])
def test_half_a_name_is_nobodys(file: str) -> None:
    patterns = in_file_names(names_of([BEFORE]))
    assert not any(re.search(pattern, file, re.IGNORECASE) for pattern in patterns)


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_whatever_is_in_a_name_it_is_no_expression(first: str, last: str) -> None:
    for pattern in in_file_names(names_of([{"first_name": first, "last_name": last}])):
        re.compile(pattern)


def test_nobody_acts_by_a_pseudonym() -> None:
    assert pseudonym() != pseudonym()
    assert is_reserved(pseudonym())
    assert not may_act(pseudonym())
