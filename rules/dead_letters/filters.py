"""Which dead letters the options of a command select."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from rules import topics
from rules.dead_letters.letters import NAMES, Letter, original_topic

_DURATION: Final = re.compile(r"([0-9]{1,6})(s|min|m|h|d|w)", re.ASCII)
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter options of a command; an empty one lets everything through.

    `since` is inclusive, `until` exclusive.
    """

    topics: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    key: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through."""
        return self == Filter()

    @property
    def searched(self) -> Sequence[str]:
        """The dead letter topics to search."""
        return [topic for topic in topics.DEAD_LETTER if not self.topics or topic in self.topics]

    def passes(self, letter: Letter) -> bool:
        """Return whether a letter matches every option."""
        return (
            (not self.topics or letter.address.topic in self.topics)
            and (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
            and (self.key is None or letter.key == os.fsencode(self.key))
        )


def instant(text: str, now: datetime) -> datetime:
    """Read an instant, or how long ago it was: `2h`. Raises ValueError.

    An instant without an offset is in UTC, like those that `list` prints.
    """
    try:
        if found := _DURATION.fullmatch(text.strip()):
            return now - int(found[1]) * _UNITS[found[2]]
        read = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise ValueError(
            "must be an instant like 2026-11-22T12:00:00Z, or how long ago: 30m, 2h, 7d"
        ) from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def topic_named(text: str) -> str:
    """Return the dead letter topic for a short or full name. Raises ValueError."""
    if text in NAMES:
        return NAMES[text]
    for topic in topics.DEAD_LETTER:
        if text in {topic, original_topic(topic)}:
            return topic
    raise ValueError(f"must be one of {', '.join(NAMES)}, or a topic's whole name")


def in_order(letters: Iterable[Letter]) -> list[Letter]:
    """Return letters by their time, the newest last."""
    return sorted(letters, key=lambda letter: (letter.at, letter.address))
