"""A flooded outbox: every row is published, once for consumers, each key in order."""

from collections import defaultdict
from collections.abc import Iterator

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index
from faults.history import Op, Outcome
from faults.sender import FLOOD, FLOOD_TOPIC


def check(index: Index) -> Iterator[Finding]:
    """Check each flood."""
    for op in index.history.ops:
        if op.kind == FLOOD and op.outcome is Outcome.ACKED:
            yield from _flood(index, op)


def _flood(index: Index, op: Op) -> Iterator[Finding]:
    by_key: defaultdict[str, list[int]] = defaultdict(list)
    for message in index.world.events(FLOOD_TOPIC):
        if message.correlation_id == op.id:
            by_key[message.text_key].append(message.data["sequence"])
    found = sum(map(len, by_key.values()))
    if found != op.body["rows"]:
        kind = Kind.LOST if found < op.body["rows"] else Kind.DOUBLED
        yield Finding(kind, f"{found} of {op.body['rows']} rows were published", op.began)
    for key, numbers in by_key.items():
        if numbers != sorted(numbers):
            yield Finding(Kind.REORDERED, f"the rows of {key}", op.began)
