"""Two students of one owner become one (docs/contract.md, section 2, "Students")."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from rules.changes import StudentDiff
from rules.errors import FieldError, PlaceholderError, ValidationFailedError
from rules.events.associations import association_updated
from rules.history import (
    REFERENCE_MEMBERS,
    Cause,
    Change,
    association_change,
)
from rules.models import Association, Caller, OutboxMessage, StudentRecord, Suggestion


@dataclass(frozen=True, slots=True)
class Merge:
    """The student that goes, and what the one that stays becomes."""

    gone: StudentRecord
    into: StudentRecord
    diff: StudentDiff


def require_two(student_id: UUID, into: UUID) -> None:
    """Raise ValidationFailedError if a student is to be merged into itself."""
    if student_id == into:
        fault = FieldError("/into", "This is the student itself.")
        raise ValidationFailedError("A merge needs two students.", [fault])


def merge(gone: StudentRecord, into: StudentRecord) -> Merge:
    """Return what a merge does. Raises PlaceholderError.

    It adds nobody to a class who was not there, so that no limit on enrolments refuses it.
    """
    if gone.is_placeholder or into.is_placeholder:
        raise PlaceholderError
    joins = tuple(sorted(set(gone.class_ids) - set(into.class_ids)))
    class_ids = tuple(sorted({*into.class_ids, *joins}))
    merged = replace(
        into,
        email=into.email or gone.email,
        external_id=into.external_id or gone.external_id,
        class_ids=class_ids,
    )
    return Merge(gone, into, StudentDiff(merged, joins, ()))


def moved(association: Association, gone: UUID, into: UUID) -> Association:
    """Return an association that names `into` wherever it named `gone`; what was decided stays."""

    def other(student_id: UUID | None) -> UUID | None:
        return into if student_id == gone else student_id

    return replace(
        association,
        suggested_student_id=other(association.suggested_student_id),
        student_id=other(association.student_id),
        suggestions=tuple(moved_suggestions(association.suggestions, gone, into)),
    )


def moved_suggestions(
    suggestions: Sequence[Suggestion], gone: UUID, into: UUID
) -> list[Suggestion]:
    """Return suggestions with `into` for `gone`; of two for one student the first remains then."""
    if all(one.student_id != gone for one in suggestions):
        return list(suggestions)
    kept: dict[UUID, Suggestion] = {}
    for one in suggestions:
        now = one._replace(student_id=into) if one.student_id == gone else one
        kept.setdefault(now.student_id, now)
    return list(kept.values())


@dataclass(frozen=True, slots=True)
class Told:
    """What the moving of one essay publishes and leaves behind."""

    messages: tuple[OutboxMessage, ...]
    changes: tuple[Change, ...]


def tell_moved(
    caller: Caller,
    plan: Merge,
    merged: StudentRecord,
    before: Association,
    class_id: UUID | None,
    at: datetime,
) -> Told:
    """Return the event of an essay that was decided, and the change of one that was referred to.

    `merged` is the student as it is now. Other suggestions move untold: they are nobody's choice.
    """
    gone, into = plan.gone.id, plan.into.id
    if gone not in (before.suggested_student_id, before.student_id):
        return Told((), ())
    cause = Cause(caller.user_id, class_id, caller.user_id, caller.trace.correlation_id)
    after = moved(before, gone, into)
    change = association_change(cause, before, after, REFERENCE_MEMBERS)
    if before.student_id != gone:
        return Told((), (change,))
    message = association_updated(caller, before.batch_id, before.essay_id, merged, at)
    return Told((message,), (change,))
