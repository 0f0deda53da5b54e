"""What is asked at the same time goes together, and nobody pays for it."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from rules.errors import DataRefusedError, StoreUnavailableError
from store.postgres.coalescing import (
    LATE_SECONDS,
    REQUESTS_AT_ONCE,
    Coalescer,
)


class Operation:
    """Doubles numbers once it may, and remembers what it was called with."""

    def __init__(self, fault: Callable[[Sequence[int]], Exception | None] = lambda _: None) -> None:
        self.calls: list[list[int]] = []
        self.may_end = asyncio.Event()
        self._fault = fault

    async def __call__(self, requests: Sequence[int]) -> list[int]:
        self.calls.append(list(requests))
        await self.may_end.wait()
        if error := self._fault(requests):
            raise error
        return [2 * request for request in requests]


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
    gathering = Coalescer(operation)
    for number in range(6):
        assert await asyncio.wait_for(gathering.ask([number]), timeout=5) == [2 * number]
    assert operation.calls == [[number] for number in range(6)]


async def test_who_comes_meanwhile_goes_together() -> None:
    operation = Operation()
    asking = await started(Coalescer(operation), *range(4))
    assert operation.calls == [[0]]
    operation.may_end.set()
    assert await asyncio.gather(*asking) == [[2 * n] for n in range(4)]
    assert operation.calls == [[0], [1, 2, 3]]


async def test_a_call_that_is_late_holds_up_no_other() -> None:
    operation = Operation()
    gathering = Coalescer(operation)
    asking = await started(gathering, *range(3))
    await asyncio.sleep(2 * LATE_SECONDS)
    # Who comes while a call has been late for some time does not wait either; but all that are
    # late are no more than so many.
    asking += await started(gathering, 3)
    await asyncio.sleep(2 * LATE_SECONDS)
    assert operation.calls == [[0], [1, 2]]
    operation.may_end.set()
    assert await asyncio.gather(*asking) == [[0], [2], [4], [6]]


async def test_who_comes_long_after_a_call_that_is_late_is_served_at_once() -> None:
    operation = Operation()
    gathering = Coalescer(operation)
    asking = await started(gathering, 0)
    await asyncio.sleep(2 * LATE_SECONDS)
    asking += await started(gathering, 1)
    assert operation.calls == [[0], [1]]
    operation.may_end.set()
    assert await asyncio.gather(*asking) == [[0], [2]]


async def test_a_call_is_bounded() -> None:
    operation = Operation()
    numbers = range(1 + 2 * REQUESTS_AT_ONCE)
    asking = await started(Coalescer(operation), *numbers)
    operation.may_end.set()
    assert await asyncio.gather(*asking) == [[2 * number] for number in numbers]
    assert max(map(len, operation.calls)) == REQUESTS_AT_ONCE


async def test_only_whose_fault_it_is_is_refused() -> None:
    operation = Operation(lambda asked: DataRefusedError() if 13 in asked else None)
    asking = await started(Coalescer(operation), 0, 12, 13, 14)
    operation.may_end.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert results[:2] == [[0], [24]]
    assert isinstance(results[2], DataRefusedError)
    assert results[3] == [28]


async def test_an_outage_is_told_to_all_and_passes() -> None:
    away = True
    operation = Operation(lambda _: StoreUnavailableError() if away else None)
    gathering = Coalescer(operation)
    asking = await started(gathering, *range(3))
    operation.may_end.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailableError}
    away = False
    assert await gathering.ask([1, 2]) == [2, 4]


async def test_what_nobody_waits_for_any_more_is_not_done() -> None:
    operation = Operation()
    asking = await started(Coalescer(operation), *range(3))
    asking[-1].cancel()
    await asyncio.sleep(0)
    operation.may_end.set()
    await asyncio.gather(*asking[:-1])
    assert operation.calls[-1] == [1]


async def test_what_has_begun_is_done_although_nobody_waits() -> None:
    operation = Operation()
    (asking,) = await started(Coalescer(operation), 7)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    operation.may_end.set()
    await asyncio.sleep(0)
    assert operation.calls == [[7]]
