"""Rosters as they are, and what plans make of them: the simplest store that keeps the rules.

What applying takes for granted is asserted: that a part rests on nothing that its own plan moves,
and that no two students have one address or one external id after any part.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from rules.emails import key_of
from rules.imports.fingerprints import fingerprint, resting_students
from rules.imports.plans import (
    ClassPlan,
    ClassState,
    Marked,
    MarkedClass,
    NoticeCode,
    Plan,
    PlannedRow,
    RosterState,
    RowEntity,
    RowKind,
    StudentState,
)
from rules.imports.values import Values, members_of, patched, values_of
from rules.limits import MAX_CLASSES, MAX_STUDENTS
from rules.models import PersonName

NOBODY = Values(PersonName("", "", ""))
_NAMING = {RowKind.CREATED, RowKind.UPDATED, RowKind.UNCHANGED, RowKind.JOINED}


def state_of(classes: Iterable[ClassState], students: Iterable[StudentState]) -> RosterState:
    """Return a state; who is in which class is taken from the students."""
    members: dict[UUID, set[UUID]] = {}
    known = {student.id: student for student in students}
    for student in known.values():
        for class_id in student.class_ids:
            members.setdefault(class_id, set()).add(student.id)
    return RosterState(
        {one.id: replace(one, member_ids=frozenset(members.get(one.id, ()))) for one in classes},
        known,
    )


def apply(plan: Plan, state: RosterState, skipped: Collection[UUID | None] = ()) -> RosterState:
    """Return the state after a plan, of which parts with errors and `skipped` ones are left out."""
    rows_of: dict[UUID | None, list[PlannedRow]] = {}
    for row in plan.rows:
        rows_of.setdefault(row.class_id, []).append(row)
    resting = resting_students(plan.rows)
    kept = {row.student_id for row in plan.rows if _keeps(row)}
    for part in plan.classes:
        assert fingerprint(state, part.class_id, resting.get(part.class_id, ())) == part.fingerprint
    for part in plan.classes:
        if part.has_errors or part.class_id in skipped:
            continue
        found = fingerprint(state, part.class_id, resting.get(part.class_id, ()))
        assert found == part.fingerprint, "a part was moved by its own plan"
        state = _apply_part(part, rows_of[part.class_id], state, kept)
        check(state)
    return state


def check(state: RosterState) -> None:
    """Assert what a database would refuse."""
    students = list(state.students.values())
    keys = [key_of(one.email) for one in students if one.email]
    ids = [one.external_id for one in students if one.external_id]
    class_ids = [one.external_id for one in state.classes.values() if one.external_id]
    for unique in (keys, ids, class_ids):
        assert len(unique) == len(set(unique))
    for cls in state.classes.values():
        assert cls.member_ids == {one.id for one in students if cls.id in one.class_ids}
        assert len(cls.member_ids) <= MAX_STUDENTS
    assert all(len(one.class_ids) <= MAX_CLASSES for one in students)
    assert all(one.name.first_name or one.name.last_name for one in students)


def _apply_part(
    part: ClassPlan, rows: Iterable[PlannedRow], state: RosterState, kept: Collection[UUID | None]
) -> RosterState:
    classes, students = dict(state.classes), dict(state.students)
    class_id = part.class_id
    named, gone = set[UUID](), set[UUID]()
    for row in rows:
        if row.entity is RowEntity.CLASS and row.class_id:
            _apply_class(row, row.class_id, classes)
    for row in rows:
        if row.entity is RowEntity.CLASS or row.student_id is None:
            continue
        student = students.get(row.student_id)
        if row.kind is RowKind.CREATED:
            assert student is None
            assert row.after is not None
            values = patched(NOBODY, row.after)
            joined = frozenset({class_id} if class_id else ())
            student = _student(row.student_id, values, joined)
        elif student is None:
            assert row.kind is RowKind.UNCHANGED
            continue
        elif row.kind is RowKind.UPDATED:
            now = members_of(values_of(student))
            assert row.before is not None
            assert row.after is not None
            assert row.before == {member: now[member] for member in row.after}
            assert row.before != row.after
            student = _changed(student, row.after)
        elif row.kind is RowKind.JOINED:
            assert class_id is not None
            assert class_id not in student.class_ids
            student = replace(student, class_ids=student.class_ids | {class_id})
        elif row.kind in (RowKind.LEFT, RowKind.DELETED):
            assert row.kind is RowKind.DELETED or class_id in student.class_ids
            gone.add(student.id)
            student = replace(student, class_ids=student.class_ids - {class_id})
            if row.kind is RowKind.DELETED and not student.class_ids and not student.decided:
                del students[student.id]
                continue
        if row.kind in _NAMING:
            named.add(student.id)
            student = replace(student, mark=_mark(student, row, student.id in kept))
        students[student.id] = student
    result = state_of(classes.values(), students.values())
    if class_id is None:
        return result
    return _marked(result, state.classes.get(class_id), class_id, named, gone)


def _apply_class(row: PlannedRow, class_id: UUID, classes: dict[UUID, ClassState]) -> None:
    after: Mapping[str, Any] = row.after or {}
    if row.kind is RowKind.CREATED:
        assert class_id not in classes
        values = {"external_id": None, **after}
        classes[class_id] = ClassState(
            class_id, **values, version=1, member_ids=frozenset(), marked=frozenset()
        )
    elif row.kind is RowKind.UPDATED:
        classes[class_id] = replace(classes[class_id], **after)
    if class_id in classes and not _keeps(row):
        cls = classes[class_id]
        classes[class_id] = replace(cls, mark=MarkedClass(cls.name, cls.external_id))


def _marked(
    state: RosterState, before: ClassState | None, class_id: UUID, named: set[UUID], gone: set[UUID]
) -> RosterState:
    cls = state.classes[class_id]
    old = frozenset[UUID]()
    if before is not None:
        old = before.member_ids if before.marked is None else before.marked
    marked = frozenset((old | named) & (cls.member_ids | old)) - gone
    return replace(state, classes={**state.classes, class_id: replace(cls, marked=marked)})


def _mark(student: StudentState, row: PlannedRow, is_kept: bool) -> Marked:  # noqa: FBT001
    if student.mark is None or not is_kept:
        return Marked(student.name, student.email, student.external_id)
    values = patched(values_of(student.mark), row.after or {})
    return Marked(values.name, values.email, values.external_id)


def _student(student_id: UUID, values: Values, class_ids: frozenset[UUID]) -> StudentState:
    return StudentState(student_id, values.name, values.email, values.external_id, 1, class_ids)


def _changed(student: StudentState, members: Mapping[str, Any]) -> StudentState:
    values = patched(values_of(student), members)
    return replace(student, name=values.name, email=values.email, external_id=values.external_id)


def _keeps(row: PlannedRow) -> bool:
    return any(notice.code is NoticeCode.KEPT_BY_HAND for notice in row.notices)
