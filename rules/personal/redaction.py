"""Takes the names and addresses of a student, or of everybody, out of JSON.

The form of a value stays: names become "", addresses null, reasons an empty list, so that what
reads an event or an answer still can. Who a text is about is told by the ids beside it; texts that
people or programs wrote are searched for names only where all of it belongs to one owner.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import orjson

Json: TypeAlias = Any

#: What stands for a name within a text.
ERASED: Final = "[erased]"

_NAMES: Final = frozenset(
    {
        "first_name",
        "last_name",
        "full_name",
        "legal_full_name",
        "full_legal_name",
        "student_name",
        "student_first_name",
        "student_last_name",
        # The texts of notifications: "Åsa Öberg was added to class 9A."
        "message",
        "no_match_reason",
    }
)
_NULLED: Final = frozenset({"email", "student_email", "external_id", "filename"})
_LISTS: Final = frozenset({"match_reasons"})
#: Of an essay, whoever is decided for it.
_OF_ESSAY: Final = frozenset({"filename", "match_reasons"})
#: Objects that belong to the one that they are in.
_PARTS: Final = frozenset({"person_name", "before", "after", "extraction_metadata"})
#: A name of several words, or an address.
_LONG: Final = re.compile(r"[\s@]")
_STUDENTS: Final = ("student_id", "id", "entity_id")


@dataclass(frozen=True)
class Traces:
    """By what a student is found: its id, its essays, and names in the texts of its owner."""

    student_id: str
    essays: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()

    def is_about(self, value: Mapping[str, Json]) -> bool:
        """Whether an object is about the student."""
        if self.student_id in [value.get(member) for member in _STUDENTS]:
            return True
        # An essay shows who is suggested only while nobody is decided.
        if value.get("student_id") is not None:
            return False
        return value.get("suggested_student_id") == self.student_id or self.has_essay(value)

    def has_essay(self, value: Mapping[str, Json]) -> bool:
        """Whether an object is about one of its essays."""
        essay = value.get("essay_id")
        return isinstance(essay, str) and essay in self.essays

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """What finds the names in texts, the longest first.

        Of somebody with one name only a text that is nothing else: it is a part of others' names.
        """
        if not self.names:
            return None
        found = [
            rf"(?<!\w){re.escape(name)}(?!\w)" if _LONG.search(name) else rf"\A{re.escape(name)}\Z"
            for name in self.names
        ]
        return re.compile("|".join(found), re.IGNORECASE)


def of_student(value: Json, traces: Traces) -> Json:
    """Return a JSON value without what it tells of a student."""
    if isinstance(value, dict):
        if traces.is_about(value):
            return emptied(value, lambda one: of_student(one, traces))
        essay = traces.has_essay(value)
        return {
            name: _empty(name, one) if essay and name in _OF_ESSAY else of_student(one, traces)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [of_student(one, traces) for one in value]
    if isinstance(value, str) and traces.pattern:
        return traces.pattern.sub(ERASED, value)
    return value


def emptied(value: Mapping[str, Json], go_on: Callable[[Json], Json]) -> dict[str, Json]:
    """Return an object about a student without names and addresses; `go_on` with what is in it."""
    found: dict[str, Json] = {}
    for name, one in value.items():
        if name in _NAMES | _NULLED | _LISTS:
            found[name] = _empty(name, one)
        elif name in _PARTS and isinstance(one, dict):
            found[name] = emptied(one, go_on)
        else:
            found[name] = go_on(one)
    return found


def of_everybody(value: Json, user_id: str, pseudonym: str) -> Json:
    """Return a JSON value without anybody's names, and with a pseudonym for a user."""
    if isinstance(value, dict):
        return {
            name: "" if name in {"class_designation", "class_name"} else one
            for name, one in emptied(
                value, lambda one: of_everybody(one, user_id, pseudonym)
            ).items()
        }
    if isinstance(value, list):
        return [of_everybody(one, user_id, pseudonym) for one in value]
    return pseudonym if value == user_id else value


def without_suggestions(message: Json, student_id: str) -> Json:
    """Return a message with match results in which a student is suggested for nothing.

    So nobody waits for a student who does not come back. What names the file of an essay for which
    it was suggested, and why nobody else was, goes, too.
    """
    data = message.get("data") if isinstance(message, dict) else None
    results = data.get("match_results") if isinstance(data, dict) else None
    if not isinstance(results, list) or not isinstance(data, dict):
        return message
    return {**message, "data": {**data, "match_results": [_result(r, student_id) for r in results]}}


def _result(result: Json, student_id: str) -> Json:
    suggestions = result.get("suggestions") if isinstance(result, dict) else None
    if not isinstance(suggestions, list):
        return result
    kept = [s for s in suggestions if not (isinstance(s, dict) and _is_of(s, student_id))]
    if len(kept) == len(suggestions):
        return result
    bare = {**result, "filename": None, "no_match_reason": None, "extraction_metadata": None}
    return {name: one for name, one in {**bare, "suggestions": kept}.items() if name in result}


def _is_of(suggestion: Mapping[str, Json], student_id: str) -> bool:
    return str(suggestion.get("student_id", "")).lower() == student_id


def mentions(value: Json, text: str) -> bool:
    """Whether a text is among the strings of a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return any(mentions(one, text) for one in value)
    return bool(value == text)


def about(value: Json, traces: Traces) -> Iterator[Json]:
    """Yield the objects in a JSON value that are about a student: what an export shows."""
    if isinstance(value, dict):
        if traces.is_about(value):
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from about(one, traces)


def rewritten(raw: bytes | None, rewrite: Callable[[Json], Json]) -> bytes | None:
    """Return JSON as it is after `rewrite`, None if that changes nothing.

    What is no JSON has nothing that says whose it is: all of it goes.
    """
    if not raw:
        return None
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return b"{}"
    after = rewrite(value)
    return None if after == value else orjson.dumps(after)


def read(raw: bytes | None) -> Json:
    """Return JSON as it is, and what is no JSON as text."""
    if raw is None:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode(errors="replace")


def _empty(name: str, value: Json) -> Json:
    if name in _NULLED or value is None:
        return None
    return [] if name in _LISTS else ""
