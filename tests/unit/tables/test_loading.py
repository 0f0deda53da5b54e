"""Which deadlines are in memory: the next ones, however many there are, and however they come."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tables import pending
from tables.codec import KEY_PREFIX, TimerEntry, key_of, pack
from tables.deadlines import DeadlineIndex
from tables.pending import HORIZON, PendingTable
from tables.scan import Row

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT: Final = 5


class Table(PendingTable):
    """A table in a dictionary instead of RocksDB and Faust."""

    def __init__(self) -> None:
        self.partition_count = 1
        self.deadlines = DeadlineIndex()
        self._until = NOW - timedelta(days=1)
        self._table: Any = {}

    async def rows(self) -> AsyncIterator[tuple[int, Sequence[Row]]]:
        for row in sorted(self._table.items()):
            yield 0, [row]


def entry(number: int, at: datetime) -> TimerEntry:
    return TimerEntry(UUID(int=number), UUID(int=0), 1, at, NOW)


def filled(deadlines: Sequence[int]) -> Table:
    """Return a table as it is after a start: with entries, and nothing in memory."""
    table = Table()
    for number, minutes in enumerate(deadlines):
        one = entry(number, NOW + timedelta(minutes=minutes))
        table._table[key_of(one.batch_id)] = pack(one, 1)
    return table


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "IN_MEMORY", LIMIT)


async def drained(table: Table, now: datetime, *, clears: bool) -> list[UUID]:
    """Decide what is due until nothing is, as the loops do; what is decided may be cleared late."""
    order: list[UUID] = []
    for _ in range(200):
        if table.needs_loading(now):
            await table.load(now)
        due = table.deadlines.pop_due(now, 3)
        order += due
        if clears:
            for batch_id in due:
                table.clear(batch_id)
        if not due and not table.needs_loading(now):
            return order
        if not due:
            # Everything that the table has is being decided already.
            return order
    raise AssertionError(f"no end: {order}")


@settings(deadline=None)
@given(st.lists(st.integers(-30, 30), max_size=40), st.booleans())
async def test_everything_due_is_taken_once_whether_or_not_the_news_comes_back(
    deadlines: list[int],
    clears: bool,  # noqa: FBT001  # as hypothesis gives it
) -> None:
    table = filled(deadlines)
    due = sorted((m, UUID(int=n)) for n, m in enumerate(deadlines) if m <= 0)
    assert await drained(table, NOW, clears=clears) == [batch_id for _, batch_id in due]


@settings(deadline=None)
@given(st.lists(st.integers(-90, 90), max_size=40))
async def test_no_more_is_kept_than_asked_for_and_nothing_sooner_is_left_out(
    deadlines: list[int],
) -> None:
    table = filled(deadlines)
    await table.load(NOW)
    within = sorted(m for m in deadlines if timedelta(minutes=m) <= HORIZON)
    assert len(table.deadlines) == min(len(within), LIMIT)
    taken = table.deadlines.pop_due(NOW + HORIZON, 100)
    assert sorted(deadlines[i.int] for i in taken) == within[:LIMIT]


async def test_what_is_armed_is_kept_only_as_far_as_memory_goes() -> None:
    table = Table()
    await table.load(NOW)
    for number in range(20):
        table.arm(entry(number, NOW + timedelta(minutes=20 - number)))
        assert len(table.deadlines) <= 2 * LIMIT
    assert table.deadlines.next_deadline() == NOW + timedelta(minutes=1)
    order = [i.int for i in await drained(table, NOW + timedelta(minutes=30), clears=True)]
    assert order == list(range(19, -1, -1))


async def test_a_batch_that_is_armed_again_comes_back_though_it_was_taken_out() -> None:
    table = Table()
    await table.load(NOW)
    one = entry(1, NOW)
    table.arm(one)
    assert table.deadlines.pop_due(NOW, 10) == [one.batch_id]
    table.arm(one)
    assert table.deadlines.pop_due(NOW, 10) == [one.batch_id]


async def test_rows_that_are_no_entries_hide_no_deadline() -> None:
    table = filled([0, 5])
    value = pack(entry(9, NOW), 1)
    table._table |= {
        key_of(UUID(int=9)): value[:3] + b"\xff" * 8 + value[11:],
        key_of(UUID(int=10)): value[:11] + b"\xff" * 8 + value[19:],
        key_of(UUID(int=11)): b"",
        key_of(UUID(int=12)): value[:5],
        key_of(UUID(int=13)) + b"more": value,
        KEY_PREFIX: value,
    }
    await table.load(NOW)
    assert table.deadlines.pop_due(NOW + HORIZON, 10) == [UUID(int=0), UUID(int=1)]
