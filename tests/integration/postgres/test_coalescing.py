"""What is asked at the same time goes together, and nobody pays for it."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from devstack.rig.database import connected
from rules.changes import NewStudentRequest
from rules.errors import DataRefusedError, StoreUnavailableError
from rules.models import NewStudent, Policy
from store.postgres import coalescing
from store.postgres.coalescing import (
    APART_AT_ONCE,
    CALLS_AT_ONCE,
    REQUESTS_AT_ONCE,
    Coalescer,
)
from tests.integration.store.builders import caller, make_class, make_student, new_student
from tests.support.stores import postgres_stores

LATE_SECONDS = 0.3
SECONDS = 10


class Operation:
    """Doubles numbers once it may, and remembers what it was called with."""

    def __init__(
        self, fault: Callable[[Sequence[int]], BaseException | None] = lambda _: None
    ) -> None:
        self.calls: list[list[int]] = []
        self.done: list[list[int]] = []
        self.may_end = asyncio.Event()
        self._fault = fault

    async def __call__(self, requests: Sequence[int]) -> list[int]:
        self.calls.append(list(requests))
        await self.may_end.wait()
        if error := self._fault(requests):
            raise error
        self.done.append(list(requests))
        return [2 * request for request in requests]


@pytest.fixture(autouse=True)
def nothing_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no call be late because the machine is slow."""
    monkeypatch.setattr(coalescing, "LATE_SECONDS", 60.0)
    monkeypatch.setattr(coalescing, "STUCK_SECONDS", 60.0)


async def started(gathering: Coalescer[int, int], *requests: int) -> list[asyncio.Task[list[int]]]:
    """Ask for each number on its own, and let what can begin begin."""
    asking = []
    for request in requests:
        asking.append(asyncio.create_task(gathering.ask([request])))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return asking


async def test_who_comes_alone_is_served_at_once() -> None:
    operation = Operation()
    operation.may_end.set()
    gathering = Coalescer(operation, str)
    for number in range(6):
        assert await asyncio.wait_for(gathering.ask([number]), timeout=5) == [2 * number]
    assert operation.calls == [[number] for number in range(6)]


async def test_who_comes_meanwhile_goes_together() -> None:
    operation = Operation()
    asking = await started(Coalescer(operation, str), *range(4))
    assert operation.calls == [[0]]
    operation.may_end.set()
    assert await asyncio.gather(*asking) == [[2 * n] for n in range(4)]
    assert operation.calls == [[0], [1, 2, 3]]


@pytest.mark.simulated_time
async def test_a_call_that_is_late_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "LATE_SECONDS", LATE_SECONDS)
    operation = Operation()
    gathering = Coalescer(operation, str)
    asking = await started(gathering, *range(3))
    async with asyncio.timeout(SECONDS):
        while len(operation.calls) < CALLS_AT_ONCE:  # noqa: ASYNC110  # an event would count, too
            await asyncio.sleep(0.01)
    assert operation.calls == [[0], [1, 2]]
    # There are no more at once than that, however late they all are.
    await asyncio.sleep(2 * LATE_SECONDS)
    asking += await started(gathering, 3)
    assert len(operation.calls) == CALLS_AT_ONCE
    operation.may_end.set()
    assert await asyncio.gather(*asking) == [[0], [2], [4], [6]]


@pytest.mark.simulated_time
async def test_who_comes_long_after_a_call_that_is_late_is_served_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coalescing, "LATE_SECONDS", LATE_SECONDS)
    operation = Operation()
    gathering = Coalescer(operation, str)
    asking = await started(gathering, 0)
    await asyncio.sleep(2 * LATE_SECONDS)
    asking += await started(gathering, 1)
    assert operation.calls == [[0], [1]]
    operation.may_end.set()
    assert await asyncio.gather(*asking) == [[0], [2]]


async def test_a_call_is_bounded() -> None:
    operation = Operation()
    numbers = range(1 + 2 * REQUESTS_AT_ONCE)
    asking = await started(Coalescer(operation, str), *numbers)
    operation.may_end.set()
    assert await asyncio.gather(*asking) == [[2 * number] for number in numbers]
    assert max(map(len, operation.calls)) == REQUESTS_AT_ONCE


async def test_only_whose_fault_it_is_is_refused() -> None:
    operation = Operation(lambda asked: DataRefusedError() if 13 in asked else None)
    asking = await started(Coalescer(operation, str), 0, 12, 13, 14)
    operation.may_end.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert results[:2] == [[0], [24]]
    assert isinstance(results[2], DataRefusedError)
    assert results[3] == [28]


async def test_who_waits_for_one_that_is_cancelled_is_answered() -> None:
    def fault(asked: Sequence[int]) -> BaseException | None:
        if 13 not in asked:
            return None
        return DataRefusedError() if len(asked) > 1 else asyncio.CancelledError()

    operation = Operation(fault)
    asking = await started(Coalescer(operation, str), 0, 12, 13, 14)
    operation.may_end.set()
    async with asyncio.timeout(SECONDS):
        results = await asyncio.gather(*asking, return_exceptions=True)
    assert results[:2] == [[0], [24]]
    assert {type(result) for result in results[2:]} == {asyncio.CancelledError}


async def test_an_outage_is_told_to_all_and_passes() -> None:
    away = True
    operation = Operation(lambda _: StoreUnavailableError() if away else None)
    gathering = Coalescer(operation, str)
    asking = await started(gathering, *range(3))
    operation.may_end.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailableError}
    away = False
    assert await gathering.ask([1, 2]) == [2, 4]


async def test_what_nobody_waits_for_any_more_is_not_done() -> None:
    operation = Operation()
    asking = await started(Coalescer(operation, str), *range(3))
    asking[-1].cancel()
    await asyncio.sleep(0)
    operation.may_end.set()
    await asyncio.gather(*asking[:-1])
    assert operation.calls[-1] == [1]


async def test_what_has_begun_is_done_although_nobody_waits() -> None:
    operation = Operation()
    (asking,) = await started(Coalescer(operation, str), 7)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    operation.may_end.set()
    await asyncio.sleep(0)
    assert operation.done == [[7]]


@pytest.mark.simulated_time
async def test_late_calls_that_nobody_waits_for_hold_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coalescing, "LATE_SECONDS", 0.0)
    operation = Operation(lambda asked: AssertionError(asked) if asked != [2] else None)
    gathering = Coalescer(operation, str)
    asking = await started(gathering, 0, 1, 2)
    for late in asking[:2]:
        late.cancel()
    async with asyncio.timeout(SECONDS):
        while len(operation.calls) <= CALLS_AT_ONCE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    operation.may_end.set()
    assert await asking[2] == [4]
    assert operation.calls == [[0], [1], [2]]


@pytest.mark.simulated_time
async def test_a_late_call_that_somebody_waits_for_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "LATE_SECONDS", LATE_SECONDS)
    operation = Operation()
    asking = await started(Coalescer(operation, str), 0, 1, 2)
    await asyncio.sleep(2 * LATE_SECONDS)
    asking[1].cancel()
    await asyncio.sleep(0.01)
    operation.may_end.set()
    assert (await asking[0], await asking[2]) == ([0], [4])
    assert operation.done == [[0], [1, 2]]


async def test_who_waits_for_a_locked_class_holds_up_others_no_longer_than_itself(
    migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coalescing, "LATE_SECONDS", LATE_SECONDS / 3)
    async with (
        connected(migrated_database) as locking,
        postgres_stores(migrated_database, Policy()) as stores,
    ):
        made = await make_class(stores, caller())

        async def give_up(new: NewStudent) -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2 * LATE_SECONDS):
                    await stores.classes.create_students([NewStudentRequest(caller(), new)])

        async with asyncio.timeout(SECONDS), locking.transaction():
            await locking.execute("select from classes where id = $1 for update", made.id)
            blocked = [new_student(class_ids=[made.id]) for _ in range(CALLS_AT_ONCE)]
            async with asyncio.TaskGroup() as tasks:
                for new in blocked:
                    tasks.create_task(give_up(new))
                    await asyncio.sleep(LATE_SECONDS / 2)
            await make_student(stores, caller("another"), new_student())


class Locked:
    """Hangs with what is asked for by one owner until that is free."""

    def __init__(self, locked: int) -> None:
        self.calls: list[list[int]] = []
        self.free = asyncio.Event()
        self._locked = locked

    async def __call__(self, requests: Sequence[int]) -> list[int]:
        self.calls.append(list(requests))
        if self._locked in requests:
            await self.free.wait()
        return list(requests)


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Locked:
    """Hang with what owner 7 asks for, which is soon late and then stuck."""
    monkeypatch.setattr(coalescing, "LATE_SECONDS", 0.01)
    monkeypatch.setattr(coalescing, "STUCK_SECONDS", 0.02)
    return Locked(7)


@pytest.mark.simulated_time
async def test_who_asks_for_what_is_locked_again_and_again_holds_up_only_itself(
    locked: Locked,
) -> None:
    gathering = Coalescer(locked, str)
    waiting = [asyncio.create_task(gathering.ask([7])) for _ in range(CALLS_AT_ONCE)]
    async with asyncio.timeout(SECONDS):
        while not gathering.suspects:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for number in range(20, 40):
            waiting.append(asyncio.create_task(gathering.ask([7])))
            assert await gathering.ask([number]) == [number]
        assert sum(7 in call for call in locked.calls) <= APART_AT_ONCE
        locked.free.set()
        assert await asyncio.gather(*waiting) == [[7]] * len(waiting)
        # Then it goes together with the others again.
        locked.calls.clear()
        await asyncio.gather(*(gathering.ask([number]) for number in (1, 7, 2)))
    assert locked.calls == [[1], [7, 2]]


@pytest.mark.simulated_time
async def test_suspects_for_whom_something_succeeds_go_with_the_others_again(
    locked: Locked,
) -> None:
    gathering = Coalescer(locked, str)
    first = asyncio.create_task(gathering.ask([1]))
    await asyncio.sleep(0)
    together = [asyncio.create_task(gathering.ask([number])) for number in (7, 8)]
    async with asyncio.timeout(SECONDS):
        assert await first == [1]
        while not gathering.suspects:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert gathering.suspects == {"7", "8"}
        assert await gathering.ask([8]) == [8]
        assert gathering.suspects == {"7"}
        locked.free.set()
        await asyncio.gather(*together)
        assert not gathering.suspects


async def test_a_locked_class_that_is_asked_for_all_the_time_holds_up_no_other_teacher(
    migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coalescing, "LATE_SECONDS", LATE_SECONDS / 3)
    monkeypatch.setattr(coalescing, "STUCK_SECONDS", LATE_SECONDS)
    async with (
        connected(migrated_database) as locking,
        postgres_stores(migrated_database, Policy()) as stores,
        asyncio.timeout(SECONDS),
        asyncio.TaskGroup() as tasks,
        locking.transaction(),
    ):
        made = await make_class(stores, caller())
        await locking.execute("select from classes where id = $1 for update", made.id)
        for _ in range(2 * CALLS_AT_ONCE):
            new = new_student(class_ids=[made.id])
            tasks.create_task(stores.classes.create_students([NewStudentRequest(caller(), new)]))
            await asyncio.sleep(LATE_SECONDS / 2)
        await make_student(stores, caller("another"), new_student())
