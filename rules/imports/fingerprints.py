"""What a class's part of a plan rests on: it is applied only where this has not moved.

What other parts of the same plan do must not count as moving: a student whose values another part
creates or changes is left out of the parts that only let it join or leave.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from rules.events.envelopes import to_json
from rules.imports.plans import PlannedRow, RosterState, RowEntity, RowKind
from rules.tags import tag_of


def fingerprint(state: RosterState, class_id: UUID | None, student_ids: Iterable[UUID]) -> str:
    """Return what the part of a class rests on: its members, and the values of these students.

    A class or student that is not there counts as such. Which other classes a student is in does
    not matter, nor what is marked.
    """
    cls = None if class_id is None else state.classes.get(class_id)
    known = None if cls is None else [cls.name, cls.course_code, cls.external_id]
    members = [] if cls is None else sorted(map(str, cls.member_ids))
    students = [[str(one), _values(state, one)] for one in sorted(set(student_ids))]
    return tag_of(to_json([known, members, students]))


def _values(state: RosterState, student_id: UUID) -> list[Any] | None:
    student = state.students.get(student_id)
    if student is None:
        return None
    name = student.name
    return [
        name.first_name,
        name.last_name,
        name.legal_full_name,
        student.email,
        student.external_id,
    ]


def resting_students(rows: Iterable[PlannedRow]) -> Mapping[UUID | None, frozenset[UUID]]:
    """Return of each class's part of a plan the students whose values it rests on."""
    touched: defaultdict[UUID | None, set[UUID]] = defaultdict(set)
    decided: defaultdict[UUID, set[UUID | None]] = defaultdict(set)
    for row in rows:
        if row.entity is not RowEntity.STUDENT or row.student_id is None:
            continue
        touched[row.class_id].add(row.student_id)
        if row.kind in (RowKind.CREATED, RowKind.UPDATED):
            decided[row.student_id].add(row.class_id)
    return {
        class_id: frozenset(one for one in ids if decided.get(one, set()) <= {class_id})
        for class_id, ids in touched.items()
    }
