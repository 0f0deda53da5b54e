"""The sample messages, decided by the clock."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Final

import pytest

from devstack.rig.database import Database
from devstack.rig.http import Roster, Teacher
from devstack.rig.kafka import (
    CONFIRMED,
    DEAD_SUGGESTIONS,
    NOTIFICATIONS,
    TIMED_OUT,
    Message,
    Topics,
)
from devstack.rig.redis import RedisListener, listening
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import Suggested, is_uuid, sample, suggest
from devstack.rig.waiting import until

TIMEOUT_SECONDS: Final = 3
HOURS: Final = TIMEOUT_SECONDS / 3600
STUDENTS: Final = (
    ("Åsa", "Öberg", "asa.oberg@skola.example"),
    ("Björn", "Lindström", None),
    ("Carl-Johan", "von Essen", None),
    ("Đorđe", "Petrović", None),
    ("Eva", "Åkesson", None),
    ("Erik", "Lindström", None),
)
#: The last digits of the ids in the sample.
CLASS: Final = "1"
FIRST_STUDENT: Final = 0x64

ENVELOPE: Final = {
    "event_id",
    "event_type",
    "event_timestamp",
    "source_service",
    "schema_version",
    "correlation_id",
    "data_schema_uri",
    "data",
    "metadata",
}
CONFIRMED_MEMBERS: Final = {
    "event_name",
    "entity_id",
    "entity_type",
    "parent_id",
    "timestamp",
    "batch_id",
    "class_id",
    "course_code",
    "associations",
    "timeout_triggered",
    "validation_summary",
}
TIMEOUT_MEMBERS: Final = {
    "event_name",
    "entity_id",
    "entity_type",
    "parent_id",
    "timestamp",
    "batch_id",
    "user_id",
    "timeout_hours",
    "timeout_seconds",
    "auto_confirmed_associations",
    "guest_essays",
    "guest_class_created",
    "guest_class_id",
    "processing_timestamp",
}
ASSOCIATION_MEMBERS: Final = {
    "essay_id",
    "student_id",
    "confidence_score",
    "validation_method",
    "validated_by",
    "validated_at",
}
REAL_TIME_MEMBERS: Final = {
    "category",
    "priority",
    "action_required",
    "deadline",
    "batch_id",
    "class_id",
    "correlation_id",
    "timestamp",
    "event_id",
}


@pytest.fixture
def settings() -> Mapping[str, str]:
    return {"TIMEOUT_HOURS": str(HOURS)}


@pytest.fixture
async def browser(host: Host, teacher: Teacher) -> AsyncIterator[RedisListener]:
    """Listen for what the teacher is told, from before anything happens."""
    assert host.stack.valkey is not None
    async with listening(host.stack.valkey.url, teacher.id) as listener:
        yield listener


async def the_class(teacher: Teacher) -> Roster:
    """Make the class of the sample."""
    class_id = await teacher.new_class("Sv 1")
    ids = [
        await teacher.new_student(class_id, first=first, last=last, email=email)
        for first, last, email in STUDENTS
    ]
    return Roster(class_id, ids)


def the_sample(roster: Roster) -> Suggested:
    """Return the first sample about this class."""
    digits = [f"{FIRST_STUDENT + number:x}" for number in range(len(roster.student_ids))]
    return sample(1, {CLASS: roster.class_id, **dict(zip(digits, roster.student_ids, strict=True))})


async def test_the_sample_is_decided_by_the_clock(
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    database: Database,
    browser: RedisListener,
) -> None:
    roster = await the_class(teacher)
    asa, bjorn, carl, *_ = roster.student_ids
    batch = the_sample(roster)
    essays = batch.essay_ids
    await topics.suggest(batch)
    waiting = await teacher.stored(batch.batch_id, essays=6)
    deadline = await database.deadline(batch.batch_id)
    suggested = {a["essay_id"]: (a["suggested_student_id"], a["confidence_score"]) for a in waiting}
    assert suggested == {
        essays[0]: (asa, 0.97),
        essays[1]: (bjorn, 0.74),
        essays[2]: (carl, 0.7),
        essays[3]: (roster.student_ids[3], 0.69),
        essays[4]: (None, 0),
        essays[5]: (None, 0),
    }

    confirmed = await topics.expect_one(CONFIRMED, batch.batch_id)
    timeout = await topics.expect_one(TIMED_OUT, batch.batch_id)
    listed = (await teacher.done("GET", f"/v1/classes/{roster.class_id}"))["students"]
    (unknown,) = (s for s in listed if s["is_placeholder"])
    assert (unknown["first_name"], unknown["last_name"]) == ("UNKNOWN", "STUDENT")
    assert unknown["email"] == f"unknown.{roster.class_id}@huleedu.system"

    given = [asa, bjorn, carl, *[unknown["id"]] * 3]
    confidences = [0.97, 0.74, 0.7, 0.69, 0, 0]
    expected = zip(given, confidences, strict=True)
    check_confirmed(confirmed, batch, dict(zip(essays, expected, strict=True)))
    assert confirmed.data["class_id"] == roster.class_id
    check_timeout(timeout, batch, teacher)
    for message in (confirmed, timeout):
        check_envelope(message, batch)

    names = await teacher.http.internal_json(f"/internal/v1/batches/{batch.batch_id}/student-names")
    assert {n["essay_id"]: n["student_id"] for n in names} == dict(zip(essays, given, strict=True))
    assert await database.decided_early(batch.batch_id) == []

    await check_real_time(browser, batch, roster, deadline)
    await topics.settle()
    assert len(topics.now(CONFIRMED, batch.batch_id)) == 1
    assert len(topics.now(TIMED_OUT, batch.batch_id)) == 1
    about = [m for m in topics.now(NOTIFICATIONS, teacher.id) if m.data["batch_id"]]
    assert sorted(m.data["notification_type"] for m in about) == [
        "student_associations_confirmed",
        "student_matches_suggested",
        "validation_timeout_processed",
    ]
    assert topics.now(DEAD_SUGGESTIONS, batch.batch_id) == []
    await decided_by_a_timer(service, topics, roster.class_id)


async def decided_by_a_timer(service: ServiceProcess, topics: Topics, class_id: str) -> None:
    """Wait for a batch that its timer decides: on a busy machine the net under it may be first."""

    async def look() -> bool:
        if "timer" in {line["found_by"] for line in service.logged("decided by the clock")}:
            return True
        another = suggest(class_id, [])
        await topics.suggest(another)
        await topics.expect_one(CONFIRMED, another.batch_id)
        return False

    await until("a batch that its timer decides", look)


async def test_the_legacy_sample_is_dead_lettered(teacher: Teacher, topics: Topics) -> None:
    legacy = sample(2, {})
    key = f"single-essay-batch-{teacher.id}"
    headers = (("source", "språktjänst".encode()), ("n", b""))
    await topics.send(legacy.value, key, headers)
    (letter,) = await topics.expect(DEAD_SUGGESTIONS, key)
    assert (letter.value, letter.headers[:2]) == (legacy.value, headers)
    assert letter.header("dlt-reason") == "invalid_message"
    assert "batch_id" in letter.header("dlt-exception")


def check_envelope(message: Message, batch: Suggested) -> None:
    """Check what every event has, and that it goes back to its message."""
    envelope = message.envelope
    assert envelope.keys() >= ENVELOPE
    assert is_uuid(message.event_id)
    assert envelope["event_type"] == message.topic
    assert envelope["source_service"] == "class_management_service"
    assert envelope["schema_version"] == 1
    assert envelope["correlation_id"] == batch.correlation_id
    assert datetime.fromisoformat(envelope["event_timestamp"]).tzinfo is not None
    assert message.header("event_id") == message.event_id
    assert message.header("event_type") == message.topic
    assert message.header("correlation_id") == batch.correlation_id
    assert message.header("content-type") == "application/json"
    sent = batch.envelope["metadata"]["traceparent"]
    assert message.header("traceparent").split("-")[1] == sent.split("-")[1]


def check_confirmed(
    message: Message, batch: Suggested, given: Mapping[str, tuple[str, float]]
) -> None:
    """Check the event that other services advance the batch on."""
    data = message.data
    assert data.keys() >= CONFIRMED_MEMBERS
    assert (data["event_name"], data["entity_type"], data["parent_id"]) == (
        "student.associations.confirmed",
        "batch",
        None,
    )
    assert data["entity_id"] == data["batch_id"] == batch.batch_id
    assert (data["course_code"], data["timeout_triggered"]) == ("SV1", True)
    assert data["validation_summary"] == {
        "total_associations": 6,
        "confirmed": 6,
        "rejected": 0,
        "human": 0,
        "timeout": 6,
        "auto": 0,
    }
    told = {a["essay_id"]: a for a in data["associations"]}
    assert len(data["associations"]) == len(told)
    assert {e: (a["student_id"], a["confidence_score"]) for e, a in told.items()} == given
    for association in told.values():
        assert association.keys() >= ASSOCIATION_MEMBERS
        assert association["validation_method"] == "timeout"
        assert association["validated_by"] == "SYSTEM_TIMEOUT"
        assert datetime.fromisoformat(association["validated_at"]).tzinfo is not None


def check_timeout(message: Message, batch: Suggested, teacher: Teacher) -> None:
    """Check the event that tells what the clock did."""
    data = message.data
    assert data.keys() >= TIMEOUT_MEMBERS
    assert data["event_name"] == "validation.timeout.processed"
    assert data["entity_id"] == data["batch_id"] == batch.batch_id
    assert (data["user_id"], data["timeout_hours"]) == (teacher.id, 1)
    assert data["timeout_seconds"] == pytest.approx(TIMEOUT_SECONDS)
    assert (data["guest_class_created"], data["guest_class_id"]) == (False, None)
    assert sorted(data["guest_essays"]) == sorted(batch.essay_ids[3:])
    kept = sorted(data["auto_confirmed_associations"], key=lambda a: -a["confidence_score"])
    assert kept == [
        {
            "essay_id": essay_id,
            "student_first_name": first,
            "student_last_name": last,
            "student_email": email,
            "confidence_score": confidence,
            "is_confirmed": True,
        }
        for essay_id, (first, last, email), confidence in zip(
            batch.essay_ids[:3], STUDENTS[:3], (0.97, 0.74, 0.7), strict=True
        )
    ]


async def check_real_time(
    browser: RedisListener, batch: Suggested, roster: Roster, deadline: datetime
) -> None:
    """Check every message that the teacher's browser got."""
    suggested, timeout, confirmed = await browser.expect(
        "student_matches_suggested",
        "validation_timeout_processed",
        "student_associations_confirmed",
        batch_id=batch.batch_id,
    )
    for message in browser.messages:
        assert message.keys() == {"event", "data"}
        assert message["data"].keys() >= REAL_TIME_MEMBERS
        assert message["data"]["message"]
    created, *added = browser.messages[: 1 + len(STUDENTS)]
    assert created["event"] == "class_created"
    assert has(created, class_id=roster.class_id, class_designation="Sv 1", course_codes=["SV1"])
    assert has(created, category="class_management", priority="standard", deadline=None)
    assert [(m["event"], m["data"]["student_id"]) for m in added] == [
        ("student_added_to_class", student_id) for student_id in roster.student_ids
    ]
    assert has(added[0], student_name="Åsa Öberg", priority="low", class_designation="Sv 1")
    assert has(suggested, suggested_count=4, unmatched_count=2, class_id=roster.class_id)
    assert has(suggested, category="student_workflow", priority="high", action_required=True)
    assert datetime.fromisoformat(suggested["data"]["deadline"]) == deadline
    assert suggested["data"]["correlation_id"] == batch.correlation_id
    assert has(timeout, auto_confirmed_count=3, priority="immediate", action_required=False)
    assert timeout["data"]["timeout_hours"] == 1
    assert has(confirmed, confirmed_count=6, timeout_triggered=True, priority="high")
    assert confirmed["data"]["validation_summary"]["timeout"] == 6
    ids = [m["data"]["event_id"] for m in browser.messages]
    assert len(ids) == len(set(ids))


def has(message: Mapping[str, Any], **members: object) -> bool:
    """Tell whether a real-time message has these members."""
    return bool(message["data"].items() >= members.items())
