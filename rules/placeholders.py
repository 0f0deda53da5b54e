"""The UNKNOWN student of a class: what it is, and what becomes of those of older versions.

These made it an ordinary student, which its teacher could rename, move or delete, and a teacher
could take its address beforehand (docs/contract.md, section 5).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from rules.emails import OWN_DOMAIN, is_own, key_of
from rules.events import roster
from rules.history import Change, ChangeKind, enrollment_changes, student_change
from rules.models import (
    SYSTEM_AUTO,
    SYSTEM_TIMEOUT,
    Caller,
    ClassSummary,
    OutboxMessage,
    StudentRecord,
    Trace,
)
from rules.timeouts import UNKNOWN_NAME, unknown_student_email

_ADDRESS: Final = re.compile(rf"unknown\.([0-9a-f-]{{36}})@{re.escape(OWN_DOMAIN)}")


def is_as_made(record: StudentRecord) -> bool:
    """Whether a student is as the service makes UNKNOWN students; its class may be deleted."""
    found = _ADDRESS.fullmatch(record.email or "")
    return (
        found is not None
        and record.name == UNKNOWN_NAME
        and {str(class_id) for class_id in record.class_ids} <= {found[1]}
    )


def settled(record: StudentRecord) -> StudentRecord | None:
    """Return what becomes of a student, None if it stays as it is; the store sets the time.

    One that is as the service made it becomes a placeholder. One that is not is a teacher's, and
    has no address of the service.
    """
    if is_as_made(record):
        changed = replace(record, is_placeholder=True)
    else:
        email = None if _is_reserved(record.email) else record.email
        changed = replace(record, is_placeholder=False, email=email)
    return None if changed == record else replace(changed, version=record.version + 1)


def _is_reserved(email: str | None) -> bool:
    """Whether an address, or what an earlier version took for one, is compared as the service's."""
    return email is not None and is_own(key_of(email).rpartition("@")[2])


@dataclass(frozen=True, slots=True)
class Settlement:
    """A student before and after it was settled."""

    before: StudentRecord
    after: StudentRecord


def settlements(records: Iterable[StudentRecord]) -> list[Settlement]:
    """Return what changes of these students."""
    found = ((record, settled(record)) for record in records)
    return [Settlement(before, after) for before, after in found if after is not None]


def messages(settlements: Iterable[Settlement], trace: Trace, at: datetime) -> list[OutboxMessage]:
    """Build the events: who is a teacher's is told with its new address, in the owner's name.

    What a placeholder tells others stays the same.
    """
    return [
        message
        for settlement in settlements
        if not settlement.after.is_placeholder
        for message in roster.student_updated(
            _owner(settlement.after, trace), settlement.after, (), (), at
        )
    ]


def _owner(record: StudentRecord, trace: Trace) -> Caller:
    return Caller(record.owner_id, trace)


def changes(settlements: Iterable[Settlement], trace: Trace) -> list[Change]:
    """Return what is remembered: nobody but the service did it."""
    return [
        replace(student_change(_owner(one.after, trace), one.before, one.after), by=SYSTEM_AUTO)
        for one in settlements
    ]


def of_class(class_id: UUID, records: Iterable[StudentRecord]) -> StudentRecord | None:
    """Return the placeholder of a class among students of its owner, None if there is none."""
    email = unknown_student_email(class_id)
    return next((r for r in records if r.is_placeholder and r.email == email), None)


def is_in_place(record: StudentRecord, class_id: UUID) -> bool:
    """Whether a student is the placeholder of a class, as it should be, and enrolled there."""
    is_its = of_class(class_id, [record]) is not None
    return is_its and is_as_made(record) and class_id in record.class_ids


def enrolled(record: StudentRecord, class_id: UUID) -> Settlement:
    """Enrol a placeholder in its class again; the store sets the time."""
    class_ids = tuple(sorted((*record.class_ids, class_id)))
    return Settlement(record, replace(record, class_ids=class_ids, version=record.version + 1))


def enrolment_messages(
    joining: Settlement, cls: ClassSummary, trace: Trace, at: datetime
) -> list[OutboxMessage]:
    """Build the event of a placeholder that is enrolled again."""
    return roster.student_updated(_owner(joining.after, trace), joining.after, [cls], (), at)


def enrolment_changes(joining: Settlement, cls: ClassSummary, trace: Trace) -> list[Change]:
    """Return what is remembered of it: the clock did it."""
    owner = _owner(joining.after, trace)
    found = [
        student_change(owner, joining.before, joining.after),
        *enrollment_changes(owner, ChangeKind.CREATED, joining.after.id, [cls.id]),
    ]
    return [replace(change, by=SYSTEM_TIMEOUT) for change in found]


@dataclass(frozen=True, slots=True)
class Settled:
    """What was settled: ids of new placeholders, and of students who lost an address.

    `last` is the last id that was looked at, None at the end.
    """

    placeholders: tuple[UUID, ...] = ()
    freed: tuple[UUID, ...] = ()
    last: UUID | None = None


def summary(settlements: Sequence[Settlement], last: UUID | None) -> Settled:
    """Tell what was settled."""
    after = [settlement.after for settlement in settlements]
    return Settled(
        tuple(one.id for one in after if one.is_placeholder),
        tuple(one.id for one in after if not one.is_placeholder),
        last,
    )
