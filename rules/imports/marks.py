"""What an import leaves, by which it is known later what was changed by hand since."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from rules.imports.plans import ClassState, NoticeCode, PlannedRow, RowEntity, RowKind

_COMING: Final = frozenset({RowKind.CREATED, RowKind.JOINED})
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
    named = {row.student_id for row in students if _is_named(row, members)}
    gone = {row.student_id for row in students if row.kind in _GOING}
    return frozenset(one for one in before | named if one is not None) - gone


def _is_named(row: PlannedRow, members: frozenset[UUID]) -> bool:
    """Whether a row has its student in the class; its values may be changed in another's part."""
    if row.kind in _COMING or row.student_id not in members:
        return row.kind in _COMING
    return row.kind is RowKind.UPDATED or (row.kind is RowKind.UNCHANGED and not _keeps(row))


def _keeps(row: PlannedRow) -> bool:
    return any(notice.code is NoticeCode.KEPT_BY_HAND for notice in row.notices)
