"""docs/rosters.md names headings that are known."""

import re
from pathlib import Path

import pytest

from rules.imports.files import Format
from rules.imports.headings import Column
from rules.imports.reading import read

_PAGE = Path(__file__).parents[4] / "docs" / "rosters.md"
_ROWS = re.findall(r"^\| ([a-z ]+) \| (.+) \|$", _PAGE.read_text(), re.MULTILINE)
_NAMED = {column: words.split(", ") for column, words in _ROWS if column != "column"}


def test_each_column_is_on_the_page() -> None:
    assert _NAMED.keys() == {*Column}


@pytest.mark.parametrize(
    ("column", "heading"), [(column, word) for column in _NAMED for word in _NAMED[column]]
)
def test_a_heading_of_the_page_is_known(column: str, heading: str) -> None:
    values = {
        Column.CLASS: "9A",
        Column.CLASS_ID: "k-1",
        Column.COURSE: "SV1",
        Column.FIRST: "Anna",
        Column.LAST: "Berg",
        Column.FULL: "Anna Berg",
        Column.EMAIL: "a@x.example",
        Column.EXTERNAL_ID: "7",
    }
    headings = [heading if one == column else one for one in Column]
    body = f"{','.join(headings)}\n{','.join(values[one] for one in Column)}\n".encode()
    contents = read(body, Format.CSV, charset=None, for_class=False)
    [row], [its_class] = contents.rows, contents.classes
    assert contents.ignored == () or heading in contents.ignored
    assert not row.errors
    assert (its_class.name, its_class.external_id, its_class.course_code) == ("9A", "k-1", "SV1")
