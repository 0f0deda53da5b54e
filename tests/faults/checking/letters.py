"""Dead letters: every record that cannot be read, whole, and no record that can."""

from collections.abc import Iterator, Sequence

from rules import topics
from tests.faults.checking.findings import Finding, Kind
from tests.faults.checking.index import Index
from tests.faults.world import Message

#: What a dead letter adds to its message's headers.
ADDED = ("dlt-reason", "dlt-exception", "dlt-topic", "dlt-partition", "dlt-offset", "dlt-timestamp")
#: What becomes of messages that can be read, in the course of things.
BUSINESS = frozenset({"class_not_found", "batch_closed", "batch_of_another_class"})


def check(index: Index) -> Iterator[Finding]:
    """Compare what was consumed with what was buried."""
    records = {m.place: m for topic in topics.CONSUMED for m in index.world.of(topic)}
    for place, record in records.items():
        yield from _buried(index, record, index.letters.get(place, ()))
    for place in index.letters.keys() - records.keys():
        yield Finding(Kind.UNASKED, f"a dead letter of {place}, where nothing is")


def _buried(index: Index, record: Message, letters: Sequence[Message]) -> Iterator[Finding]:
    sent = index.poison.get((record.key, record.value))
    at = sent.began if sent else index.began(record.correlation_id)
    where = "{}/{}/{}".format(*record.place)
    if sent is not None and not letters:
        yield Finding(Kind.LOST, f"{where} cannot be read, and is no dead letter", at)
    # Published twice they are byte for byte the same, as every event is.
    if len({(letter.value, letter.headers) for letter in letters}) > 1:
        yield Finding(Kind.DOUBLED, f"{where} is {len(letters)} dead letters", at)
    for letter in letters:
        own = tuple(h for h in letter.headers if h[0] not in ADDED)
        if (letter.key, letter.value, own) != (record.key, record.value, record.headers):
            yield Finding(Kind.ALTERED, f"{where} is not whole among the dead letters", at)
        if sent is None and letter.header("dlt-reason") not in BUSINESS:
            reason = f"{letter.header('dlt-reason')} ({letter.header('dlt-exception')})"
            yield Finding(Kind.LOST, f"{where} can be read and was buried: {reason}", at)
