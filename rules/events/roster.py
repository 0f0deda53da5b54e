"""What a change of a class or a student publishes: its event and its notifications."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from rules import topics
from rules.events import notifications
from rules.events.envelopes import publish
from rules.models import (
    Caller,
    ClassRecord,
    ClassSummary,
    NewClass,
    NewStudent,
    OutboxMessage,
    StudentRecord,
)


def class_created(caller: Caller, new: NewClass, at: datetime) -> list[OutboxMessage]:
    """Build ClassCreatedV1 and its notification."""
    cls = ClassSummary(new.id, caller.user_id, new.name, new.course_code)
    members = _class_members(cls, new.external_id)
    data = {"event": "class.created", **members, **_stamp(caller, at)}
    return [
        publish(topics.CLASS_CREATED, cls.id, data, caller.trace, at),
        notifications.class_created(cls, caller.trace, at),
    ]


def class_updated(caller: Caller, record: ClassRecord, at: datetime) -> list[OutboxMessage]:
    """Build ClassUpdatedV1 with the class as it is now."""
    members = _class_members(record.summary, record.external_id)
    data = {"event": "class.updated", **members, **_stamp(caller, at)}
    return [publish(topics.CLASS_UPDATED, record.id, data, caller.trace, at)]


def class_deleted(
    caller: Caller, class_id: UUID, external_id: str | None, at: datetime
) -> list[OutboxMessage]:
    """Build ClassDeletedV1."""
    data = {
        "event": "class.deleted",
        "class_id": class_id,
        "external_id": external_id,
        "user_id": caller.user_id,
        **_stamp(caller, at),
    }
    return [publish(topics.CLASS_DELETED, class_id, data, caller.trace, at)]


def student_created(
    caller: Caller, new: NewStudent, classes: Sequence[ClassSummary], at: datetime
) -> list[OutboxMessage]:
    """Build StudentCreatedV1 and a notification for each class that the student joins."""
    data = {
        "event": "student.created",
        "student_id": new.id,
        "first_name": new.name.first_name,
        "last_name": new.name.last_name,
        "student_email": new.email,
        "external_id": new.external_id,
        "class_ids": new.class_ids,
        "created_by_user_id": caller.user_id,
        **_stamp(caller, at),
    }
    created = publish(topics.STUDENT_CREATED, new.id, data, caller.trace, at)
    return [created, *_added(caller, classes, new.id, new.name.legal_full_name, at)]


def student_updated(
    caller: Caller,
    record: StudentRecord,
    added: Sequence[ClassSummary],
    removed: Iterable[UUID],
    at: datetime,
) -> list[OutboxMessage]:
    """Build StudentUpdatedV1 with the student as it is now, and what it joined and left."""
    data = {
        "event": "student.updated",
        "student_id": record.id,
        "first_name": record.name.first_name,
        "last_name": record.name.last_name,
        "student_email": record.email,
        "external_id": record.external_id,
        "add_class_ids": [cls.id for cls in added],
        "remove_class_ids": list(removed),
        "updated_by_user_id": caller.user_id,
        **_stamp(caller, at),
    }
    updated = publish(topics.STUDENT_UPDATED, record.id, data, caller.trace, at)
    return [updated, *_added(caller, added, record.id, record.name.legal_full_name, at)]


def student_deleted(
    caller: Caller, student_id: UUID, external_id: str | None, at: datetime
) -> list[OutboxMessage]:
    """Build StudentDeletedV1."""
    data = {
        "event": "student.deleted",
        "student_id": student_id,
        "external_id": external_id,
        "deleted_by_user_id": caller.user_id,
        **_stamp(caller, at),
    }
    return [publish(topics.STUDENT_DELETED, student_id, data, caller.trace, at)]


def _class_members(cls: ClassSummary, external_id: str | None) -> dict[str, Any]:
    return {
        "class_id": cls.id,
        "class_designation": cls.name,
        "course_codes": [cls.course_code],
        "external_id": external_id,
        "user_id": cls.owner_id,
    }


def _stamp(caller: Caller, at: datetime) -> dict[str, Any]:
    return {"correlation_id": caller.trace.correlation_id, "timestamp": at}


def _added(
    caller: Caller, classes: Sequence[ClassSummary], student_id: UUID, name: str, at: datetime
) -> list[OutboxMessage]:
    return [notifications.student_added(cls, student_id, name, caller.trace, at) for cls in classes]
