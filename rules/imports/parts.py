"""A plan, put together of its rows: class by class, with what each part rests on."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from rules.imports.fingerprints import fingerprint, resting_students
from rules.imports.plans import (
    ClassPlan,
    Plan,
    PlannedRow,
    RosterState,
    RowEntity,
    RowKind,
    Summary,
)

#: Of smaller classes a tenth is one student.
_COUNTED_FROM: Final = 10

_GOING: Final = frozenset({RowKind.LEFT, RowKind.DELETED})


def plan_of(
    rows: Sequence[PlannedRow],
    order: Iterable[UUID | None],
    state: RosterState,
    new: AbstractSet[UUID] = frozenset(),
) -> Plan:
    """Return a plan of rows; `order` has the classes whose parts are applied first, `new` makes.

    Classes without rows have no part.
    """
    of_class: dict[UUID | None, list[PlannedRow]] = {class_id: [] for class_id in order}
    for row in rows:
        of_class.setdefault(row.class_id, []).append(row)
    resting = resting_students(rows)
    changed = _changed(rows, state)
    parts = [
        _part(state, class_id, some, _Rests(resting, changed, new))
        for class_id, some in sorted(of_class.items(), key=lambda item: item[0] is None)
        if some
    ]
    return Plan(tuple(parts), tuple(rows), summary_of(rows))


def is_large(size: int, *, taken_out: int, changed: int) -> bool:
    """Whether a part needs to be forced, of a class with that many students.

    It takes out more than a tenth of ten or more, or changes more than three quarters of them
    (docs/contract.md).
    """
    return size >= _COUNTED_FROM and (taken_out * 10 > size or changed * 4 > size * 3)


def summary_of(rows: Iterable[PlannedRow]) -> Summary:
    """Count the rows of a plan."""
    counts = Counter((row.entity, row.kind) for row in rows)
    student, cls = RowEntity.STUDENT, RowEntity.CLASS
    return Summary(
        created=counts[student, RowKind.CREATED],
        updated=counts[student, RowKind.UPDATED],
        unchanged=counts[student, RowKind.UNCHANGED],
        joined=counts[student, RowKind.JOINED],
        left=counts[student, RowKind.LEFT],
        errors=counts[student, RowKind.ERROR] + counts[cls, RowKind.ERROR],
        classes_created=counts[cls, RowKind.CREATED],
        classes_updated=counts[cls, RowKind.UPDATED],
        deleted=counts[student, RowKind.DELETED],
    )


@dataclass(frozen=True, slots=True)
class _Rests:
    """Whom the parts rest on, how many members of each class change, which classes are new."""

    students: Mapping[UUID | None, AbstractSet[UUID]]
    changed: Mapping[UUID, int]
    new: AbstractSet[UUID]


def _part(
    state: RosterState, class_id: UUID | None, rows: Sequence[PlannedRow], rests: _Rests
) -> ClassPlan:
    cls = state.classes.get(class_id) if class_id else None
    size = len(cls.member_ids) if cls else 0
    taken_out = sum(row.kind in _GOING for row in rows if class_id)
    changed = rests.changed.get(class_id, 0) if class_id else 0
    return ClassPlan(
        class_id,
        fingerprint(state, class_id, rests.students.get(class_id, ())),
        is_new=class_id in rests.new,
        is_large=is_large(size, taken_out=taken_out, changed=changed),
        has_errors=any(row.kind is RowKind.ERROR for row in rows),
        taken_out=taken_out,
        changed=changed,
        size=size,
    )


def _changed(rows: Iterable[PlannedRow], state: RosterState) -> Counter[UUID]:
    """Count the members of each class whose values change."""
    updated = {row.student_id for row in rows if row.kind is RowKind.UPDATED}
    students = [state.students[one] for one in updated if one and one in state.students]
    return Counter(class_id for student in students for class_id in student.class_ids)
