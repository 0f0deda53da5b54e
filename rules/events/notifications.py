"""The teacher notifications (docs/contract.md, section 3, TeacherNotificationRequestedV1)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from rules import topics
from rules.events.envelopes import publish, to_json
from rules.ids import new_id_text
from rules.imports.plans import ImportRecord, ImportState
from rules.models import ClassSummary, OutboxMessage, Policy, Trace
from rules.values import dataclass

#: The channel and text of a real-time message.
Push: TypeAlias = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the contract's table of notification types."""

    notification_type: str
    category: str
    priority: str
    action_required: bool = False


CLASS_CREATED: Final = Kind("class_created", "class_management", "standard")
STUDENT_ADDED: Final = Kind("student_added_to_class", "class_management", "low")
MATCHES_SUGGESTED: Final = Kind(
    "student_matches_suggested", "student_workflow", "high", action_required=True
)
TIMEOUT_PROCESSED: Final = Kind("validation_timeout_processed", "student_workflow", "immediate")
ASSOCIATIONS_CONFIRMED: Final = Kind("student_associations_confirmed", "student_workflow", "high")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom and what a notification is about, and when it was written."""

    teacher_id: str
    trace: Trace
    at: datetime
    class_id: UUID | None = None
    batch_id: UUID | None = None
    deadline: datetime | None = None


def notify(kind: Kind, subject: Subject, payload: Mapping[str, Any]) -> OutboxMessage:
    """Build a TeacherNotificationRequestedV1, keyed by the teacher."""
    data = {
        "teacher_id": subject.teacher_id,
        "notification_type": kind.notification_type,
        "category": kind.category,
        "priority": kind.priority,
        "payload": payload,
        "action_required": kind.action_required,
        "deadline_timestamp": subject.deadline,
        "correlation_id": subject.trace.correlation_id,
        "batch_id": subject.batch_id,
        "class_id": subject.class_id,
        "timestamp": subject.at,
    }
    topic = topics.NOTIFICATION_REQUESTED
    return publish(topic, subject.teacher_id, data, subject.trace, subject.at)


def real_time_push(message: OutboxMessage) -> Push:
    """Return the channel and text that a teacher's browser gets (docs/contract.md, section 4)."""
    envelope = orjson.loads(message.value or b"")
    data = envelope["data"]
    text = {
        "event": data["notification_type"],
        "data": {
            **data["payload"],
            "category": data["category"],
            "priority": data["priority"],
            "action_required": data["action_required"],
            "deadline": data["deadline_timestamp"],
            "batch_id": data["batch_id"],
            "class_id": data["class_id"],
            "correlation_id": data["correlation_id"],
            "timestamp": data["timestamp"],
            "event_id": envelope["event_id"],
        },
    }
    return _channel(data["teacher_id"]), to_json(text)


def _channel(user_id: str) -> bytes:
    return f"ws:{user_id}".encode()


def import_progressed(record: ImportRecord, trace: Trace, at: datetime) -> Push:
    """Tell in real time how far an import is: whoever missed it reads the import.

    There is no such event on Kafka.
    """
    text = {
        "event": "import_progressed",
        "data": {
            "import_id": record.id,
            "state": record.state,
            "progress": record.progress,
            "message": _import_message(record),
            "category": "class_management",
            "priority": "low",
            "action_required": False,
            "deadline": None,
            "batch_id": None,
            "class_id": record.class_id,
            "correlation_id": trace.correlation_id,
            "timestamp": at,
            "event_id": new_id_text(),
        },
    }
    return _channel(record.owner_id), to_json(text)


def _import_message(record: ImportRecord) -> str:
    match record.state:
        case ImportState.APPLYING:
            return f"The import is being applied: {int(record.progress * 100)} %."
        case ImportState.APPLIED if record.left_out:
            left_out = len(record.left_out)
            what = _form(left_out, "class was", "classes were")
            return f"The import is applied; {left_out} {what} left out."
        case ImportState.APPLIED:
            return "The import is applied."
    return "Nothing of the import could be applied."


def class_created(cls: ClassSummary, trace: Trace, at: datetime) -> OutboxMessage:
    """Notify a teacher that a class was created."""
    payload = {
        "class_id": cls.id,
        "class_designation": cls.name,
        "course_codes": [cls.course_code],
        "message": f"Class {cls.name} was created.",
    }
    return notify(CLASS_CREATED, Subject(cls.owner_id, trace, at, class_id=cls.id), payload)


def student_added(
    cls: ClassSummary, student_id: UUID, student_name: str, trace: Trace, at: datetime
) -> OutboxMessage:
    """Notify a teacher that a student joined a class."""
    payload = {
        "student_id": student_id,
        "student_name": student_name,
        "class_id": cls.id,
        "class_designation": cls.name,
        "message": f"{student_name} was added to class {cls.name}.",
    }
    return notify(STUDENT_ADDED, Subject(cls.owner_id, trace, at, class_id=cls.id), payload)


def matches_suggested(subject: Subject, suggested: int, unmatched: int) -> OutboxMessage:
    """Ask a teacher to confirm the suggestions of a batch before the deadline."""
    payload = {
        "batch_id": subject.batch_id,
        "class_id": subject.class_id,
        "suggested_count": suggested,
        "unmatched_count": unmatched,
        "message": f"{_counted(suggested, 'essay')} {_form(suggested, 'has', 'have')} a suggested "
        f"student, {unmatched} {_form(unmatched, 'has', 'have')} none.",
    }
    return notify(MATCHES_SUGGESTED, subject, payload)


def timeout_processed(subject: Subject, auto_confirmed: int, policy: Policy) -> OutboxMessage:
    """Notify a teacher of what the clock decided in a batch."""
    payload = {
        "batch_id": subject.batch_id,
        "auto_confirmed_count": auto_confirmed,
        "timeout_hours": policy.timeout_hours,
        "message": f"Nobody decided within {_span(policy.timeout_seconds)}: "
        f"{_counted(auto_confirmed, 'suggestion')} {_form(auto_confirmed, 'was', 'were')} kept.",
    }
    return notify(TIMEOUT_PROCESSED, subject, payload)


def associations_confirmed(
    subject: Subject, summary: Mapping[str, int], *, timeout_triggered: bool
) -> OutboxMessage:
    """Notify a teacher that every essay of a batch is decided."""
    total = summary["total_associations"]
    payload = {
        "batch_id": subject.batch_id,
        "confirmed_count": summary["confirmed"],
        "validation_summary": summary,
        "timeout_triggered": timeout_triggered,
        "message": _decided(total),
    }
    return notify(ASSOCIATIONS_CONFIRMED, subject, payload)


def _decided(total: int) -> str:
    if total == 0:
        return "The batch has no essays to decide."
    if total == 1:
        return "The only essay of the batch is decided."
    return f"All {total} essays of the batch are decided."


def _span(seconds: float) -> str:
    """Return the text of a duration in the longest unit that tells it exactly."""
    for unit, name in ((3600, "hour"), (60, "minute")):
        if seconds % unit == 0:
            return _counted(int(seconds // unit), name)
    return _counted(seconds, "second")


def _counted(number: float, thing: str) -> str:
    return f"{number} {_form(number, thing, thing + 's')}"


def _form(number: float, one: str, many: str) -> str:
    return one if number == 1 else many
