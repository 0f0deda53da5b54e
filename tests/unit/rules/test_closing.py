"""What a batch publishes when it closes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import topics
from rules.closing import ClosingBatch, NamedStudent, close, summary
from rules.models import Association, Method, OutboxMessage, Policy, Status
from tests.unit.rules import members as contract
from tests.unit.rules.strategies import (
    BATCH,
    CLASS,
    CORRELATION,
    ESSAYS,
    NOW,
    STUDENTS,
    TRACEPARENT,
    association,
    data,
    envelope,
    topics_of,
)

UNKNOWN = STUDENTS[5]
NAMED = {
    student: NamedStudent(f"First{i}", f"Last{i}", f"s{i}@school.example" if i else None)
    for i, student in enumerate(STUDENTS)
}
CONFIRMED = association(ESSAYS[0], Status.CONFIRMED, student=STUDENTS[0])
AUTO = association(ESSAYS[1], Status.CONFIRMED, student=STUDENTS[0], method=Method.AUTO)
REJECTED = association(ESSAYS[2], Status.REJECTED)
KEPT = association(ESSAYS[3], Status.TIMEOUT_CONFIRMED, student=STUDENTS[0], confidence=0.7)
GUEST = association(ESSAYS[4], Status.TIMEOUT_CONFIRMED, student=UNKNOWN, confidence=0.69)
UNMATCHED = association(ESSAYS[5], Status.TIMEOUT_CONFIRMED, student=UNKNOWN, suggested=None)


def closed(*associations: Association, policy: Policy | None = None) -> list[OutboxMessage]:
    closing = ClosingBatch(replace(BATCH, closed_at=NOW), CLASS, associations, NAMED)
    return close(closing, policy or Policy(), NOW)


def test_essay_for_which_unknown_was_suggested_is_a_guest() -> None:
    suggested = replace(KEPT, student_id=UNKNOWN, suggested_student_id=UNKNOWN)
    students = {**NAMED, UNKNOWN: NamedStudent("UNKNOWN", "STUDENT", None, is_placeholder=True)}
    closing = ClosingBatch(replace(BATCH, closed_at=NOW), CLASS, [suggested, CONFIRMED], students)
    body = data(close(closing, Policy(), NOW)[1])
    assert body["guest_essays"] == [str(ESSAYS[3])]
    assert body["auto_confirmed_associations"] == []


def test_humans_alone_publish_no_timeout() -> None:
    messages = closed(CONFIRMED, AUTO, REJECTED)
    expected = [topics.ASSOCIATIONS_CONFIRMED, topics.NOTIFICATION_REQUESTED]
    assert topics_of(messages) == expected
    assert data(messages[0])["timeout_triggered"] is False


def test_clock_publishes_its_event_and_its_notification() -> None:
    messages = closed(CONFIRMED, KEPT)
    assert topics_of(messages) == [
        topics.ASSOCIATIONS_CONFIRMED,
        topics.TIMEOUT_PROCESSED,
        topics.NOTIFICATION_REQUESTED,
        topics.NOTIFICATION_REQUESTED,
    ]
    assert data(messages[0])["timeout_triggered"] is True
    kinds = [data(message)["notification_type"] for message in messages[2:]]
    assert kinds == ["validation_timeout_processed", "student_associations_confirmed"]


def test_what_the_clock_decided_and_a_teacher_corrected_still_counts() -> None:
    batch = replace(BATCH, closed_at=NOW, timeout_triggered=True)
    messages = close(ClosingBatch(batch, CLASS, [CONFIRMED], NAMED), Policy(), NOW)
    assert topics_of(messages)[:2] == [topics.ASSOCIATIONS_CONFIRMED, topics.TIMEOUT_PROCESSED]
    confirmed, timeout = data(messages[0]), data(messages[1])
    assert confirmed["timeout_triggered"] is True
    assert confirmed["validation_summary"]["timeout"] == 0
    assert (timeout["auto_confirmed_associations"], timeout["guest_essays"]) == ([], [])


def test_confirmed_event() -> None:
    event = closed(CONFIRMED, REJECTED)[0]
    assert event.key == str(BATCH.id).encode()
    assert envelope(event)["correlation_id"] == str(CORRELATION)
    assert dict(event.headers)["traceparent"] == TRACEPARENT.encode()
    body = data(event)
    assert set(body) == contract.ASSOCIATIONS_CONFIRMED
    assert body["event_name"] == "student.associations.confirmed"
    assert body["entity_id"] == body["batch_id"] == str(BATCH.id)
    assert (body["entity_type"], body["parent_id"]) == ("batch", None)
    assert body["timestamp"] == "2026-11-20T08:15:30.123456Z"
    assert (body["class_id"], body["course_code"]) == (str(CLASS.id), "SV1")
    confirmed, rejected = body["associations"]
    assert set(confirmed) == set(rejected) == contract.CONFIRMED_ASSOCIATION
    assert confirmed["student_id"] == str(STUDENTS[0])
    assert confirmed["validation_method"] == "human"
    assert confirmed["validated_by"] == "somebody"
    assert rejected["student_id"] is None


def test_timeout_event() -> None:
    event = closed(CONFIRMED, KEPT, GUEST, UNMATCHED, policy=Policy())[1]
    assert event.key == str(BATCH.id).encode()
    body = data(event)
    assert set(body) == contract.TIMEOUT_PROCESSED
    assert body["event_name"] == "validation.timeout.processed"
    assert (body["user_id"], body["timeout_hours"]) == (CLASS.owner_id, 24)
    assert body["timeout_seconds"] == 24 * 60 * 60
    [kept] = body["auto_confirmed_associations"]
    assert kept == {
        "essay_id": str(ESSAYS[3]),
        "student_first_name": "First0",
        "student_last_name": "Last0",
        "student_email": None,
        "confidence_score": 0.7,
        "is_confirmed": True,
    }
    assert body["guest_essays"] == [str(ESSAYS[4]), str(ESSAYS[5])]
    assert (body["guest_class_created"], body["guest_class_id"]) == (False, None)
    assert body["timestamp"] == body["processing_timestamp"]


@pytest.mark.parametrize(
    ("timeout", "hours", "seconds"),
    [
        (timedelta(hours=24), 24, 86400),
        (timedelta(hours=1), 1, 3600),
        (timedelta(hours=1, microseconds=1), 2, 3600.000001),
        (timedelta(minutes=30), 1, 1800),
        (timedelta(hours=0.004), 1, 14.4),
    ],
)
def test_timeout_is_told_in_whole_hours_and_exact_seconds(
    timeout: timedelta, hours: int, seconds: float
) -> None:
    _, event, notification, _ = closed(KEPT, policy=Policy(timeout=timeout))
    body = data(event)
    assert (body["timeout_hours"], body["timeout_seconds"]) == (hours, seconds)
    assert isinstance(body["timeout_hours"], int)
    assert isinstance(body["timeout_seconds"], type(seconds))
    told = data(notification)["payload"]["timeout_hours"]
    assert (told, isinstance(told, int)) == (hours, True)


def test_student_deleted_after_the_clock_decided_is_not_named() -> None:
    gone = replace(KEPT, student_id=None, suggested_student_id=None)
    messages = closed(gone, CONFIRMED)
    assert data(messages[0])["associations"][0]["student_id"] is None
    assert data(messages[1])["auto_confirmed_associations"] == []


def test_notifications_of_a_closed_batch() -> None:
    *_, timeout, confirmed = [data(message) for message in closed(CONFIRMED, KEPT, GUEST)]
    for body in (timeout, confirmed):
        assert body["teacher_id"] == CLASS.owner_id
        assert (body["batch_id"], body["class_id"]) == (str(BATCH.id), str(CLASS.id))
        assert set(body["payload"]) == contract.PAYLOADS[body["notification_type"]]
    assert timeout["payload"]["auto_confirmed_count"] == 1
    assert timeout["payload"]["timeout_hours"] == 24
    assert confirmed["payload"]["confirmed_count"] == 3
    assert confirmed["payload"]["timeout_triggered"] is True


@pytest.mark.parametrize(
    ("associations", "expected"),
    [
        ([], (0, 0, 0, 0, 0, 0)),
        ([CONFIRMED], (1, 1, 0, 1, 0, 0)),
        ([AUTO], (1, 1, 0, 0, 0, 1)),
        ([REJECTED], (1, 0, 1, 1, 0, 0)),
        ([KEPT, GUEST], (2, 2, 0, 0, 2, 0)),
        ([CONFIRMED, AUTO, REJECTED, KEPT, GUEST], (5, 4, 1, 2, 2, 1)),
    ],
)
def test_summary(associations: list[Association], expected: tuple[int, ...]) -> None:
    names = ("total_associations", "confirmed", "rejected", "human", "timeout", "auto")
    assert summary(associations) == dict(zip(names, expected, strict=True))


decided = st.lists(st.sampled_from([CONFIRMED, AUTO, REJECTED, KEPT, GUEST, UNMATCHED]), min_size=1)


@given(decided)
def test_summary_adds_up(associations: list[Association]) -> None:
    counted = summary(associations)
    assert set(counted) == contract.SUMMARY
    assert counted["total_associations"] == len(associations)
    assert counted["confirmed"] + counted["rejected"] == len(associations)
    assert counted["human"] + counted["timeout"] + counted["auto"] == len(associations)


@given(decided)
def test_one_confirmed_event_with_all_associations(associations: list[Association]) -> None:
    messages = closed(*associations)
    assert topics_of(messages).count(topics.ASSOCIATIONS_CONFIRMED) == 1
    body = data(messages[0])
    assert [a["essay_id"] for a in body["associations"]] == [str(a.essay_id) for a in associations]
    by_clock = [a for a in associations if a.method is Method.TIMEOUT]
    assert body["timeout_triggered"] is bool(by_clock)
    if by_clock:
        told = data(messages[1])
        named = [a["essay_id"] for a in told["auto_confirmed_associations"]]
        assert sorted(named + told["guest_essays"]) == sorted(str(a.essay_id) for a in by_clock)
