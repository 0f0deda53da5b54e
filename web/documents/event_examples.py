"""Examples of messages: one teacher's day.

What is published is made by the rules that publish it, so that the examples are true; tests give
what is consumed to its parsers.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from rules import topics
from rules.closing import ClosingBatch, NamedStudent, close
from rules.commands.orders import ClassCreate, Command, CommandName
from rules.commands.results import applied, result_message
from rules.events import notifications, roster
from rules.events.associations import association_updated
from rules.models import (
    SYSTEM_TIMEOUT,
    Association,
    Batch,
    Caller,
    ClassRecord,
    ClassSummary,
    Method,
    NewClass,
    NewStudent,
    OutboxMessage,
    PersonName,
    Policy,
    Status,
    StudentRecord,
    Trace,
)

_AT: Final = datetime(2026, 3, 2, 8, 5, 30, 123456, tzinfo=UTC)
_LATER: Final = _AT + timedelta(days=1)

_CLASS_ID: Final = UUID("0198f1bf-0e4a-7b1c-a6d5-2f8e4c6a1b01")
_STUDENT_ID: Final = UUID("0198f1c0-52aa-7d20-8a34-6c1f0e9b7d02")
_OTHER_ID: Final = UUID("0198f1c0-7c31-7e08-b8f2-90d1a2b3c403")
_BATCH_ID: Final = UUID("0198f1c1-9b60-7f44-9c11-5a7b8d9e0f04")
_ESSAYS: Final = [
    UUID("0198f1c1-a2d7-7a52-8e63-1b2c3d4e5f05"),
    UUID("0198f1c1-a2d7-7a52-8e63-1b2c3d4e5f06"),
]
_COMMAND_ID: Final = UUID("0198f1c2-11f0-7cc3-9a00-4d5e6f708107")
_CORRELATION_ID: Final = UUID("0198f1c2-8d57-7c3e-9f0a-3b1d5e7c9a11")
_EVENT_ID: Final = "0198f1c2-9e68-7b02-8c1d-2a3b4c5d6e08"
_TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

_TRACE: Final = Trace(_CORRELATION_ID, _TRACEPARENT)
_TEACHER: Final = Caller("teacher-1", _TRACE)
_CLASS: Final = ClassSummary(_CLASS_ID, _TEACHER.user_id, "9A", "SV1")
_NAME: Final = PersonName("Åsa", "Öberg", "Åsa Öberg")
_EMAIL: Final = "asa.oberg@skola.example"
_EXTERNAL_ID: Final = "pupil-4711"
_STUDENT: Final = StudentRecord(
    _STUDENT_ID,
    _TEACHER.user_id,
    _NAME,
    _EMAIL,
    (_CLASS_ID,),
    2,
    _AT,
    _AT,
    external_id=_EXTERNAL_ID,
)
_NEW_CLASS: Final = NewClass(_CLASS_ID, "9A", "SV1", "9A-2026")
_RENAMED: Final = ClassRecord(
    _CLASS_ID, _TEACHER.user_id, "9A, spring", "SV1", 1, 2, _AT, _AT, _NEW_CLASS.external_id
)


def published() -> Iterator[OutboxMessage]:
    """Yield a message of each kind, and of some several."""
    yield from roster.class_created(_TEACHER, _NEW_CLASS, _AT)
    yield from roster.class_updated(_TEACHER, _RENAMED, _AT)
    yield from roster.class_deleted(_TEACHER, _CLASS_ID, _NEW_CLASS.external_id, _AT)
    new = NewStudent(_STUDENT_ID, _NAME, _EMAIL, (_CLASS_ID,), external_id=_EXTERNAL_ID)
    yield from roster.student_created(_TEACHER, new, [_CLASS], _AT)
    yield from roster.student_updated(_TEACHER, _STUDENT, [_CLASS], [], _AT)
    yield from roster.student_deleted(_TEACHER, _OTHER_ID, None, _AT)
    subject = notifications.Subject(_TEACHER.user_id, _TRACE, _AT, _CLASS_ID, _BATCH_ID, _LATER)
    yield notifications.matches_suggested(subject, 1, 1)
    yield from close(_closing(), Policy(), _LATER)
    yield association_updated(_TEACHER, _BATCH_ID, _ESSAYS[1], _STUDENT, _LATER)
    order = ClassCreate(_NEW_CLASS)
    command = Command(_COMMAND_ID, CommandName.CLASS_CREATE, _TEACHER, order)
    yield result_message(command, applied(_CLASS_ID), _AT)


def _closing() -> ClosingBatch:
    """Return a batch of one essay that a teacher decided and one that the clock did."""
    decided = [
        (_ESSAYS[0], Status.CONFIRMED, Method.HUMAN, _TEACHER.user_id, 0.92),
        (_ESSAYS[1], Status.TIMEOUT_CONFIRMED, Method.TIMEOUT, SYSTEM_TIMEOUT, 0.74),
    ]
    associations = [
        Association(
            *(essay_id, _BATCH_ID, _STUDENT_ID, _STUDENT_ID, confidence, (), status, method),
            *(by, _LATER, _AT, _LATER),
        )
        for essay_id, status, method, by, confidence in decided
    ]
    named = NamedStudent(_NAME.first_name, _NAME.last_name, _EMAIL)
    batch = Batch(_BATCH_ID, _CLASS_ID, _LATER, _TRACE)
    return ClosingBatch(batch, _CLASS, associations, {_STUDENT_ID: named})


def as_example(message: OutboxMessage) -> dict[str, Any]:
    """Return a published message as an example of the document, the same each time."""
    payload = {**orjson.loads(message.value or b"{}"), "event_id": _EVENT_ID}
    headers = {name: value.decode() for name, value in message.headers}
    return {"headers": {**headers, "event_id": _EVENT_ID}, "payload": payload}


def pushed() -> Iterator[dict[str, Any]]:
    """Yield an example of each message that is pushed through Redis."""
    for message in published():
        if message.topic == topics.NOTIFICATION_REQUESTED:
            text = orjson.loads(notifications.real_time_push(message)[1])
            yield {**text, "data": {**text["data"], "event_id": _EVENT_ID}}


def _envelope(topic: str, source: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "event_id": str(_COMMAND_ID),
        "event_type": topic,
        "event_timestamp": "2026-03-02T08:05:30.123456Z",
        "source_service": source,
        "schema_version": 1,
        "correlation_id": str(_CORRELATION_ID),
        "data_schema_uri": None,
        "data": data,
        "metadata": None,
    }


_CLASS_TEXT: Final = str(_CLASS_ID)
_STUDENT_TEXT: Final = str(_STUDENT_ID)
_SENT_NAME: Final = {"first_name": "Åsa", "last_name": "Öberg"}
_MEMBERS: Final[Mapping[CommandName, Mapping[str, Any]]] = {
    CommandName.CLASS_CREATE: {
        "class_id": _CLASS_TEXT,
        "name": "9A",
        "course_codes": ["SV1"],
        "external_id": "9A-2026",
    },
    CommandName.CLASS_UPDATE: {"class_id": _CLASS_TEXT, "name": "9A, spring"},
    CommandName.CLASS_DELETE: {"class_id": _CLASS_TEXT},
    CommandName.STUDENT_CREATE: {
        "student_id": _STUDENT_TEXT,
        "person_name": _SENT_NAME,
        "email": _EMAIL,
        "external_id": _EXTERNAL_ID,
        "class_ids": [_CLASS_TEXT],
    },
    CommandName.STUDENT_UPDATE: {"student_id": _STUDENT_TEXT, "email": None},
    CommandName.STUDENT_DELETE: {"student_id": _STUDENT_TEXT},
    CommandName.ROSTER_REGISTER: {
        "class_id": _CLASS_TEXT,
        "students": [
            {"person_name": _SENT_NAME, "email": _EMAIL, "external_id": _EXTERNAL_ID},
            {"person_name": {"first_name": "Bo", "last_name": "Ek"}},
        ],
    },
    CommandName.ASSOCIATIONS_CONFIRM: {
        "batch_id": str(_BATCH_ID),
        "associations": [
            {"essay_id": str(_ESSAYS[0]), "student_id": _STUDENT_TEXT, "confirmed": True}
        ],
        "confirm_suggested": {"min_confidence": 0.9},
    },
    CommandName.ASSOCIATIONS_CORRECT: {
        "batch_id": str(_BATCH_ID),
        "essay_id": str(_ESSAYS[1]),
        "student_id": None,
    },
    CommandName.STUDENT_MERGE: {"student_id": str(_OTHER_ID), "into": _STUDENT_TEXT},
}


def command(name: CommandName) -> dict[str, Any]:
    """Return a command as another service sends it."""
    data = {"command": name.value, "user_id": _TEACHER.user_id, **_MEMBERS[name]}
    return _envelope(topics.COMMANDS, "school_service", data)


def suggestions() -> dict[str, Any]:
    """Return match suggestions as the matching service writes them: much of it is not read."""
    suggestion = {
        "student_id": _STUDENT_TEXT,
        "student_name": "Åsa Öberg",
        "student_email": _EMAIL,
        "confidence_score": 0.92,
        "match_reasons": ["The name stands in the header."],
        "extraction_metadata": {},
    }
    results = [
        {
            "essay_id": str(_ESSAYS[0]),
            "text_storage_id": "text-1",
            "filename": "asa-oberg.docx",
            "suggestions": [suggestion],
            "no_match_reason": None,
            "extraction_metadata": {},
        },
        {
            "essay_id": str(_ESSAYS[1]),
            "text_storage_id": "text-2",
            "filename": "essay-2.docx",
            "suggestions": [],
            "no_match_reason": "no_name_found",
            "extraction_metadata": {},
        },
    ]
    data = {
        "event_name": "batch.author.matches.suggested",
        "batch_id": str(_BATCH_ID),
        "class_id": _CLASS_TEXT,
        "course_code": "SV1",
        "match_results": results,
        "processing_summary": {"total_essays": 2, "matched": 1},
        "processing_metadata": {},
    }
    return _envelope(topics.MATCHES_SUGGESTED, "nlp_service", data)
