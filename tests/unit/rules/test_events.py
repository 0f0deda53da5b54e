"""What is published: envelopes, roster events, notifications, timer messages, dead letters."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import topics
from rules.closing import summary
from rules.courses import COURSES
from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message, delivery_id
from rules.events import notifications, roster, timers
from rules.events.associations import association_updated
from rules.events.envelopes import publish, to_json
from rules.ids import new_id
from rules.models import (
    ClassRecord,
    ClassSummary,
    NewClass,
    NewStudent,
    OutboxMessage,
    PendingBatch,
    Policy,
    Record,
    StudentRecord,
    Trace,
)
from store.clock import utc_now
from tests.unit.rules import members as contract
from tests.unit.rules.strategies import (
    BATCHES,
    CLASS,
    CLASSES,
    CORRELATION,
    ESSAYS,
    NOW,
    STUDENTS,
    TEACHER,
    TRACE,
    TRACEPARENT,
    data,
    envelope,
    names,
    person,
    topics_of,
)

# --- envelopes ---------------------------------------------------------------------------------


def test_envelope_has_the_contracts_members() -> None:
    message = publish("some.topic", BATCHES[0], {"a": 1}, TRACE, NOW)
    value = envelope(message)
    assert set(value) == contract.ENVELOPE
    assert value["event_type"] == message.topic == "some.topic"
    assert value["event_timestamp"] == "2026-11-20T08:15:30.123456Z"
    assert (value["source_service"], value["schema_version"]) == ("class_management_service", 1)
    assert value["correlation_id"] == str(CORRELATION)
    assert (value["data_schema_uri"], value["data"]) == (None, {"a": 1})
    assert value["metadata"] == {"traceparent": TRACEPARENT}
    assert message.key == str(BATCHES[0]).encode()
    assert {name: text.decode() for name, text in message.headers} == {
        "event_id": value["event_id"],
        "event_type": "some.topic",
        "correlation_id": str(CORRELATION),
        "content-type": "application/json",
        "traceparent": TRACEPARENT,
    }


def test_envelope_without_a_trace_names_none() -> None:
    message = publish("some.topic", "key", {}, Trace(CORRELATION), NOW)
    assert "traceparent" not in dict(message.headers)
    assert envelope(message)["metadata"] is None


#: Texts that look like the places where the headers are cut out of an envelope.
LURES = st.sampled_from(
    [
        f'"correlation_id":"{BATCHES[0]}"',
        f'"event_id":"{BATCHES[0]}"',
        '"metadata":null}',
        '"metadata":{"traceparent":"',
        'nul"}}',
        "\\",
    ]
)


@given(
    key=names | LURES | st.uuids(),
    members=st.dictionaries(names | LURES, names | LURES | st.none() | st.just(NOW) | st.uuids()),
    trace=st.builds(Trace, st.uuids(), st.sampled_from([None, TRACEPARENT])),
    at=st.sampled_from([NOW, NOW.replace(microsecond=0)]),
    event_id=st.none() | st.uuids(),
)
def test_headers_say_what_the_envelope_says(
    key: str | UUID, members: dict[str, object], trace: Trace, at: datetime, event_id: UUID | None
) -> None:
    message = publish("some.topic", key, members, trace, at, event_id)
    value = envelope(message)
    said = {"event_id": value["event_id"], "event_type": "some.topic"}
    said |= {"correlation_id": str(trace.correlation_id), "content-type": "application/json"}
    if trace.traceparent:
        said["traceparent"] = trace.traceparent
    assert [(name, text.decode()) for name, text in message.headers] == list(said.items())
    assert message.key == str(key).encode()
    assert value["data"] == orjson.loads(to_json(members))
    assert event_id is None or value["event_id"] == str(event_id)


def test_each_event_has_an_id_of_its_own() -> None:
    ids = {envelope(publish("t", "k", {}, TRACE, NOW))["event_id"] for _ in range(100)}
    assert len(ids) == 100


def test_key_of_any_script_is_utf8() -> None:
    assert publish("t", "lärare-معلم", {}, TRACE, NOW).key == "lärare-معلم".encode()


def test_instants_are_written_in_utc() -> None:
    assert to_json(NOW) == b'"2026-11-20T08:15:30.123456Z"'
    assert utc_now().utcoffset() == timedelta(0)


def test_ids_of_a_driver_are_written_like_any() -> None:
    class DriverId(UUID):
        pass

    text = "11111111-1111-4111-8111-0000000000c9"
    assert to_json({"id": DriverId(text)}) == to_json({"id": UUID(text)})
    with pytest.raises(TypeError):
        to_json({"id": object()})


def test_new_ids_rise() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert {one.version for one in ids} == {7}


# --- classes and students ----------------------------------------------------------------------


def check_stamp(message: OutboxMessage) -> None:
    body = data(message)
    assert body["correlation_id"] == str(CORRELATION)
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() == timedelta(0)
    assert dict(message.headers)["traceparent"] == TRACEPARENT.encode()


def test_class_created() -> None:
    created, told = roster.class_created(TEACHER, NewClass(CLASS.id, "9A", "SV1", "9A-2026"), NOW)
    check_stamp(created)
    assert (created.topic, created.key) == (topics.CLASS_CREATED, str(CLASS.id).encode())
    assert set(data(created)) == contract.CLASS_CREATED
    assert data(created)["event"] == "class.created"
    assert (data(created)["course_codes"], data(created)["external_id"]) == (["SV1"], "9A-2026")
    assert data(told)["notification_type"] == "class_created"


def test_class_updated() -> None:
    record = ClassRecord(CLASS.id, "teacher-1", "9B", "SV2", 0, 2, NOW, NOW, "9B-2026")
    [updated] = roster.class_updated(TEACHER, record, NOW)
    check_stamp(updated)
    assert updated.topic == topics.CLASS_UPDATED
    assert set(data(updated)) == contract.CLASS_UPDATED
    assert data(updated)["event"] == "class.updated"
    assert data(updated)["external_id"] == "9B-2026"
    assert (data(updated)["class_designation"], data(updated)["course_codes"]) == ("9B", ["SV2"])


def test_class_deleted() -> None:
    [deleted] = roster.class_deleted(TEACHER, CLASS.id, "9A-2026", NOW)
    check_stamp(deleted)
    assert (deleted.topic, deleted.key) == (topics.CLASS_DELETED, str(CLASS.id).encode())
    assert set(data(deleted)) == contract.CLASS_DELETED
    assert data(deleted)["event"] == "class.deleted"
    assert data(deleted)["external_id"] == "9A-2026"


def test_student_created() -> None:
    second = ClassSummary(CLASSES[1], "teacher-1", "9B", "SV1")
    joined = CLASS.id, second.id
    new = NewStudent(STUDENTS[0], person(), "a@b.example", joined, external_id="4711")
    created, *told = roster.student_created(TEACHER, new, [CLASS, second], NOW)
    check_stamp(created)
    assert (created.topic, created.key) == (topics.STUDENT_CREATED, str(new.id).encode())
    assert set(data(created)) == contract.STUDENT_CREATED
    assert data(created)["event"] == "student.created"
    assert data(created)["external_id"] == "4711"
    assert data(created)["class_ids"] == [str(CLASS.id), str(second.id)]
    assert [data(one)["payload"]["class_designation"] for one in told] == ["9A", "9B"]
    assert {data(one)["timestamp"] for one in (created, *told)} == {data(created)["timestamp"]}


def test_student_updated() -> None:
    record = StudentRecord(
        STUDENTS[0], "teacher-1", person(), None, (), 2, NOW, NOW, external_id="4711"
    )
    messages = roster.student_updated(TEACHER, record, [CLASS], [CLASSES[1]], NOW)
    assert topics_of(messages) == [topics.STUDENT_UPDATED, topics.NOTIFICATION_REQUESTED]
    updated = messages[0]
    check_stamp(updated)
    assert set(data(updated)) == contract.STUDENT_UPDATED
    assert data(updated)["event"] == "student.updated"
    assert data(updated)["external_id"] == "4711"
    assert data(updated)["student_email"] is None
    assert data(updated)["add_class_ids"] == [str(CLASS.id)]
    assert data(updated)["remove_class_ids"] == [str(CLASSES[1])]


def test_student_deleted() -> None:
    [deleted] = roster.student_deleted(TEACHER, STUDENTS[0], "4711", NOW)
    check_stamp(deleted)
    assert (deleted.topic, deleted.key) == (topics.STUDENT_DELETED, str(STUDENTS[0]).encode())
    assert set(data(deleted)) == contract.STUDENT_DELETED
    assert data(deleted)["event"] == "student.deleted"
    assert data(deleted)["external_id"] == "4711"


STUDENT = StudentRecord(
    STUDENTS[0], TEACHER.user_id, person("Åsa", "Öberg"), "asa@skola.se", (CLASS.id,), 1, NOW, NOW
)


@pytest.mark.parametrize("student", [STUDENT, None], ids=["a student", "nobody"])
def test_association_updated(student: StudentRecord | None) -> None:
    updated = association_updated(TEACHER, BATCHES[0], ESSAYS[0], student, NOW)
    check_stamp(updated)
    assert (updated.topic, updated.key) == (topics.ASSOCIATION_UPDATED, str(BATCHES[0]).encode())
    body = data(updated)
    assert set(body) == contract.ASSOCIATION_UPDATED
    assert body["event"] == "essay.student.association.updated"
    assert (body["batch_id"], body["essay_id"]) == (str(BATCHES[0]), str(ESSAYS[0]))
    named = [body[name] for name in ("student_id", "first_name", "last_name", "student_email")]
    assert named == ([str(STUDENT.id), "Åsa", "Öberg", "asa@skola.se"] if student else [None] * 4)
    assert (body["association_method"], body["confidence_score"]) == ("manual", None)
    assert body["created_by_user_id"] == TEACHER.user_id


@given(names, names)
def test_names_of_any_script_are_published_as_they_are(first: str, last: str) -> None:
    new = NewStudent(STUDENTS[0], person(first, last), None)
    [created] = roster.student_created(TEACHER, new, [], NOW)
    assert (data(created)["first_name"], data(created)["last_name"]) == (first, last)
    [other] = roster.student_created(TEACHER, NewStudent(STUDENTS[0], person(), None), [], NOW)
    assert created.headers[1:] == other.headers[1:]  # all but the event's id


# --- notifications -----------------------------------------------------------------------------

SUBJECT = notifications.Subject(
    "lärare-1", TRACE, NOW, class_id=CLASS.id, batch_id=BATCHES[0], deadline=NOW
)
TABLE = [
    (
        notifications.class_created(CLASS, TRACE, NOW),
        ("class_created", "class_management", "standard", False),
    ),
    (
        notifications.student_added(CLASS, STUDENTS[0], "Åsa Öberg", TRACE, NOW),
        ("student_added_to_class", "class_management", "low", False),
    ),
    (
        notifications.matches_suggested(SUBJECT, 4, 2),
        ("student_matches_suggested", "student_workflow", "high", True),
    ),
    (
        notifications.timeout_processed(SUBJECT, 3, Policy()),
        ("validation_timeout_processed", "student_workflow", "immediate", False),
    ),
    (
        notifications.associations_confirmed(
            SUBJECT, summary([]) | {"confirmed": 5, "total_associations": 6}, timeout_triggered=True
        ),
        ("student_associations_confirmed", "student_workflow", "high", False),
    ),
]


@pytest.mark.parametrize(("message", "row"), TABLE, ids=[row[0] for _, row in TABLE])
def test_notification_is_as_the_contracts_table_says(
    message: OutboxMessage, row: tuple[str, str, str, bool]
) -> None:
    body = data(message)
    assert message.topic == topics.NOTIFICATION_REQUESTED
    assert message.key == body["teacher_id"].encode()
    assert set(body) == contract.NOTIFICATION
    found = (body["notification_type"], body["category"], body["priority"], body["action_required"])
    assert found == row
    assert set(body["payload"]) == contract.PAYLOADS[row[0]]
    assert body["correlation_id"] == str(CORRELATION)
    assert body["class_id"] == str(CLASS.id)


def test_only_what_asks_for_something_has_a_deadline() -> None:
    subject = replace(SUBJECT, deadline=None)
    asked = data(notifications.matches_suggested(SUBJECT, 4, 2))
    told = data(notifications.timeout_processed(subject, 3, Policy()))
    assert asked["deadline_timestamp"] == "2026-11-20T08:15:30.123456Z"
    assert told["deadline_timestamp"] is None
    assert (asked["payload"]["suggested_count"], asked["payload"]["unmatched_count"]) == (4, 2)
    assert told["payload"]["auto_confirmed_count"] == 3


@pytest.mark.parametrize(
    ("timeout", "text"),
    [
        (timedelta(hours=24), "24 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(seconds=9), "9 seconds"),
        (timedelta(hours=0.004), "14.4 seconds"),
        (timedelta(days=300, seconds=0.5), "25920000.5 seconds"),
    ],
)
def test_message_tells_the_timeout_exactly(timeout: timedelta, text: str) -> None:
    message = notifications.timeout_processed(SUBJECT, 2, Policy(timeout=timeout))
    expected = f"Nobody decided within {text}: 2 suggestions were kept."
    assert data(message)["payload"]["message"] == expected


@pytest.mark.parametrize(
    ("suggested", "unmatched", "text"),
    [
        (1, 0, "1 essay has a suggested student, 0 have none."),
        (0, 1, "0 essays have a suggested student, 1 has none."),
        (4, 2, "4 essays have a suggested student, 2 have none."),
    ],
)
def test_message_counts_the_essays_with_suggestions(
    suggested: int, unmatched: int, text: str
) -> None:
    message = notifications.matches_suggested(SUBJECT, suggested, unmatched)
    assert data(message)["payload"]["message"] == text


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        (0, "0 suggestions were kept."),
        (1, "1 suggestion was kept."),
        (2, "2 suggestions were kept."),
    ],
)
def test_message_counts_the_suggestions_that_were_kept(kept: int, text: str) -> None:
    message = notifications.timeout_processed(SUBJECT, kept, Policy())
    assert data(message)["payload"]["message"] == f"Nobody decided within 24 hours: {text}"


@pytest.mark.parametrize(
    ("total", "text"),
    [
        (0, "The batch has no essays to decide."),
        (1, "The only essay of the batch is decided."),
        (2, "All 2 essays of the batch are decided."),
    ],
)
def test_message_counts_the_decided_essays(total: int, text: str) -> None:
    counts = summary([]) | {"confirmed": total, "total_associations": total}
    message = notifications.associations_confirmed(SUBJECT, counts, timeout_triggered=False)
    assert data(message)["payload"]["message"] == text


# --- timers ------------------------------------------------------------------------------------


def test_timer_messages_hold_ids_counts_and_instants_only() -> None:
    pending = PendingBatch(BATCHES[0], CLASS.id, 3, NOW)
    armed = timers.armed(pending, TRACE, NOW)
    cleared = timers.cleared(BATCHES[0], TRACE, NOW)
    for message in (armed, cleared):
        assert (message.topic, message.key) == (topics.TIMERS, str(BATCHES[0]).encode())
    assert data(armed) == {
        "event": "armed",
        "batch_id": str(BATCHES[0]),
        "class_id": str(CLASS.id),
        "pending_count": 3,
        "confirm_by": "2026-11-20T08:15:30.123456Z",
        "armed_at": "2026-11-20T08:15:30.123456Z",
    }
    assert data(cleared) == {"event": "cleared", "batch_id": str(BATCHES[0])}


# --- dead letters ------------------------------------------------------------------------------

RECORD = Record("t.v1", 3, 42, 1_700_000_000_000, b"key", b"\xff", (("h", b"\x00"), ("h", b"2")))


def test_dead_letter_keeps_the_record_and_says_why() -> None:
    letter = DeadLetter(RECORD, Reason.UNREADABLE, "no JSON at 0")
    message = dead_letter_message(letter, NOW)
    assert (message.topic, message.key, message.value) == ("t.v1.dlt", b"key", b"\xff")
    assert message.headers[:2] == RECORD.headers
    added = {name: value.decode() for name, value in message.headers[2:]}
    assert tuple(added) == contract.DEAD_LETTER_HEADERS
    assert added["dlt-reason"] == "unreadable"
    assert added["dlt-exception"] == "no JSON at 0"
    assert (added["dlt-topic"], added["dlt-partition"], added["dlt-offset"]) == ("t.v1", "3", "42")
    assert datetime.fromisoformat(added["dlt-timestamp"]) == NOW


def test_tombstone_without_key_can_be_a_dead_letter() -> None:
    record = replace(RECORD, key=None, value=None, headers=())
    message = dead_letter_message(DeadLetter(record, Reason.INVALID, ""), NOW)
    assert (message.key, message.value) == (None, None)


def test_delivery_is_the_same_each_time() -> None:
    assert delivery_id(RECORD) == delivery_id(replace(RECORD, headers=(), key=None))


@pytest.mark.parametrize(
    "other",
    [
        replace(RECORD, topic="t.v2"),
        replace(RECORD, partition=4),
        replace(RECORD, offset=43),
        replace(RECORD, timestamp_ms=1_700_000_000_001),
        replace(RECORD, value=b"\xfe"),
    ],
)
def test_delivery_of_another_record_is_another(other: Record) -> None:
    assert delivery_id(other) != delivery_id(RECORD)


def test_delivery_ids_never_change() -> None:
    # They are kept in the inbox: a new version must know what an old one buried.
    record = Record("topic", 0, 0, 0, None, None, ())
    assert str(delivery_id(record)) == "499ba16f-7b6f-517d-a3e2-096a2650ee31"


# --- reference data ----------------------------------------------------------------------------


def test_courses_are_the_contracts() -> None:
    rows = [(course.code, course.name, course.language) for course in COURSES.values()]
    assert rows == [
        ("ENG5", "English 5", "en"),
        ("ENG6", "English 6", "en"),
        ("ENG7", "English 7", "en"),
        ("SV1", "Svenska 1", "sv"),
        ("SV2", "Svenska 2", "sv"),
        ("SV3", "Svenska 3", "sv"),
    ]


def test_topics_are_the_contracts() -> None:
    assert set(topics.PUBLISHED) == {
        "huleedu.class.created.v1",
        "huleedu.class.updated.v1",
        "huleedu.class.deleted.v1",
        "huleedu.class.student.created.v1",
        "huleedu.class.student.updated.v1",
        "huleedu.class.student.deleted.v1",
        "huleedu.class.student.associations.confirmed.v1",
        "huleedu.class.essay.association.updated.v1",
        "huleedu.class.validation.timeout.processed.v1",
        "huleedu.notification.teacher.requested.v1",
        "huleedu.class.command.results.v1",
    }
    assert set(topics.CONSUMED) == {
        "huleedu.batch.author.matches.suggested.v1",
        "huleedu.class.commands.v1",
    }
    assert topics.TIMERS == "class-management.timers.v1"
    assert len(topics.ALL) == len(set(topics.ALL))
    for topic in (*topics.CONSUMED, topics.TIMERS):
        assert topics.dead_letter_topic(topic) == f"{topic}.dlt"
        assert f"{topic}.dlt" in topics.ALL


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_survive(at: datetime) -> None:
    assert datetime.fromisoformat(orjson.loads(to_json(at))) == at
