"""What an import leaves, by which it is known later what was changed by hand since."""

from collections.abc import Iterable
from typing import Final, TypeVar
from uuid import UUID

from rules.imports.plans import ClassState, NoticeCode, PlannedRow, RowEntity, RowKind

_COMING: Final = frozenset({RowKind.CREATED, RowKind.JOINED})
_GOING: Final = frozenset({RowKind.LEFT, RowKind.DELETED})

T = TypeVar("T")


def who_had(pairs: Iterable[tuple[str | None, T]]) -> dict[str, T]:
    """Return who had an id or address from an import. What several had tells nobody apart."""
    had: dict[str, T] = {}
    shared = set[str]()
    for key, one in pairs:
        if key is not None and had.setdefault(key, one) is not one:
            shared.add(key)
    return {key: one for key, one in had.items() if key not in shared}


def left_in(cls: ClassState | None, rows: Iterable[PlannedRow]) -> frozenset[UUID]:
    """Return whom a part of an import leaves in its class, as ClassState.marked has them.

    `cls` is the class before, None for a new one; the first import leaves all members in it. Who
    was taken out by hand is among them still, and who was put in by hand is not, until a file says
    so: the next import is to know. Rows without an effect say so only by their notice: their
    students may be changed here for a line of another class.
    """
    members = cls.member_ids if cls else frozenset[UUID]()
    before = members if cls is None or cls.marked is None else cls.marked
    coming, going = set[UUID](), set[UUID]()
    for row in rows:
        if row.entity is RowEntity.STUDENT and row.student_id is not None:
            is_told = any(notice.code is NoticeCode.SAID_TOO for notice in row.notices)
            is_in = row.student_id in members
            if row.kind in _COMING or (is_told and is_in):
                coming.add(row.student_id)
            elif row.kind in _GOING or is_told:
                going.add(row.student_id)
    return (before | coming) - going
