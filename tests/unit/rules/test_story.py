"""The story of a batch: what its steps are, and their order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import topics
from rules.models import Method, PastDecision, Record, Status
from rules.story import (
    Essay,
    Step,
    StoredBatch,
    Story,
    What,
    in_order,
    is_about,
    step_of,
    steps,
)

BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BATCH = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
STORED = StoredBatch(
    correlation_id=uuid4(),
    class_id=uuid4(),
    is_orphaned=False,
    owner_id="t",
    created_at=BEGIN,
    closed_at=None,
)


def decision(at: datetime, method: Method, *, rejected: bool = False) -> PastDecision:
    by = {Method.HUMAN: "t", Method.TIMEOUT: "SYSTEM_TIMEOUT", Method.AUTO: "SYSTEM_AUTO"}[method]
    status = Status.REJECTED if rejected else Status.CONFIRMED
    return PastDecision(at, by, method, None, status)


def essay(*decisions: PastDecision, at: datetime = BEGIN, suggested: bool = True) -> Essay:
    return Essay(
        id=uuid4(),
        created_at=at,
        confirm_by=at + HOUR,
        is_suggested=suggested,
        was_suggested=False,
        decisions=decisions,
    )


def story(*essays: Essay, stored: StoredBatch = STORED) -> Story:
    return Story(BATCH, stored, essays, (), ())


def said(found: list[Step]) -> list[tuple[What, dict[str, Any]]]:
    return [(step.what, dict(step.details)) for step in found]


def test_what_happens_at_one_instant_is_told_as_it_follows() -> None:
    auto = decision(BEGIN, Method.AUTO)
    closed = replace(STORED, closed_at=BEGIN)
    assert [step.what for step in steps(story(essay(auto), stored=closed))] == [
        What.SUGGESTED,
        What.DECIDED,
        What.CLOSED,
    ]


def test_each_message_is_a_step_with_its_counts_and_its_deadline() -> None:
    withdrawn = replace(essay(suggested=False), was_suggested=True)
    first = [essay(), essay(suggested=False), withdrawn, essay(decision(BEGIN, Method.AUTO))]
    found = steps(story(*first, essay(at=BEGIN + HOUR)))
    assert said(found) == [
        (What.SUGGESTED, {"essays": 4, "suggested": 2, "unmatched": 1, "withdrawn": 1}),
        (What.ARMED, {"essays": 3, "deadline": BEGIN + HOUR}),
        (What.DECIDED, {"method": "auto", "by": "SYSTEM_AUTO", "confirmed": 1, "rejected": 0}),
        (What.SUGGESTED, {"essays": 1, "suggested": 1, "unmatched": 0, "withdrawn": 0}),
        (What.ARMED, {"essays": 1, "deadline": BEGIN + 2 * HOUR}),
    ]


def test_decisions_at_once_are_one_step_and_corrections_others() -> None:
    at, later = BEGIN + HOUR, BEGIN + 2 * HOUR
    human = decision(at, Method.HUMAN)
    essays = [
        essay(human, decision(later, Method.HUMAN, rejected=True)),
        essay(human),
        essay(decision(at, Method.HUMAN, rejected=True)),
        essay(decision(at, Method.TIMEOUT)),
    ]
    assert said(steps(story(*essays)))[2:] == [
        (What.DECIDED, {"method": "human", "by": "t", "confirmed": 2, "rejected": 1}),
        (
            What.DECIDED,
            {"method": "timeout", "by": "SYSTEM_TIMEOUT", "confirmed": 1, "rejected": 0},
        ),
        (What.CORRECTED, {"method": "human", "by": "t", "confirmed": 0, "rejected": 1}),
    ]


def test_what_was_certain_at_first_was_not_armed_also_if_it_was_corrected() -> None:
    corrected = essay(decision(BEGIN, Method.AUTO), decision(BEGIN + HOUR, Method.HUMAN))
    assert What.ARMED not in [step.what for step in steps(story(corrected))]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(What))))
def test_steps_are_in_the_order_of_their_instants(drawn: list[tuple[int, What]]) -> None:
    found = in_order(Step(BEGIN + n * HOUR, what, {}) for n, what in drawn)
    keys = [(step.at, tuple(What).index(step.what)) for step in found]
    assert keys == sorted(keys)
    assert len(found) == len(drawn)


def test_events_of_one_instant_are_told_as_they_lie() -> None:
    events = [
        Step(BEGIN, What.EVENT, {"topic": topic, "partition": 3, "offset": offset})
        for topic in ("a", "b")
        for offset in (9, 10)
    ]
    assert in_order(reversed(events)) == events


# --- what lies in Kafka -------------------------------------------------------------------------


def record(topic: str, data: dict[str, Any], **others: Any) -> Record:  # noqa: ANN401
    value = orjson.dumps({"event_id": str(BATCH), "data": data})
    return replace(Record(topic, 3, 7, 1_700_000_000_000, b"k", value, ()), **others)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (b"any", {"data": {"batch_id": str(BATCH)}}, True),
        (b"any", {"data": {"batch_id": str(BATCH).upper()}}, True),
        (str(BATCH).encode(), {"data": {}}, True),
        (str(BATCH).encode(), None, True),
        (str(BATCH).encode(), [1], True),
        (str(BATCH).encode(), {"data": {"batch_id": str(uuid4())}}, False),
        (b"\xff", {"data": {"batch_id": 1}}, False),
        (None, None, False),
    ],
)
def test_a_message_is_about_the_batch_that_it_names_else_by_its_key(
    key: bytes | None, value: object, *, expected: bool
) -> None:
    assert is_about(BATCH, key, None if value is None else orjson.dumps(value)) is expected


def test_what_cannot_be_read_is_about_the_batch_of_its_key() -> None:
    assert is_about(BATCH, str(BATCH).encode(), b"\xffnot json")


def test_a_record_says_where_it_lies_and_nothing_of_a_person() -> None:
    told = {"batch_id": str(BATCH), "notification_type": "Åsa Öberg", "first_name": "Åsa"}
    step = step_of(record(topics.NOTIFICATION_REQUESTED, told))
    assert (step.what, step.at) == (What.NOTIFIED, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC))
    assert step.details == {
        "topic": topics.NOTIFICATION_REQUESTED,
        "partition": 3,
        "offset": 7,
        "event_id": BATCH,
        "kind": None,
    }


def test_a_dead_letter_has_its_reason_and_a_replay_its_letter() -> None:
    headers = (("dlt-reason", b"batch_closed"),)
    dead = step_of(record(topics.dead_letter_topic(topics.MATCHES_SUGGESTED), {}, headers=headers))
    assert (dead.what, dead.details["reason"]) == (What.DEAD_LETTER, "batch_closed")
    address = f"{topics.MATCHES_SUGGESTED}.dlt/2/5"
    replayed = (("dlt-replay-id", str(BATCH).encode()), ("dlt-replayed-from", address.encode()))
    again = step_of(record(topics.MATCHES_SUGGESTED, {}, headers=replayed))
    assert (again.what, again.details["replay_of"]) == (What.RECEIVED, address)


@pytest.mark.parametrize("milliseconds", [-1, 10**18])
def test_an_instant_that_cannot_be_is_the_first_of_all(milliseconds: int) -> None:
    at = step_of(record(topics.TIMERS, {}, timestamp_ms=milliseconds)).at
    assert at <= datetime(1970, 1, 1, tzinfo=UTC)
