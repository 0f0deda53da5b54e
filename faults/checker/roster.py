"""Classes and students: acknowledged changes exist, each with one event."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faults.checker.findings import Finding, Kind
from faults.checker.index import CHANGES, EVENT_OF, Index, grouped
from faults.history import Op, Outcome
from faults.world import ClassRow, Message, StudentRow
from rules import topics


def check(index: Index) -> Iterator[Finding]:
    """Compare the requests with the events, and the events with the rows."""
    for op in index.history.ops:
        if op.kind in EVENT_OF:
            yield from _events_of(index, op)
            yield from _refusal(index, op)
            yield from _joined(index, op)
    for topic in CHANGES:
        for event in index.world.events(topic):
            if index.began(event.correlation_id) is None:
                yield Finding(Kind.UNASKED, f"{topic} of {event.text_key}: nobody asked for it")
    for story in _classes(index):
        yield from _story(index, story, index.deleted_classes)
    for story in _students(index):
        yield from _story(index, story, index.deleted_students)
        yield from _membership(index, story)


# --- the requests, and the events ---------------------------------------------------------------


def _events_of(index: Index, op: Op) -> Iterator[Finding]:
    topic = EVENT_OF[op.kind]
    events = index.changes[topic].get(op.id, ())
    least, most = _expected(index, op)
    what = f"{op.kind} {op.id} of {op.target} ({op.outcome}): {len(events)} events"
    if len(events) > most:
        kind = Kind.DOUBLED if most else Kind.UNASKED
        yield Finding(kind, f"{what}, at most {most} wanted", op.began)
    elif len(events) < least or (len(events) < most and events and op.kind == "roster.register"):
        yield Finding(Kind.LOST, f"{what}, at least {least} wanted", op.began)
    for event in events:
        if not _tells(event, op):
            yield Finding(Kind.ALTERED, f"{what}: it tells something else", op.began)


def _expected(index: Index, op: Op) -> tuple[int, int]:
    """Return the least and the greatest allowed number of events."""
    most = len(op.body["students"]) if "students" in op.body else 1
    # Joining a class again changes nothing, nor does leaving it again.
    asked = op.body.keys() - {"student_id"}  # whom a command is about
    is_move = asked and asked <= {"add_class_ids", "remove_class_ids"}
    surely = 0 if is_move or op.kind in {"student.join", "roster.join"} else most
    return (surely, most) if index.was_done(op) else (0, 0)


def _tells(event: Message, op: Op) -> bool:
    """Whether an event matches the request, its user and its target."""
    data = event.data
    if op.user not in (
        data.get("user_id"),
        data.get("created_by_user_id"),
        data.get("updated_by_user_id"),
        data.get("deleted_by_user_id"),
    ):
        return False
    if "name" in op.body and data.get("class_designation") != op.body["name"]:
        return False
    if "person_name" in op.body and data["first_name"] != op.body["person_name"]["first_name"]:
        return False
    if "students" in op.body:
        return event.text_key in {row["student_id"] for row in op.body["students"]}
    return op.target is None or event.text_key == op.target


def _joined(index: Index, op: Op) -> Iterator[Finding]:
    """Check that a student is in the classes that it joined, unless it has left them."""
    if op.target is None or op.target not in index.world.students or not index.was_done(op):
        return
    joins = {*op.body.get("class_ids", ()), *op.body.get("add_class_ids", ())}
    joins = {c for c in joins if (op.target, c) not in index.left}
    joins &= index.world.classes.keys()
    if missing := joins - {class_id for class_id, _ in index.memberships.get(op.target, ())}:
        what = f"{op.kind} {op.id}: {op.target} is not in {len(missing)} of its classes"
        yield Finding(Kind.LOST, what, op.began)


def _refusal(index: Index, op: Op) -> Iterator[Finding]:
    """Find refusals without a reason; those of commands are compared with a model."""
    if op.outcome is not Outcome.REFUSED or op.status is None:
        return
    members = ("class_ids", "add_class_ids", "remove_class_ids")
    named = {op.target, op.body.get("into"), *(c for m in members for c in op.body.get(m, ()))}
    deleted = index.deleted_classes | index.deleted_students
    if not (op.status == 404 and named & deleted):
        what = f"{op.kind} {op.id} of {op.target} was refused with {op.status}: {op.answer}"
        yield Finding(Kind.LOST if op.status == 404 else Kind.BROKEN, what, op.began)


# --- the events, and the rows ------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """A class or a student: its row, if there is one, and its events in order."""

    id: str
    row: ClassRow | StudentRow | None
    created: Sequence[Message]
    updated: Sequence[Message]
    deleted: Sequence[Message]


def _classes(index: Index) -> Iterator[Story]:
    topic = (topics.CLASS_CREATED, topics.CLASS_UPDATED, topics.CLASS_DELETED)
    yield from _stories(index, index.world.classes, topic)


def _students(index: Index) -> Iterator[Story]:
    topic = (topics.STUDENT_CREATED, topics.STUDENT_UPDATED, topics.STUDENT_DELETED)
    yield from _stories(index, index.world.students, topic)


def _stories(
    index: Index, rows: Mapping[str, Any], of_topics: tuple[str, str, str]
) -> Iterator[Story]:
    created, updated, deleted = (
        grouped((m.text_key, m) for m in index.world.events(topic)) for topic in of_topics
    )
    for one in {*rows, *created, *updated, *deleted}:
        yield Story(
            one, rows.get(one), created.get(one, ()), updated.get(one, ()), deleted.get(one, ())
        )


def _story(index: Index, story: Story, asked_to_go: set[str]) -> Iterator[Finding]:
    began = next((index.began(m.correlation_id) for m in story.created), None)
    if not story.created:
        yield Finding(Kind.LOST, f"{story.id} has no event of its making")
    if len(story.created) > 1:
        yield Finding(Kind.DOUBLED, f"{story.id} was made {len(story.created)} times", began)
    if len(story.deleted) > 1:
        yield Finding(Kind.DOUBLED, f"{story.id} was deleted {len(story.deleted)} times", began)
    if story.row is None:
        if not story.deleted:
            kind = Kind.LOST if story.id in asked_to_go else _without_row(index, story)
            yield Finding(kind, f"{story.id} has events, no row, and no deletion", began)
        return
    if story.deleted:
        yield Finding(Kind.UNASKED, f"{story.id} is there after its deletion", began)
    changes = story.row.version - 1
    if changes != len(story.updated):
        kind = Kind.LOST if changes > len(story.updated) else Kind.UNASKED
        what = f"{story.id} was changed {changes} times, told {len(story.updated)} times"
        yield Finding(kind, what, began)
    elif not _is_last(story):
        what = f"{story.id} is not as its last event tells"
        yield Finding(Kind.REORDERED, what, began)


def _without_row(index: Index, story: Story) -> Kind:
    """Report events of a class or student that does not exist."""
    ops = [index.ops.get(m.correlation_id) for m in story.created]
    acked = any(op is not None and op.outcome is Outcome.ACKED for op in ops)
    return Kind.LOST if acked else Kind.UNASKED


def _is_last(story: Story) -> bool:
    last = next(iter([*story.updated[::-1], *story.created]), None)
    if last is None:
        return True
    if isinstance(story.row, ClassRow):
        return bool(last.data["class_designation"] == story.row.name)
    assert isinstance(story.row, StudentRow)
    return bool(last.data["first_name"] == story.row.first_name)


def _membership(index: Index, story: Story) -> Iterator[Finding]:
    """Compare a student's classes with those in its events."""
    if story.row is None:
        return
    expected: set[str] = set()
    for event in (*story.created, *story.updated):
        expected |= {*event.data.get("class_ids", ()), *event.data.get("add_class_ids", ())}
        expected -= set(event.data.get("remove_class_ids", ()))
    expected &= index.world.classes.keys()
    there = {class_id for class_id, student in index.memberships.get(story.id, ())}
    if expected != there:
        what = f"student {story.id} is in {len(there)} classes, and told to be in {len(expected)}"
        yield Finding(Kind.LOST, what)
