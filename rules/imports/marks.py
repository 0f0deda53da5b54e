"""What an import leaves, by which it is known later what was changed by hand since."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from rules.imports.plans import ClassState, NoticeCode, PlannedRow, RowEntity, RowKind

_COMING: Final = frozenset({RowKind.CREATED, RowKind.JOINED})
_STAYING: Final = frozenset({RowKind.UPDATED, RowKind.UNCHANGED})
_GOING: Final = frozenset({RowKind.LEFT, RowKind.DELETED})


def left_in(cls: ClassState | None, rows: Iterable[PlannedRow]) -> frozenset[UUID]:
    """Return whom a part of an import leaves in its class, as ClassState.marked has them.

    `cls` is the class before, None for a new one; the first import leaves all members in it. Who
    was taken out by hand is among them still, and who was put in by hand is not, until a file says
    so: the next import is to know.
    """
    members = cls.member_ids if cls else frozenset[UUID]()
    before = members if cls is None or cls.marked is None else cls.marked
    students = [row for row in rows if row.entity is RowEntity.STUDENT]
    coming = {row.student_id for row in students if row.kind in _COMING}
    there = {row.student_id for row in students if row.kind in _STAYING} & members
    # The values of who is kept may be changed in this part, for a line of another class.
    kept = {row.student_id for row in students if row.kind is RowKind.UNCHANGED and _keeps(row)}
    gone = {row.student_id for row in students if row.kind in _GOING}
    return frozenset(one for one in before | coming | (there - kept) if one is not None) - gone


def _keeps(row: PlannedRow) -> bool:
    return any(notice.code is NoticeCode.KEPT_BY_HAND for notice in row.notices)
