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
    ExternalIdConflictError,
    FieldError,
    IdempotencyConflictError,
    PlaceholderError,
    ServiceError,
    ValidationFailedError,
)
from rules.joining import Outcome
from rules.limits import TOO_MANY_CLASSES

_MEMBERS: Final[dict[type[ServiceError], str]] = {
    ClassNotFoundError: "class_ids",
    EmailConflictError: "email",
    ExternalIdConflictError: "external_id",
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
        (row, one)
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
    order: RosterRegister,
    refused: Sequence[tuple[RosterRow, ServiceError]],
    undone: AbstractSet[UUID],
) -> CommandResult:
    """Return the rejection; `undone` are students that it leaves nothing of."""
    codes = {error.error_code for _, error in refused}
    if order.faults:
        codes.add(ValidationFailedError.error_code)
    code = codes.pop() if len(codes) == 1 else ValidationFailedError.error_code
    found = dict.fromkeys(_fault(row, error, undone) for row, error in refused)
    faults = sorted([*order.faults, *found], key=row_of)
    return CommandResult(CommandStatus.REJECTED, (), code, _DETAIL, tuple(faults[:MAX_FAULTS]))


def _fault(row: RosterRow, error: ServiceError, undone: AbstractSet[UUID]) -> FieldError:
    there = None if error.student_id in undone else error.student_id
    return FieldError(_pointer(row, error), error.detail, there)


def _pointer(row: RosterRow, error: ServiceError) -> str:
    """Return where a row's fault is; a row without `class_ids` joins the roster's class alone."""
    member = _MEMBERS[type(error)]
    if member != "class_ids" or len(row.new.class_ids) > 1:
        return f"/students/{row.index}/{member}"
    return f"/students/{row.index}" if error.detail == TOO_MANY_CLASSES else "/class_id"


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
