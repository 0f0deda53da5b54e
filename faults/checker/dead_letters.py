"""Dead letters: every unreadable record, complete, and no readable one."""

from collections.abc import Iterator, Sequence

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index, place_of
from faults.world import Message
from rules import topics

#: The headers that a dead letter adds.
ADDED = ("dlt-reason", "dlt-exception", "dlt-topic", "dlt-partition", "dlt-offset", "dlt-timestamp")


def check(index: Index) -> Iterator[Finding]:
    """Compare the consumed records with the dead letters."""
    records = {m.place: m for topic in topics.CONSUMED for m in index.world.of(topic)}
    for place, record in records.items():
        yield from _buried(index, record, index.letters.get(place, ()))
    for place in index.letters.keys() - records.keys() - index.undecodable:
        yield Finding(Kind.UNASKED, f"a dead letter of {place}, where nothing is")
    yield from _timers(index)


def _timers(index: Index) -> Iterator[Finding]:
    """Check the timers: only what others have put there is buried, and that if unreadable."""
    letters = index.world.kept(topics.dead_letter_topic(topics.TIMERS))
    for letter in letters:
        foreign = (letter.key, letter.value) in index.foreign_timers
        if not foreign and place_of(letter) not in index.undecodable:
            reason = letter.header("dlt-reason")
            yield Finding(Kind.LOST, f"a timer of the service's own was buried: {reason}")
    buried = {(letter.key, letter.value) for letter in letters}
    for content, sent in index.foreign_timers.items():
        if sent.acked and not sent.readable and content not in buried:
            what = f"a timer that cannot be read is no dead letter: {sent.value!r}"
            yield Finding(Kind.LOST, what, sent.began)


def _buried(index: Index, record: Message, letters: Sequence[Message]) -> Iterator[Finding]:
    sent = index.poison.get((record.key, record.value))
    at = sent.began if sent else index.began(record.correlation_id)
    where = "{}/{}/{}".format(*record.place)
    if sent is not None and not letters:
        yield Finding(Kind.LOST, f"{where} cannot be read, and is no dead letter", at)
    # Repeated publications are byte for byte the same, like those of every event.
    if len({(letter.value, letter.headers) for letter in letters}) > 1:
        yield Finding(Kind.DOUBLED, f"{where} is {len(letters)} dead letters", at)
    for letter in letters:
        own = tuple(h for h in letter.headers if h[0] not in ADDED)
        if (letter.key, letter.value, own) != (record.key, record.value, record.headers):
            yield Finding(Kind.ALTERED, f"{where} is not whole among the dead letters", at)
        if sent is None and not _has_reason(index, record, letter, at):
            reason = f"{letter.header('dlt-reason')} ({letter.header('dlt-exception')})"
            yield Finding(Kind.LOST, f"{where} can be read and was buried: {reason}", at)


def _has_reason(index: Index, record: Message, letter: Message, sent: float | None) -> bool:
    """Whether a readable record became a dead letter for a legitimate reason."""
    if record.topic != topics.MATCHES_SUGGESTED:
        return False
    match letter.header("dlt-reason"):
        case "class_not_found":
            class_id = str(record.data["class_id"])
            made = index.made_over_http.get(class_id)
            was_there = made is not None and sent is not None and made < sent
            return class_id in index.deleted_classes or not was_there
        case "class_deleted":
            return str(record.data["class_id"]) in index.deleted_classes
        case "batch_closed":
            batch = index.world.batches.get(str(record.data["batch_id"]))
            return batch is not None and batch.closed_at is not None
        case _:
            return False
