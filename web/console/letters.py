"""How pages ask for dead letters: filters, cursors and addresses."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import urlencode

import orjson
from multidict import MultiMapping

from rules import topics
from rules.dead_letters.filters import Filter, instant, topic_named
from rules.dead_letters.letters import Address
from rules.dead_letters.messages import Reason
from rules.dead_letters.pages import Positions
from rules.dead_letters.replays import LetterDecision
from rules.errors import ValidationFailedError
from web.console.notices import N_
from web.parameters import optional_text, single

FIELDS: Final = ("topic", "reason", "since", "until", "key", "state")
#: The state that has no letter left out.
ALL: Final = "all"

_MOST_CHARACTERS: Final = 1000
_MOST_CURSOR: Final = 16_384
_INSTANT_FAULT: Final = N_("An instant like 2026-11-22T12:00:00Z, or how long ago: 30m, 2h, 7d.")
_CHOICE_FAULT: Final = N_("Choose one of these.")

ReadT = TypeVar("ReadT")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which letters a page is asked for, as it was typed; `faults` by field, to be translated."""

    typed: Mapping[str, str]
    wanted: Filter
    faults: Mapping[str, str]

    @property
    def everything(self) -> bool:
        """Whether also those that are settled."""
        return self.typed["state"] == ALL

    def query(self, **more: str) -> str:
        """Return what asks for the same, and for more."""
        return urlencode({**{name: text for name, text in self.typed.items() if text}, **more})


def read_asked(query: MultiMapping[str]) -> Asked:
    """Read the fields of a filter. Raises ValidationFailedError for what nobody can have typed."""
    typed = {name: optional_text(query, name, _MOST_CHARACTERS) or "" for name in FIELDS}
    now = datetime.now(UTC)
    faults: dict[str, str] = {}

    def read(name: str, parse: Callable[[str], ReadT], fault: str) -> ReadT | None:
        try:
            return parse(typed[name]) if typed[name] else None
        except ValueError:
            faults[name] = fault
            return None

    topic = read("topic", topic_named, _CHOICE_FAULT)
    reason = read("reason", _known_reason, _CHOICE_FAULT)
    read("state", _known_state, _CHOICE_FAULT)
    wanted = Filter(
        topics=frozenset({topic} if topic else ()),
        reasons=frozenset({reason} if reason else ()),
        since=read("since", lambda text: instant(text, now), _INSTANT_FAULT),
        until=read("until", lambda text: instant(text, now), _INSTANT_FAULT),
        key=typed["key"] or None,
    )
    return Asked(typed, wanted, faults)


def _known_reason(text: str) -> str:
    return Reason(text).value


def _known_state(text: str) -> None:
    if text != ALL:
        raise ValueError(text)


def addresses(texts: Iterable[str], most: int) -> list[Address]:
    """Read the names of letters, each once. Raises ValidationFailedError."""
    try:
        found = list(dict.fromkeys(map(Address.parse, texts)))
    except ValueError as error:
        raise ValidationFailedError(str(error)) from None
    if len(found) > most:
        raise ValidationFailedError(f"At most {most} letters at once.")
    return found


def act_named(text: str | None) -> LetterDecision:
    """Return what is to be done. Raises ValidationFailedError."""
    for decision, name in ACTS.items():
        if text == name:
            return decision
    raise ValidationFailedError


#: How forms name the decisions.
ACTS: Final = {LetterDecision.REPLAYED: "replay", LetterDecision.DROPPED: "drop"}


# --- cursors --------------------------------------------------------------------------------------


def cursor_of(positions: Positions) -> str:
    """Return where a page begins, for an address."""
    members = [
        [topics.DEAD_LETTER.index(topic), partition, offset]
        for (topic, partition), offset in sorted(positions.items())
    ]
    return base64.urlsafe_b64encode(orjson.dumps(members)).decode().rstrip("=")


def read_cursor(query: MultiMapping[str]) -> Positions | None:
    """Return where to begin, None for the newest. Raises ValidationFailedError."""
    text = single(query, "before")
    if not text:
        return None
    try:
        padded = text[:_MOST_CURSOR] + "=" * (-len(text) % 4)
        members = orjson.loads(base64.b64decode(padded, b"-_", validate=True))
        return {
            (topics.DEAD_LETTER[_whole(topic)], _whole(partition)): _whole(offset)
            for topic, partition, offset in members
        }
    except (ValueError, TypeError, IndexError):
        raise ValidationFailedError from None


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(value)
    return value
