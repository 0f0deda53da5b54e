"""Nothing is under way any more, and nothing that Kafka accepted is missing."""

from collections import Counter
from collections.abc import Iterator

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index
from rules import topics


def check(index: Index) -> Iterator[Finding]:
    """Check the queues, the progress of the topics, and the table."""
    world = index.world
    for name, rows in (("outbox", world.outbox), ("parked", world.parked)):
        if rows:
            yield Finding(Kind.STUCK, f"{rows} rows in {name}")
    for message in world.set_aside:
        what = f"event {message.event_id} of {message.topic} is set aside, and not published"
        yield Finding(Kind.STUCK, what, index.began(message.correlation_id))
    for (topic, partition), end in world.ends.items():
        if topic in topics.CONSUMED and world.progress.get((topic, partition), 0) < end:
            reached = world.progress.get((topic, partition), 0)
            yield Finding(Kind.STUCK, f"{topic}/{partition} is stored up to {reached} of {end}")
    yield from _broker(index)
    if world.drift is None:
        yield Finding(Kind.STUCK, "the table could not be compared with PostgreSQL")
    for name, count in (world.drift or {}).items():
        if count:
            yield Finding(Kind.STUCK, f"{count} batches are {name} in the table")


def _broker(index: Index) -> Iterator[Finding]:
    """Find records that Kafka acknowledged and lost."""
    written = (*topics.CONSUMED, topics.TIMERS)
    there = Counter((m.topic, m.key, m.value) for topic in written for m in index.world.of(topic))
    wanted = Counter((s.topic, s.key, s.value) for s in index.history.sent if s.acked)
    for (topic, _, _), missing in (wanted - there).items():
        yield Finding(Kind.LOST, f"Kafka itself has lost {missing} records of {topic}")
