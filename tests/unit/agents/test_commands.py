"""Commands are handed to the store in portions of a bounded size, in order, with progress last."""

import json
from collections.abc import Sequence
from typing import Any, Final, cast
from uuid import UUID

import pytest

from agents.consumers import commands
from agents.consumers.commands import CommandsConsumer
from rules.commands.orders import CommandDelivery
from rules.commands.results import CommandResult, applied
from rules.dead_letters.messages import DeadLetter, Reason
from rules.ids import new_id
from rules.models import Record
from rules.progress import Progress
from store.protocols.commands import CommandRepositoryProtocol
from store.protocols.inbox import InboxProtocol
from telemetry.metrics import Metrics
from tests.support.commands import envelope, student

REACHED: Final = (Progress("group", "topic", 0, 9),)
CLASS_ID: Final = UUID(int=1)


def record(offset: int, students: int = 0) -> Record:
    """Return a command of so many students; of one that is no command for -1."""
    if students < 0:
        return Record("topic", 0, offset, 0, None, b'{"event_id": 1}', ())
    value = (
        envelope("roster.register", class_id=CLASS_ID, students=[student()] * students)
        if students
        else envelope("class.delete", class_id=CLASS_ID)
    )
    return Record("topic", 0, offset, 0, None, json.dumps(value).encode(), ())


class Store:
    """Fails with one offset; notes the offsets of each transaction, and when progress came."""

    def __init__(self, refused: int | None = None) -> None:
        self._refused = refused
        self.transactions: list[list[int]] = []
        self.dead_lettered: list[tuple[int, Reason]] = []
        self.progress_after: list[int] = []

    async def apply_commands(
        self, deliveries: Sequence[CommandDelivery], reached: Sequence[Progress] = ()
    ) -> list[CommandResult]:
        offsets = [delivery.record.offset for delivery in deliveries]
        if self._refused in offsets:
            raise ValueError
        self.transactions.append(offsets)
        self._note(reached)
        return [applied(new_id())] * len(offsets)

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        self.dead_lettered += [(letter.record.offset, letter.reason) for letter in letters]
        self._note(reached)
        return len(letters)

    def _note(self, reached: Sequence[Progress]) -> None:
        if reached:
            assert reached == REACHED
            self.progress_after.append(sum(map(len, self.transactions)) + len(self.dead_lettered))


async def handled(store: Store, *sizes: int) -> None:
    consumer = CommandsConsumer(
        cast("CommandRepositoryProtocol", store),
        cast("InboxProtocol", store),
        Metrics(),
    )
    await consumer.handle([record(n, size) for n, size in enumerate(sizes)], REACHED)


@pytest.mark.parametrize(
    ("sizes", "portions"),
    [
        ([0], [[0]]),
        ([0] * 4, [[0, 1, 2, 3]]),
        ([0] * 5, [[0, 1, 2, 3], [4]]),
        ([3, 3, 3, 0, 0], [[0], [1], [2, 3], [4]]),
        ([0, 0, 3, 2, 9, 0], [[0, 1], [2], [3], [4], [5]]),
        ([9], [[0]]),
    ],
)
async def test_what_is_large_has_transactions_of_its_own(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], portions: list[list[int]]
) -> None:
    monkeypatch.setattr(commands, "MOST_AT_ONCE", 4)
    store = Store()
    await handled(store, *sizes)
    assert store.transactions == portions
    assert store.progress_after == [len(sizes)]


async def test_confirming_by_confidence_may_decide_a_whole_batch() -> None:
    by_confidence = {"confirm_suggested": {"min_confidence": 0.5}}
    one = [{"essay_id": CLASS_ID, "confirmed": True}]
    given: list[dict[str, Any]] = [{"associations": one}, {"associations": one}, by_confidence]
    values = [envelope("associations.confirm", batch_id=CLASS_ID, **members) for members in given]
    records = [
        Record("topic", 0, offset, 0, None, json.dumps(value).encode(), ())
        for offset, value in enumerate(values)
    ]
    store = Store()
    consumer = CommandsConsumer(
        cast("CommandRepositoryProtocol", store), cast("InboxProtocol", store), Metrics()
    )
    await consumer.handle(records, REACHED)
    assert store.transactions == [[0, 1], [2]]


@pytest.mark.parametrize("poison", range(5))
async def test_a_poison_message_is_dead_lettered_and_the_others_are_carried_out_in_order(
    poison: int,
) -> None:
    store = Store(poison)
    await handled(store, 0, 0, -1, 0, 0)
    done = [offset for transaction in store.transactions for offset in transaction]
    assert done == [n for n in (0, 1, 3, 4) if n != poison]
    expected = [(2, Reason.INVALID)]
    if poison != 2:
        expected.append((poison, Reason.PROCESSING_FAILED))
    assert store.dead_lettered == expected
    assert store.progress_after == [5]


async def test_progress_is_kept_where_nothing_can_be_read() -> None:
    store = Store()
    await handled(store, -1, -1)
    assert (store.transactions, store.progress_after) == ([], [2])
