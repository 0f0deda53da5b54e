"""The state of an owner's classes and students, of which plans are made and on which they rest."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from rules.imports.plans import ClassState, Marked, MarkedClass, RosterState, StudentState
from rules.models import PersonName
from store.pace import Pace
from store.postgres import sql
from store.postgres.database import Connection
from store.postgres.rows import Row


async def of_owner(connection: Connection, owner_id: str) -> RosterState:
    """Return all classes and students of an owner, as they were at one moment."""
    found = await connection.fetch(sql.imports.OWNER_STATE, owner_id)
    state = await _read(found)
    members: defaultdict[UUID, set[UUID]] = defaultdict(set)
    pace = Pace()
    for student in state.students.values():
        for class_id in student.class_ids:
            members[class_id].add(student.id)
        await pace.keep()
    classes = {
        one.id: replace(one, member_ids=frozenset(members.get(one.id, ())))
        for one in state.classes.values()
    }
    return RosterState(classes, state.students)


async def of_touched(
    connection: Connection, owner_id: str, class_ids: Iterable[UUID], student_ids: Iterable[UUID]
) -> RosterState:
    """Return these classes and students of an owner; the classes with all of their members."""
    wanted, students = list(class_ids), list(student_ids)
    if not wanted and not students:
        return RosterState({}, {})
    found = await connection.fetch(sql.imports.TOUCHED_STATE, owner_id, wanted, students)
    state = await _read(found)
    rows = await connection.fetch(sql.imports.MEMBERS, wanted, owner_id) if wanted else []
    members = {row["class_id"]: frozenset(row["ids"]) for row in rows}
    classes = {
        one.id: replace(one, member_ids=members.get(one.id, frozenset()))
        for one in state.classes.values()
    }
    return RosterState(classes, state.students)


async def _read(found: Iterable[Row]) -> RosterState:
    """Read the state; the members of the classes are still to come."""
    classes: dict[UUID, ClassState] = {}
    students: dict[UUID, StudentState] = {}
    pace = Pace()
    for row in found:
        if row["is_class"]:
            classes[row["id"]] = _class_state(row)
        else:
            students[row["id"]] = _student_state(row)
        await pace.keep()
    return RosterState(classes, students)


def _class_state(row: Row) -> ClassState:
    mark = MarkedClass(row["marked_first"], row["marked_external"]) if row["marked"] else None
    return ClassState(
        row["id"],
        row["name"],
        row["course_code"],
        row["external_id"],
        row["version"],
        frozenset(),
        frozenset(row["ids"]) if mark else None,
        mark,
    )


def _student_state(row: Row) -> StudentState:
    return StudentState(
        row["id"],
        PersonName(row["name"], row["course_code"], row["legal_full_name"]),
        row["email"],
        row["external_id"],
        row["version"],
        frozenset(row["ids"]),
        _mark(row),
        decided=row["decided"],
    )


def _mark(row: Row) -> Marked | None:
    if not row["marked"]:
        return None
    name = PersonName(row["marked_first"], row["marked_last"], row["marked_full"])
    return Marked(name, row["marked_email"], row["marked_external"])
