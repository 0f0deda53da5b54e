"""Timer messages are read as strictly as what comes from anybody."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import ValidationFailedError
from rules.events.timers import armed, cleared
from rules.ids import new_id
from rules.instants import EARLIEST, LATEST
from rules.messages.timers import Armed, Cleared, parse_timer
from rules.models import OutboxMessage, PendingBatch, Record, Trace
from tables.codec import TimerEntry, key_of, pack, readable, unpack

BATCH: Final = UUID("01a22349-1281-70ab-8d5a-2be80cfea518")
NOW: Final = datetime(2026, 11, 22, tzinfo=UTC)
MESSAGE: Final = armed(PendingBatch(BATCH, new_id(), 2, NOW), Trace(new_id()), NOW)


def record(message: OutboxMessage, **changes: object) -> Record:
    envelope: dict[str, Any] = json.loads(message.value or b"")
    envelope["data"] |= changes
    return Record(message.topic, 0, 0, 0, message.key, json.dumps(envelope).encode(), ())


def test_what_the_service_writes_is_read() -> None:
    timer = parse_timer(record(MESSAGE))
    assert isinstance(timer, Armed)
    assert (timer.batch_id, timer.pending_count, timer.confirm_by) == (BATCH, 2, NOW)
    assert isinstance(parse_timer(record(cleared(BATCH, Trace(new_id()), NOW))), Cleared)


@pytest.mark.parametrize(
    "changes",
    [
        {"confirm_by": "9999-12-31T23:59:59-23:59"},
        {"armed_at": "9999-12-31T23:59:59-23:59"},
        {"confirm_by": "9999-12-31T23:59:59Z"},
        {"confirm_by": "3000-01-01T00:00:00Z"},
        {"confirm_by": "2999-12-31T23:30:00-01:00"},
        {"confirm_by": "1969-12-31T23:59:59Z"},
        {"confirm_by": "1970-01-01T00:00:00+00:01"},
        {"confirm_by": "0001-01-01T00:00:00+23:59"},
        {"confirm_by": "2026-11-22T00:00:00"},
        {"confirm_by": 1_790_000_000},
        {"confirm_by": None},
        {"class_id": None},
        {"pending_count": 0},
        {"pending_count": -1},
        {"pending_count": 2**32},
        {"pending_count": "1"},
        {"pending_count": True},
        {"batch_id": str(new_id())},
        {"batch_id": None},
        {"event": "expired"},
    ],
)
def test_a_timer_that_the_table_cannot_hold_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationFailedError):
        parse_timer(record(MESSAGE, **changes))


@pytest.mark.parametrize("key", [None, b"", b"\xff", str(BATCH).upper().encode(), b"x" * 100_000])
def test_a_timer_comes_with_the_key_that_places_it(key: bytes | None) -> None:
    message = record(MESSAGE)
    with pytest.raises(ValidationFailedError) as refusal:
        parse_timer(Record("t", 0, 0, 0, key, message.value, ()))
    assert refusal.value.detail == "the key is not /data/batch_id"


def zoned(at: datetime, minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{at.isoformat()}{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@given(
    st.datetimes(),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.integers(-(2**33), 2**33),
)
def test_whatever_is_read_the_table_can_hold(at: datetime, offset: int, count: int) -> None:
    written = zoned(at, offset)
    try:
        timer = parse_timer(
            record(MESSAGE, confirm_by=written, armed_at=written, pending_count=count)
        )
    except ValidationFailedError:
        return
    assert isinstance(timer, Armed)
    assert EARLIEST <= timer.confirm_by < LATEST
    entry = TimerEntry(BATCH, timer.class_id, timer.pending_count, timer.confirm_by, timer.armed_at)
    key, value = key_of(BATCH), pack(entry, 8)
    assert readable(key, value)
    assert unpack(key, value) == entry
