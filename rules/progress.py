"""How far the partitions of a topic have been read, and where offsets are missing.

Progress means: everything below a partition's `next_offset` is stored, parked or dead-lettered. It
is written in the transaction that makes it true, and says nothing about higher offsets. What was
stored stays stored, so progress once written stays true: too low a value costs a second look at
messages that the inbox knows, never a message.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rules.models import Record


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a consumer group has read a partition."""

    group: str
    topic: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets that were not delivered: from `begin` to before `end`.

    They need not have held messages: the log leaves gaps, too, and retention takes its beginning.
    """

    partition: int
    begin: int
    end: int


#: The next step: handle these records, or read a hole before the rest is handled.
Piece: TypeAlias = Hole | Sequence[Record]


def starting_point(stored: int | None, delivery_begins: int | None) -> int:
    """Return the offset from which a partition must be accounted for.

    `stored` is the progress, `delivery_begins` where the stream began to read after the partition
    was assigned; None is unknown. The lower one counts: the stream may begin above the progress,
    with a hole between them, and the topic may have been recreated since the progress was stored.
    """
    known = [offset for offset in (stored, delivery_begins) if offset is not None]
    return min(known, default=0)


def pieces(records: Iterable[Record], reached: Mapping[int, int]) -> Iterator[Piece]:
    """Return the records of a topic in their order, split at holes.

    Offsets that reading the log has shown to be empty are no holes.

    `reached` has the offset up to which each partition is accounted for. Lower records are passed
    on as well: the inbox knows them, unless the topic was recreated.
    """
    now = dict(reached)
    together: list[Record] = []
    for record in records:
        expected = now[record.partition]
        if record.begin > expected:
            if together:
                yield together
                together = []
            yield Hole(record.partition, expected, record.begin)
        together.append(record)
        now[record.partition] = max(expected, record.offset + 1)
    if together:
        yield together


def advanced(records: Iterable[Record], reached: Mapping[int, int]) -> dict[int, int]:
    """Return up to which offsets partitions are accounted for once these records are handled."""
    after: dict[int, int] = {}
    for record in records:
        before = after.get(record.partition, reached[record.partition])
        after[record.partition] = max(before, record.offset + 1)
    return after
