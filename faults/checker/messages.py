"""Each event id has one content, and the events of one key are in the right order."""

from collections import defaultdict
from collections.abc import Iterator

from faults.checker.findings import Finding, Kind
from faults.checker.index import CHANGES, Index
from faults.history import Op
from faults.world import Message
from rules import topics


def check(index: Index) -> Iterator[Finding]:
    """Check everything that was published."""
    yield from _one_content(index)
    for topic in CHANGES:
        by_key: defaultdict[str, list[Message]] = defaultdict(list)
        for message in index.world.events(topic):
            by_key[message.text_key].append(message)
        for messages in by_key.values():
            yield from _order(index, messages)


def _one_content(index: Index) -> Iterator[Finding]:
    seen: dict[str, Message] = {}
    for topic in (*topics.PUBLISHED, topics.TIMERS):
        for message in index.world.of(topic):
            if message.header("event_id") is None:
                continue  # not an event of the service
            first = seen.setdefault(message.event_id, message)
            if (first.topic, first.partition, first.key, first.value, first.headers) != (
                message.topic,
                message.partition,
                message.key,
                message.value,
                message.headers,
            ):
                what = f"event {message.event_id} of {topic} comes with two contents"
                yield Finding(Kind.ALTERED, what, index.began(message.correlation_id))


def _order(index: Index, messages: list[Message]) -> Iterator[Finding]:
    """Compare the events of one key with the order of the requests."""
    ops = [index.ops[m.correlation_id] for m in messages if m.correlation_id in index.ops]
    latest_begin: Op | None = None
    for op in ops:
        if latest_begin is not None and ended_before(index, op, latest_begin):
            what = f"{op.kind} {op.id} of {op.target} is told after {latest_begin.id}"
            yield Finding(Kind.REORDERED, what, op.began)
        if latest_begin is None or op.began > latest_begin.began:
            latest_begin = op


def ended_before(index: Index, one: Op, other: Op) -> bool:
    """Return whether one operation was done before the other was requested.

    Commands are done in the order of their partition. Other operations without a known
    end may be done at any time.
    """
    if one.over_kafka and other.over_kafka:
        return _before_in_log(index, one, other)
    return one.ended is not None and one.ended < other.began


def _before_in_log(index: Index, one: Op, other: Op) -> bool:
    places = index.command_places
    first, second = places.get(one.id), places.get(other.id)
    return first is not None and second is not None and first[0] == second[0] and first < second
