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
    students: dict[str, str] = field(default_factory=dict)
    """By id, each student's first name."""

    def takes(self, row: dict[str, Any]) -> bool:
        """Whether a student can be made, or is there under the same name and joins a class."""
        name = self.students.get(row["student_id"])
        return name is None or name == row["person_name"]["first_name"]


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
    return _of_student(owned, data) if "student_id" in data else _of_class(owned, data)


def _of_class(owned: Owned, data: dict[str, Any]) -> bool | None:
    match data["command"]:
        case "class.create":
            return data["class_id"] not in owned.classes
        case "class.update" | "class.delete":
            return data["class_id"] in owned.classes
        case "roster.register":
            return data["class_id"] in owned.classes and all(map(owned.takes, data["students"]))
        case _:
            return None


def _of_student(owned: Owned, data: dict[str, Any]) -> bool | None:
    match data["command"]:
        case "student.create":
            return owned.takes(data) and set(data.get("class_ids", ())) <= owned.classes
        case "student.update":
            moves = {*data.get("add_class_ids", ()), *data.get("remove_class_ids", ())}
            return data["student_id"] in owned.students and moves <= owned.classes
        case "student.delete":
            return data["student_id"] in owned.students
        case "student.merge":
            both = {data["student_id"], data["into"]}
            return len(both) == 2 and both <= owned.students.keys()
        case _:
            return None


def _take_down(owned: Owned, data: dict[str, Any]) -> None:
    match data["command"]:
        case "class.create":
            owned.classes.add(data["class_id"])
        case "class.delete":
            owned.classes.discard(data["class_id"])
        case "roster.register":
            owned.students |= {r["student_id"]: _first_name(r) for r in data["students"]}
        case "student.create":
            owned.students[data["student_id"]] = _first_name(data)
        case "student.update" if "person_name" in data:
            owned.students[data["student_id"]] = _first_name(data)
        case "student.delete" | "student.merge":
            owned.students.pop(data["student_id"], None)


def _first_name(row: dict[str, Any]) -> str:
    return str(row["person_name"]["first_name"])
