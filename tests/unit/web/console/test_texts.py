"""Every text of the console is in each language, once, and none that nobody shows."""

import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from tests.support.texts import Text, texts
from web.console.languages import LANGUAGES, LOCALES, SOURCE, Speech

TRANSLATED: Final = [one for one in LANGUAGES if one != SOURCE]
_ROOM: Final = re.compile(r"%\(\w+\)s|%%")


def messages(language: str) -> list[tuple[Path, Message]]:
    """Return what the catalogues of a language have."""
    found = []
    for path in sorted((LOCALES / language).glob("*.po")):
        with path.open("rb") as file:
            catalog = read_po(file, locale=language, abort_invalid=True)
        assert not catalog.obsolete, path
        found += [(path, message) for message in catalog if message.id]
    return found


def written(message: Message) -> list[str]:
    """Return the texts of a message in the language."""
    string = message.string
    return [string] if isinstance(string, str) else list(string or ())


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_shown_is_what_is_translated(language: str) -> None:
    known = {_text(message) for _, message in messages(language)}
    shown = texts()
    assert len(shown) > 1
    assert {"missing": shown - known, "unused": known - shown} == {
        "missing": set(),
        "unused": set(),
    }


def _text(message: Message) -> Text:
    return tuple(message.id) if message.pluralizable else message.id  # type: ignore[return-value]  # of two


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_text_is_translated_once(language: str) -> None:
    """Catalogues are merged: of two translations one would be lost."""
    places = Counter(str(message.id) for _, message in messages(language))
    assert [text for text, count in places.items() if count > 1] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_is_whole(language: str) -> None:
    for path, message in messages(language):
        assert (message.fuzzy, all(written(message))) == (False, True), (path.name, message.id)
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        rooms = [set(_ROOM.findall(one)) for one in ids]
        for text in written(message):
            # "One essay" needs no number.
            assert set(_ROOM.findall(text)) in (rooms if message.pluralizable else rooms[:1])
            assert text.strip() == text, message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_has_two_forms_is_shown_in_the_right_one(language: str) -> None:
    ui = Speech(language, None)  # type: ignore[arg-type]  # no time is told
    one, many = [ui.plural("%(num)s essay waits", "%(num)s essays wait", n) for n in (1, 2)]
    expected = ("1 uppsats väntar", "2 uppsatser väntar")
    assert (one, many) == (expected if language == "sv" else ("1 essay waits", "2 essays wait"))
