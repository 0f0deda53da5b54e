"""How far the partitions of a topic have been read, and where something is missing.

Progress says: whatever a partition holds below `next_offset` is stored, parked or among the dead
letters. It is written in the transaction that makes it true, and says nothing of what lies above.
What was once stored stays stored, so that any progress ever written stays true: a lower one than
could be written costs a second look at messages that the inbox knows, and never a message.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rules.models import Record


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a consumer group has come in a partition."""

    group: str
    topic: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets that were not delivered: from `begin` to before `end`.

    There need not be a message at any of them: compaction, retention and the marks of transactions
    leave such gaps, too.
    """

    partition: int
    begin: int
    end: int


#: What is to be done next: take these records, or read a hole before the rest is taken.
Piece: TypeAlias = Hole | Sequence[Record]


def starting_point(stored: int | None, delivery_begins: int | None) -> int:
    """Return from where on a partition is to be accounted for.

    `stored` is the progress, `delivery_begins` where the stream began to read after the partition
    was assigned; None is unknown. Whichever is lower: the stream may begin above the progress, with
    a hole between them, and the progress may be that of a topic that has since been recreated.
    """
    known = [offset for offset in (stored, delivery_begins) if offset is not None]
    return min(known, default=0)


def pieces(records: Iterable[Record], reached: Mapping[int, int]) -> Iterator[Piece]:
    """Return the records of a topic in their order, parted where a hole comes before one.

    `reached` has for each of their partitions up to where it is accounted for. What lies below is
    handed on as well: the inbox knows it, unless the topic was recreated.
    """
    now = dict(reached)
    together: list[Record] = []
    for record in records:
        expected = now[record.partition]
        if record.offset > expected:
            if together:
                yield together
                together = []
            yield Hole(record.partition, expected, record.offset)
        together.append(record)
        now[record.partition] = max(expected, record.offset + 1)
    if together:
        yield together


def advanced(records: Iterable[Record], reached: Mapping[int, int]) -> dict[int, int]:
    """Return up to where the partitions of these records are accounted for once they are taken."""
    after: dict[int, int] = {}
    for record in records:
        before = after.get(record.partition, reached[record.partition])
        after[record.partition] = max(before, record.offset + 1)
    return after
