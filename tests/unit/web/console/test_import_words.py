"""What rules say of a file's cells is said in the page's language, word for word what they say."""

from datetime import UTC
from pathlib import Path

import pytest

import rules.imports
from rules.imports.files import FileRefusedError, Format
from rules.imports.naming import UNKNOWN_COURSE
from rules.imports.reading import read
from web.console.import_words import INSTEAD, OF_LINES, SAID, words_of
from web.console.languages import Speech

SWEDISH = Speech("sv", UTC)
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for path in Path(str(rules.imports.__path__[0])).glob("*.py")
)


@pytest.mark.parametrize("detail", [*SAID, *OF_LINES])
def test_rules_say_it_so(detail: str) -> None:
    assert f'"{detail.replace("%(line)s", "{}")}"' in SOURCES


@pytest.mark.parametrize("detail", [*SAID, OF_LINES[0].replace("%(line)s", "1,234")])
def test_it_is_said_in_swedish(detail: str) -> None:
    words = words_of(SWEDISH, detail)
    assert words.language == "sv"
    assert words.text != detail


@pytest.mark.parametrize(
    "detail", ["Nobody says so.", "Line 7 is odd.", "Line %(line)s", "%(x)s", "100 %"]
)
def test_what_nobody_has_translated_is_shown_as_it_is(detail: str) -> None:
    words = words_of(SWEDISH, detail)
    assert (words.text, words.language) == (detail, "en")


def test_a_line_keeps_its_number() -> None:
    assert "1,234" in words_of(SWEDISH, OF_LINES[1].replace("%(line)s", "1,234")).text


@pytest.mark.parametrize("heading", ["Anna,Berg", "first name", "last name,class", "class,course"])
def test_what_a_heading_lacks_is_said_in_swedish(heading: str) -> None:
    with pytest.raises(FileRefusedError) as refused:
        read(f"{heading}\nx,y\n".encode(), Format.CSV, charset=None, for_class=True)
    words = words_of(SWEDISH, refused.value.detail)
    assert words.language == "sv"
    assert "kolumn" in words.text.split(".")[0]
    assert "kolumner som är kända" in words.text


@pytest.mark.parametrize("detail", INSTEAD)
def test_what_is_said_to_programs_is_said_otherwise_to_people(detail: str) -> None:
    assert detail == UNKNOWN_COURSE or f'"{detail}"' in SOURCES
    told = [words_of(speech, detail).text for speech in (SWEDISH, Speech("en", UTC))]
    assert len({detail, *told}) == 1 + len(told)


def test_what_is_wrong_with_a_field_is_said_as_on_forms() -> None:
    assert words_of(SWEDISH, "Must be an email address.").text == "Det här är ingen e-postadress."
