"""Entries keep what they hold, and sort and compare as bytes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.instants import LATEST
from tables.codec import (
    CLASS_ID,
    DEADLINE,
    KEY_PREFIX,
    TimerEntry,
    id_of,
    instant_bytes,
    instant_of,
    key_of,
    pack,
    partitions_of,
    readable,
    says,
    unpack,
)

INSTANTS = st.integers(0, 13_000_000_000_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
ENTRIES = st.builds(
    TimerEntry,
    batch_id=st.uuids(),
    class_id=st.uuids(),
    pending_count=st.integers(0, 2**32 - 1),
    confirm_by=INSTANTS,
    armed_at=INSTANTS,
)
#: The key under which Faust keeps its own bookkeeping, read as an id.
FAUSTS_OWN = UUID(bytes=b"__faust\0offset__")


@given(ENTRIES, st.integers(1, 1000))
def test_an_entry_comes_back_as_it_was(entry: TimerEntry, partitions: int) -> None:
    key, value = key_of(entry.batch_id), pack(entry, partitions)
    assert unpack(key, value) == entry
    assert partitions_of(value) == partitions
    assert readable(key, value)
    assert value[CLASS_ID] == entry.class_id.bytes
    assert instant_of(value[DEADLINE]) == entry.confirm_by


@given(INSTANTS, INSTANTS)
def test_instants_sort_as_bytes(one: datetime, other: datetime) -> None:
    assert (one < other) == (instant_bytes(one) < instant_bytes(other))


@given(st.uuids(), st.uuids())
def test_keys_sort_like_ids(one: UUID, other: UUID) -> None:
    assert (one < other) == (key_of(one) < key_of(other))
    assert id_of(key_of(one)) == one


@given(ENTRIES, st.integers(0, 2**32 - 1), INSTANTS)
def test_an_entry_says_one_count_and_one_deadline(
    entry: TimerEntry, count: int, instant: datetime
) -> None:
    value = pack(entry, 8)
    assert says(value, entry.pending_count, entry.confirm_by)
    assert says(value, count, entry.confirm_by) == (count == entry.pending_count)
    assert says(value, entry.pending_count, instant) == (instant == entry.confirm_by)


def test_no_batch_has_the_key_of_fausts_bookkeeping() -> None:
    assert key_of(FAUSTS_OWN) != FAUSTS_OWN.bytes


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_what_is_no_entry_is_not_read_as_one(key: bytes, value: bytes) -> None:
    if readable(key, value):
        assert pack(unpack(key, value), partitions_of(value)) == value


def test_microseconds_are_kept() -> None:
    at = datetime(2026, 11, 22, 1, 2, 3, 4, UTC)
    assert instant_of(instant_bytes(at)) == at
    assert instant_bytes(at + timedelta(microseconds=1)) > instant_bytes(at)


@pytest.mark.parametrize("place", [DEADLINE, slice(11, 19)])
@pytest.mark.parametrize(
    "instant", [b"\xff" * 8, (2**63).to_bytes(8, "big"), instant_bytes(LATEST)]
)
def test_an_instant_beyond_the_calendar_makes_no_entry(place: slice, instant: bytes) -> None:
    batch = UUID(int=1)
    entry = TimerEntry(batch, batch, 1, LATEST - timedelta(microseconds=1), LATEST - timedelta(1))
    value = bytearray(pack(entry, 8))
    assert readable(key_of(batch), bytes(value))
    value[place] = instant
    assert not readable(key_of(batch), bytes(value))


@given(st.binary(max_size=40), st.uuids())
def test_any_key_has_a_place_among_the_ids(rest: bytes, other: UUID) -> None:
    """Else one odd key would end every walk over the table."""
    key = KEY_PREFIX + rest
    if key_of(other) < key:
        assert other <= id_of(key)
    elif len(rest) >= 16:
        assert other >= id_of(key)
