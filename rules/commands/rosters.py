"""Rosters: many students of one class, created all or none (docs/contract.md, section 3)."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final
from uuid import UUID

from rules.changes import Created
from rules.commands.orders import RosterRegister, RosterRow
from rules.commands.results import MAX_FAULTS, CommandResult, CommandStatus, applied, duplicate
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    FieldError,
    IdempotencyConflictError,
    PlaceholderError,
    ServiceError,
    ValidationFailedError,
)
from rules.joining import Outcome

_MEMBERS: Final[dict[type[ServiceError], str]] = {
    ClassNotFoundError: "class_ids",
    EmailConflictError: "email",
    IdempotencyConflictError: "student_id",
    PlaceholderError: "student_id",
    ValidationFailedError: "class_ids",
}
_DETAIL: Final = "Some students cannot be registered; none was."


def registered(order: RosterRegister, made: Sequence[Outcome]) -> CommandResult:
    """Return a roster's result; `made` says of each row what became of its student.

    After a rejection nothing of the roster may remain.
    """
    refused = [
        (row.index, one)
        for row, one in zip(order.rows, made, strict=True)
        if isinstance(one, ServiceError)
    ]
    if refused or order.faults:
        new = {one.record.id for one in made if isinstance(one, Created) and one.is_new}
        return _rejection(order, refused, new)
    student_ids = [one.record.id for one in made if not isinstance(one, ServiceError)]
    is_repeated = all(isinstance(one, Created) and not one.is_new for one in made)
    return duplicate(*student_ids) if is_repeated else applied(*student_ids)


def _rejection(
    order: RosterRegister, refused: Sequence[tuple[int, ServiceError]], undone: AbstractSet[UUID]
) -> CommandResult:
    """Return the rejection; `undone` are students that it leaves nothing of."""
    codes = {error.error_code for _, error in refused}
    if order.faults:
        codes.add(ValidationFailedError.error_code)
    code = codes.pop() if len(codes) == 1 else ValidationFailedError.error_code
    faults = [*order.faults, *(_fault(index, error, undone) for index, error in refused)]
    faults.sort(key=row_of)
    return CommandResult(CommandStatus.REJECTED, (), code, _DETAIL, tuple(faults[:MAX_FAULTS]))


def _fault(index: int, error: ServiceError, undone: AbstractSet[UUID]) -> FieldError:
    there = None if error.student_id in undone else error.student_id
    return FieldError(f"/students/{index}/{_MEMBERS[type(error)]}", error.detail, there)


def row_of(fault: FieldError) -> int:
    """Return the row of a roster that a fault points at, -1 for none."""
    _, *path = fault.pointer.split("/")
    return int(path[1]) if len(path) > 1 and path[0] == "students" else -1


def without_repeated_ids(
    rows: Sequence[RosterRow],
) -> tuple[list[RosterRow], list[FieldError]]:
    """Separate a roster's rows from the faults of those whose id an earlier row has."""
    kept: dict[object, RosterRow] = {}
    faults = []
    for row in rows:
        if kept.setdefault(row.new.id, row) is not row:
            detail = "An earlier student of this roster has this id."
            faults.append(FieldError(f"/students/{row.index}/student_id", detail))
    return list(kept.values()), faults
