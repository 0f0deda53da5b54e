"""The inbox has the handled messages, the dead letters, and nothing else."""

from collections.abc import Iterator

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index, identity
from faults.world import Message
from rules import topics


def check(index: Index) -> Iterator[Finding]:
    """Compare the inbox with the records of the consumed topics."""
    for topic in topics.CONSUMED:
        for record in index.world.of(topic):
            yield from _record(index, record)
    strange = index.world.inbox.keys() - _explained(index)
    # What was damaged is known by an identity that nobody can tell from its content any more.
    if len(strange) > len(index.undecodable):
        for entry in strange:
            yield Finding(Kind.UNASKED, f"{entry} is in the inbox, and in no topic")


def _record(index: Index, record: Message) -> Iterator[Finding]:
    where = "{}/{}/{}".format(*record.place)
    began = index.began(record.correlation_id)
    if index.letters.get(record.place):
        if identity(record) not in index.world.inbox:
            yield Finding(Kind.LOST, f"{where} is buried, and unknown to the inbox", began)
        return
    # A repetition that arrived while its first record was parked shares its dead letter.
    same = index.consumed[record.topic].get(record.event_id, ())
    if record.event_id not in index.world.inbox and not any(
        index.letters.get(other.place) for other in same
    ):
        yield Finding(Kind.LOST, f"{where} is not in the inbox", began)


def _explained(index: Index) -> set[str]:
    """Return what may be in the inbox; a repeated command also has an entry for its record."""
    consumed = [m for topic in topics.CONSUMED for m in index.world.of(topic)]
    own = [m for topic in _others() for m in index.world.of(topic)]
    return {m.event_id for m in consumed} | {identity(m) for m in (*consumed, *own)}


def _others() -> tuple[str, ...]:
    """Return the service's own topics whose unreadable records become dead letters."""
    return (topics.TIMERS,)
