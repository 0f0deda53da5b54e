"""No message of the service outgrows its topic: the worst of each, made by what makes all."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import orjson
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from rules import inputs, topics
from rules.closing import ClosingBatch, NamedStudent, close
from rules.commands.orders import Refused, RosterRegister
from rules.commands.results import CommandResult, duplicate, rejected, result_message
from rules.commands.rosters import registered
from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message, unreadable
from rules.errors import EmailConflictError, ValidationFailedError
from rules.events import notifications, roster, timers
from rules.events.associations import association_updated
from rules.events.envelopes import to_json
from rules.external_ids import MAX_EXTERNAL_ID
from rules.identity import CONTROL, MAX_USER_ID, is_user_id
from rules.messages.commands import MAX_ROSTER, parse_command
from rules.messages.suggestions import MAX_RESULTS, parse_suggestions
from rules.models import (
    Association,
    Batch,
    Caller,
    ClassRecord,
    ClassSummary,
    Delivery,
    MatchResult,
    Method,
    NewClass,
    NewStudent,
    OutboxMessage,
    PendingBatch,
    PersonName,
    Policy,
    Record,
    Status,
    StudentRecord,
    SuggestionMessage,
    Trace,
)
from rules.sizes import DEAD_LETTER_HEADERS_BYTES, MAX_MESSAGE_BYTES
from rules.suggestions import MAX_ESSAYS, Outcome, SuggestionFacts, plan
from tests.unit.rules.strategies import TRACEPARENT

NOW: Final = datetime(2026, 11, 20, 8, 15, 30, 123456, tzinfo=UTC)
ID: Final = UUID(int=2**128 - 1)
EMOJI: Final = "\N{GRINNING FACE}"
MAX_ADDRESS: Final = 254

TRACE: Final = Trace(ID, TRACEPARENT)
TEACHER: Final = Caller(EMOJI * MAX_USER_ID, TRACE)
CLASS: Final = ClassSummary(ID, TEACHER.user_id, EMOJI * inputs.MAX_CLASS_NAME, "SV1")
NAME: Final = PersonName(
    EMOJI * inputs.MAX_NAME_PART, EMOJI * inputs.MAX_NAME_PART, EMOJI * inputs.MAX_FULL_NAME
)
ADDRESS: Final = EMOJI * MAX_ADDRESS
EXTERNAL_ID: Final = EMOJI * MAX_EXTERNAL_ID
POLICY: Final = Policy()
#: Those of a request, and the class of a roster.
CLASS_IDS: Final = (ID,) * (inputs.MAX_CLASSES_PER_STUDENT + 1)
CLASSES: Final = [CLASS] * len(CLASS_IDS)
TAKEN: Final = Record(topics.MATCHES_SUGGESTED, 0, 0, 0, None, b"", ())


def in_kafka(message: OutboxMessage) -> int:
    """Return what a topic's limit is compared with: the batch of this one message."""
    batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1024)
    batch.append(0, None, message.key, message.value, list(message.headers))
    return len(batch.build())


def test_no_character_that_people_may_use_takes_more_than_four_bytes() -> None:
    allowed = (
        chr(code)
        for code in range(sys.maxunicode + 1)
        if not 0xD800 <= code < 0xE000 and not CONTROL.match(chr(code))
    )
    assert max(len(to_json(character)) - 2 for character in allowed) == 4
    assert len(to_json(EMOJI)) - 2 == 4


def test_the_longest_names_are_names() -> None:
    # Else the worst case would be another one.
    given = {"first_name": NAME.first_name, "last_name": NAME.last_name}
    whole = {**given, "legal_full_name": NAME.legal_full_name}
    assert inputs.PersonNameInput.model_validate(whole).resolve() == NAME
    assert inputs.NewClassInput(name=CLASS.name, course_codes=("SV1",)).resolve(ID).name
    assert is_user_id(TEACHER.user_id)
    assert not is_user_id(TEACHER.user_id + EMOJI)


# --- a batch -------------------------------------------------------------------------------------


def closed(method: Method, essays: int = MAX_ESSAYS) -> list[OutboxMessage]:
    """Close the largest batch: each essay with a student, decided by somebody of a long name."""
    status = Status.TIMEOUT_CONFIRMED if method is Method.TIMEOUT else Status.CONFIRMED
    one = Association(
        essay_id=ID,
        batch_id=ID,
        suggested_student_id=ID,
        student_id=ID,
        confidence=0.123456789012345678,
        match_reasons=(),
        status=status,
        method=method,
        validated_by=TEACHER.user_id,
        validated_at=NOW,
        created_at=NOW,
        confirm_by=NOW,
    )
    student = NamedStudent(NAME.first_name, NAME.last_name, ADDRESS)
    batch = Batch(ID, CLASS.id, None, TRACE)
    return close(ClosingBatch(batch, CLASS, [one] * essays, {ID: student}), POLICY, NOW)


def guests() -> list[OutboxMessage]:
    closing = ClosingBatch(Batch(ID, CLASS.id, None, TRACE), CLASS, [], {})
    one = Association(
        *(ID, ID, None, ID, 0.0, (), Status.TIMEOUT_CONFIRMED, Method.TIMEOUT),
        *(TEACHER.user_id, NOW, NOW, NOW),
    )
    return close(replace(closing, associations=[one] * MAX_ESSAYS), POLICY, NOW)


# --- classes and students ------------------------------------------------------------------------


def changes_of_a_class() -> list[OutboxMessage]:
    new = NewClass(CLASS.id, CLASS.name, CLASS.course_code, EXTERNAL_ID)
    record = ClassRecord(
        CLASS.id, CLASS.owner_id, CLASS.name, CLASS.course_code, 0, 1, NOW, NOW, EXTERNAL_ID
    )
    return [
        *roster.class_created(TEACHER, new, NOW),
        *roster.class_updated(TEACHER, record, NOW),
        *roster.class_deleted(TEACHER, CLASS.id, EXTERNAL_ID, NOW),
    ]


def changes_of_a_student() -> list[OutboxMessage]:
    new = NewStudent(ID, NAME, ADDRESS, CLASS_IDS, external_id=EXTERNAL_ID)
    record = StudentRecord(
        ID, TEACHER.user_id, NAME, ADDRESS, CLASS_IDS, 1, NOW, NOW, external_id=EXTERNAL_ID
    )
    return [
        *roster.student_created(TEACHER, new, CLASSES, NOW),
        *roster.student_updated(TEACHER, record, CLASSES, CLASS_IDS, NOW),
        *roster.student_deleted(TEACHER, ID, EXTERNAL_ID, NOW),
    ]


def corrections() -> list[OutboxMessage]:
    student = StudentRecord(ID, TEACHER.user_id, NAME, ADDRESS, (), 1, NOW, NOW)
    return [association_updated(TEACHER, ID, ID, student, NOW)]


# --- commands ------------------------------------------------------------------------------------


def command(name: str, **members: object) -> Record:
    data = {"command": name, "user_id": TEACHER.user_id, **members}
    envelope = {"event_id": ID, "correlation_id": ID, "data": data}
    return Record(topics.COMMANDS, 0, 0, 0, None, orjson.dumps(envelope), ())


BAD_NAME: Final = {"first_name": "\x01", "last_name": "x" * 300, "legal_full_name": 7}
BAD_ROW: Final = {
    "student_id": f"{ID}x",
    "person_name": BAD_NAME,
    "email": "\N{COMBINING ACUTE ACCENT}",
    "class_ids": ["x"],
}
BAD_DECISION: Final = {"essay_id": "y" * 36, "student_id": "z" * 36, "confirmed": "perhaps"}
GOOD_ROW: Final = {"student_id": str(ID), "person_name": {"first_name": "A", "last_name": "B"}}


def results() -> list[OutboxMessage]:
    """Return the results of commands with as many faults, and as many ids, as they can have."""
    bad_rows = [BAD_ROW] * MAX_ROSTER
    bad_decisions = [BAD_DECISION] * inputs.MAX_DECISIONS
    commands = [
        parse_command(command("roster.register", class_id=ID, students=bad_rows)),
        parse_command(command("associations.confirm", batch_id=ID, associations=bad_decisions)),
        parse_command(command("roster.register", class_id=ID, students=[GOOD_ROW] * MAX_ROSTER)),
    ]
    return [
        *(result_message(one, result_of(one.order), NOW) for one in commands),
        result_message(commands[0], duplicate(*[ID] * MAX_ROSTER), NOW),
    ]


def result_of(order: object) -> CommandResult:
    if isinstance(order, Refused):
        return rejected(order.error)
    assert isinstance(order, RosterRegister)
    return registered(order, [EmailConflictError(student_id=ID)] * len(order.rows))


# --- everything ----------------------------------------------------------------------------------


def notices() -> list[OutboxMessage]:
    subject = notifications.Subject(TEACHER.user_id, TRACE, NOW, ID, ID, NOW)
    return [notifications.matches_suggested(subject, MAX_ESSAYS, MAX_ESSAYS)]


def deadlines() -> list[OutboxMessage]:
    return [timers.armed(PendingBatch(ID, ID, MAX_ESSAYS, NOW), TRACE, NOW)]


def letters() -> list[OutboxMessage]:
    """Bury the largest messages that topics take, also with everything in one part."""
    size = MAX_MESSAGE_BYTES - 100
    whole = Record(topics.COMMANDS, 10**5, 10**18, 0, b"key", bytes(size), (("name", b"value"),))
    records = [
        whole,
        replace(whole, value=None, key=bytes(size)),
        replace(whole, value=b"", headers=tuple((f"{n:04}", bytes(8_000)) for n in range(1_040))),
    ]
    every = [replace(r, topic=t) for r in records for t in (*topics.CONSUMED, topics.TIMERS)]
    return [dead_letter_message(DeadLetter(r, Reason.INVALID, "x" * 1_000), NOW) for r in every]


MAKERS: Final[list[Callable[[], list[OutboxMessage]]]] = [
    lambda: closed(Method.HUMAN),
    lambda: closed(Method.TIMEOUT),
    guests,
    changes_of_a_class,
    changes_of_a_student,
    corrections,
    results,
    notices,
    deadlines,
    letters,
]


def test_the_worst_message_of_each_topic_fits_it() -> None:
    worst: dict[str, int] = {}
    for message in (message for make in MAKERS for message in make()):
        worst[message.topic] = max(worst.get(message.topic, 0), in_kafka(message))
    own = {*topics.PUBLISHED, topics.TIMERS}
    assert worst.keys() == own | {*topics.DEAD_LETTER}
    assert max(worst[topic] for topic in own) <= MAX_MESSAGE_BYTES
    larger = MAX_MESSAGE_BYTES + DEAD_LETTER_HEADERS_BYTES
    assert max(worst[topic] for topic in topics.DEAD_LETTER) <= larger
    # Were this small, it would not be the worst.
    assert worst[topics.TIMEOUT_PROCESSED] > MAX_MESSAGE_BYTES / 2


def test_the_batch_that_no_topic_would_take_is_refused() -> None:
    [message] = [m for m in closed(Method.TIMEOUT, 10_000) if m.topic == topics.TIMEOUT_PROCESSED]
    assert in_kafka(message) > MAX_MESSAGE_BYTES
    found = tuple(MatchResult(UUID(int=number), ()) for number in range(10_000))
    delivery = Delivery(TAKEN, SuggestionMessage(ID, TRACE, ID, CLASS.id, found))
    facts = SuggestionFacts(
        now=NOW,
        handled=frozenset(),
        held=frozenset(),
        expired=frozenset(),
        classes={CLASS.id: CLASS},
        members={},
        students=frozenset(),
        batches={},
        associated_essays={},
        sizes={},
    )
    made = plan([delivery], facts, POLICY)
    assert made.outcomes == [Outcome.DEAD_LETTERED]
    assert [letter.reason for letter in made.dead_letters] == [Reason.BATCH_TOO_LARGE]
    assert (made.associations, made.messages) == ([], [])


# --- what is not even read, and dead letters without room ----------------------------------------


def suggested(results: list[object]) -> Record:
    data = {"batch_id": ID, "class_id": ID, "match_results": results}
    envelope = {"event_id": ID, "correlation_id": ID, "data": data}
    envelope["event_type"] = topics.MATCHES_SUGGESTED
    return replace(TAKEN, value=orjson.dumps(envelope))


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([{"essay_id": ID}] * (MAX_RESULTS + 1), Reason.BATCH_TOO_LARGE),
        ([{"essay_id": ID, "suggestions": [{}] * 1_001}], Reason.INVALID),
        ([{"essay_id": 1}], Reason.INVALID),
    ],
)
def test_more_results_than_are_read_are_too_many(results: list[object], reason: Reason) -> None:
    record = suggested(results)
    with pytest.raises(ValidationFailedError) as refused:
        parse_suggestions(record)
    assert unreadable(record, refused.value).reason is reason


@pytest.mark.parametrize(
    ("key", "value", "headers", "left_out"),
    [
        (b"key", bytes(MAX_MESSAGE_BYTES - 3), (), None),
        (b"key", bytes(MAX_MESSAGE_BYTES - 2), (), b"value"),
        (b"key", b"value", (("h", bytes(MAX_MESSAGE_BYTES)),), b"headers"),
        (bytes(MAX_MESSAGE_BYTES + 1), b"value", (("h", b""),), b"key"),
        (
            b"key",
            bytes(MAX_MESSAGE_BYTES + 1),
            (("h", bytes(MAX_MESSAGE_BYTES)),),
            b"headers,value",
        ),
    ],
)
def test_dead_letter_that_its_topic_would_not_take_leaves_out_the_largest_part(
    key: bytes, value: bytes, headers: tuple[tuple[str, bytes], ...], left_out: bytes | None
) -> None:
    # Its sender compressed it, so that its own topic took it.
    record = Record(topics.COMMANDS, 3, 41, 0, key, value, headers)
    message = dead_letter_message(DeadLetter(record, Reason.INVALID, "why"), NOW)
    assert in_kafka(message) <= MAX_MESSAGE_BYTES + DEAD_LETTER_HEADERS_BYTES
    parts = {"key": message.key, "value": message.value, "headers": message.headers[: len(headers)]}
    kept = {"key": key, "value": value, "headers": headers}
    gone = (left_out or b"").decode().split(",")
    assert {name: parts[name] == kept[name] for name in parts} == {
        name: name not in gone or (name == "headers" and not headers) for name in parts
    }
    added = dict(message.headers)
    assert added.get("dlt-left-out") == left_out
    assert added["dlt-offset"] == b"41"
