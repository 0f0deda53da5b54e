"""Commands: each record has one result, and one result of a command reports its effect."""

from collections import Counter
from collections.abc import Iterator, Sequence

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index, identity
from faults.world import Message
from rules import topics

DUPLICATE = "duplicate"
_CREATE = {"student.create", "roster.register"}


def check(index: Index) -> Iterator[Finding]:
    """Compare the commands in Kafka with their results."""
    commands = index.consumed[topics.COMMANDS]
    students = {event_id: _students(records[0]) for event_id, records in commands.items()}
    named = Counter(student for ids in students.values() for student in ids)
    for event_id, records in commands.items():
        may_be_there = any(named[student] > 1 for student in students[event_id])
        yield from _results(index, event_id, records, may_be_there=may_be_there)
    for event_id in index.results.keys() - commands.keys():
        yield Finding(Kind.UNASKED, f"a result of {event_id}, which is no command")


def not_repeated(results: Sequence[Message]) -> Sequence[Message]:
    """Return the results that report an effect or a refusal."""
    return [m for m in results if m.data.get("status") != DUPLICATE]


def _students(record: Message) -> set[str]:
    """Return the students that a command creates, or lets join, by the ids that it gives."""
    data = record.data
    rows = data.get("students", [data]) if data.get("command") in _CREATE else []
    return {row["student_id"] for row in rows if isinstance(row, dict) and row.get("student_id")}


def _results(
    index: Index, event_id: str, records: Sequence[Message], *, may_be_there: bool
) -> Iterator[Finding]:
    """`may_be_there`: another command has the same student, so that this one may be no news."""
    began = index.began(records[0].correlation_id)
    results = index.results.get(event_id, ())
    firsts = not_repeated(results)
    what = f"command {event_id}: {len(records)} records, {len(results)} results"
    if len(results) < len(records):
        yield Finding(Kind.LOST, what, began)
    if len(results) > len(records):
        yield Finding(Kind.DOUBLED, what, began)
    elif len(firsts) != 1 and results and not (may_be_there and not firsts):
        kind = Kind.DOUBLED if len(firsts) > 1 or records else Kind.LOST
        yield Finding(kind, f"{what}, {len(firsts)} of them no repetitions", began)
    if event_id in index.world.inbox:
        delivery = index.world.inbox[event_id]
        if delivery not in {identity(record) for record in records}:
            yield Finding(Kind.ALTERED, f"command {event_id}: entered with {delivery}", began)
