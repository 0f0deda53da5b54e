"""The expected result of each command, if they are executed one by one in the order of the log.

A user who creates nothing over HTTP owns only what commands created, so that a set of ids says
whether each can be executed.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from faults.checker.commands import not_repeated
from faults.checker.findings import Finding, Kind
from faults.checker.index import APPLIED, EVENT_OF, Index
from faults.workload.roster import COURSES
from faults.world import Message
from rules import topics


@dataclass
class Owned:
    """What a user owns so far."""

    classes: set[str] = field(default_factory=set)
    students: set[str] = field(default_factory=set)


def check(index: Index) -> Iterator[Finding]:
    """Compare each command's first result with the expected one."""
    by_http = {op.user for op in index.history.ops if not op.over_kafka and op.kind in EVENT_OF}
    owned: defaultdict[str, Owned] = defaultdict(Owned)
    for event_id, command in _in_order(index):
        data = command.data
        result = next(iter(not_repeated(index.results.get(event_id, ()))), None)
        # checker.commands finds missing results.
        if data.get("user_id") in by_http or result is None:
            continue
        of_user = owned[data["user_id"]]
        applied = result.data["status"] == APPLIED
        if _fits(of_user, data) not in {None, applied}:
            yield _finding(index, command, result)
        if applied:
            _take_down(of_user, data)


def _in_order(index: Index) -> Sequence[tuple[str, Message]]:
    """Return each command at its first record; those of a user are in one partition."""
    firsts = (
        (event_id, min(records, key=lambda record: record.place))
        for event_id, records in index.consumed[topics.COMMANDS].items()
    )
    return sorted(firsts, key=lambda first: first[1].place)


def _finding(index: Index, command: Message, result: Message) -> Finding:
    data = result.data
    kind = Kind.UNASKED if data["status"] == APPLIED else Kind.LOST
    what = f"{command.data['command']} {command.event_id} was {data['status']}"
    at = index.began(command.correlation_id)
    return Finding(kind, f"{what} ({data.get('error_code')})", at)


def _fits(owned: Owned, data: dict[str, Any]) -> bool | None:
    """Return whether a command must be applied; None if that depends on essays."""
    if not set(data.get("course_codes", ())) <= set(COURSES):
        return False
    match data["command"]:
        case "class.create":
            return data["class_id"] not in owned.classes
        case "class.update" | "class.delete" | "roster.register":
            return data["class_id"] in owned.classes
        case "student.create":
            joins = set(data.get("class_ids", ()))
            return data["student_id"] not in owned.students and joins <= owned.classes
        case "student.update" | "student.delete":
            return data["student_id"] in owned.students
        case _:
            return None


def _take_down(owned: Owned, data: dict[str, Any]) -> None:
    match data["command"]:
        case "class.create":
            owned.classes.add(data["class_id"])
        case "class.delete":
            owned.classes.discard(data["class_id"])
        case "roster.register":
            owned.students |= {row["student_id"] for row in data["students"]}
        case "student.create":
            owned.students.add(data["student_id"])
        case "student.delete":
            owned.students.discard(data["student_id"])
