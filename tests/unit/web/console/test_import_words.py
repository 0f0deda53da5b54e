"""What rules say of a file's cells is said in the page's language, word for word what they say."""

from datetime import UTC
from pathlib import Path

import pytest

import rules.imports
from web.console.import_words import OF_LINES, SAID, words_of
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


def test_what_is_wrong_with_a_field_is_said_as_on_forms() -> None:
    assert words_of(SWEDISH, "Must be an email address.").text == "Det här är ingen e-postadress."
