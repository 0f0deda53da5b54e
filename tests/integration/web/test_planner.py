"""The planning process: what ends it, what it gives back, and that nothing waits for it in vain."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from rules.errors import ValidationFailedError
from rules.imports.files import FileRefusedError
from tests.integration.web.planning_jobs import (
    Carry,
    Die,
    Fail,
    Refuse,
    RefuseFile,
    Return,
    ReturnOpaque,
    Sleep,
    Spin,
    Tell,
)
from tests.integration.web.planning_processes import is_there, until
from web.planning.child import KEPT_BYTES, MEMORY_BYTES
from web.planning.planner import (
    ClientGoneError,
    Planner,
    PlanningFailedError,
    TooMuchToPlanError,
)


@pytest.fixture
async def planner() -> AsyncIterator[Planner]:
    planner = Planner()
    yield planner
    await planner.close()


async def test_jobs_share_a_process_that_is_another_one(planner: Planner) -> None:
    first, _ = await planner.do(Tell())
    second, _ = await planner.do(Tell())
    assert first == second == planner.process_id != os.getpid()


async def test_it_knows_nothing_of_the_service(
    planner: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLASS_MANAGEMENT_SERVICE_INTERNAL_API_KEY", "secret")
    monkeypatch.setenv("PGPASSWORD", "secret")
    _, names = await planner.do(Tell())
    assert not {name for name in names if "CLASS_MANAGEMENT" in name or name.startswith("PG")}


async def test_a_refusal_comes_back_whole(planner: Planner) -> None:
    with pytest.raises(ValidationFailedError) as refused:
        await planner.do(Refuse())
    assert refused.value.detail == str(refused.value) == "Not so."
    assert [fault.pointer for fault in refused.value.errors] == ["/mode"]
    with pytest.raises(FileRefusedError, match="The file cannot be read as a roster"):
        await planner.do(RefuseFile())


@pytest.mark.parametrize("job", [Fail("Åsa Öberg"), ReturnOpaque()])
async def test_a_failure_tells_where_and_not_what(planner: Planner, job: Fail) -> None:
    with capture_logs() as lines, pytest.raises(PlanningFailedError):
        await planner.do(job)
    [line] = [one for one in lines if one["event"] == "planning_failed"]
    assert line["kind"] in {"RuntimeError", "TypeError"}
    assert "planning_jobs.py" in line["places"][-1]
    assert "Åsa" not in str(line)
    await planner.do(Tell())


async def test_a_process_that_dies_is_replaced(planner: Planner) -> None:
    first, _ = await planner.do(Tell())
    with pytest.raises(PlanningFailedError):
        await planner.do(Die())
    second, _ = await planner.do(Tell())
    assert first != second


async def test_one_that_was_killed_between_two_jobs_is_replaced(planner: Planner) -> None:
    first, _ = await planner.do(Tell())
    os.kill(first, 9)
    await until(lambda: not is_there(first))
    second, _ = await planner.do(Tell())
    assert first != second


@pytest.mark.parametrize("job", [Sleep(), Spin()])
async def test_what_is_late_is_killed(planner: Planner, job: Sleep) -> None:
    first, _ = await planner.do(Tell())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await planner.do(job)
    assert not is_there(first)
    second, _ = await planner.do(Tell())
    assert first != second


async def test_what_nobody_waits_for_any_more_is_killed(planner: Planner) -> None:
    first, _ = await planner.do(Tell())
    with pytest.raises(ClientGoneError):
        await planner.do(Spin(), lambda: True)
    assert not is_there(first)


@pytest.mark.parametrize("turns", [1, 2, 5, 20])
async def test_what_is_given_up_while_its_process_starts_holds_up_nobody(
    planner: Planner, turns: int
) -> None:
    asking = asyncio.create_task(planner.do(Spin()))
    for _ in range(turns):
        await asyncio.sleep(0.001)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(30):
        await planner.do(Tell())


async def test_jobs_wait_for_each_other(planner: Planner) -> None:
    told = await asyncio.gather(*(planner.do(Tell()) for _ in range(5)))
    assert len({process for process, _ in told}) == 1


async def test_who_waits_gets_its_turn_when_the_one_before_is_killed(planner: Planner) -> None:
    first = asyncio.create_task(planner.do(Sleep()))
    second = asyncio.create_task(planner.do(Tell()))
    await until(lambda: planner.process_id is not None)
    first.cancel()
    process, _ = await second
    assert process == planner.process_id
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_takes_too_much_memory_is_refused(planner: Planner) -> None:
    with pytest.raises(TooMuchToPlanError):
        await planner.do(Return(MEMORY_BYTES))
    await planner.do(Tell())


async def test_a_process_that_took_much_memory_ends(planner: Planner) -> None:
    first, _ = await planner.do(Tell())
    size = KEPT_BYTES // 2
    assert len(await planner.do(Return(size))) == size
    assert planner.process_id is None
    assert not is_there(first)
    assert await planner.do(Carry(bytes(10 * 1024**2))) == 10 * 1024**2


async def test_an_idle_process_ends() -> None:
    planner = Planner(idle_seconds=0.05)
    process, _ = await planner.do(Tell())
    await until(lambda: not is_there(process))
    assert planner.process_id is None
    again, _ = await planner.do(Tell())
    assert again != process
    await planner.close()


async def test_the_loop_is_free_while_a_job_holds_its_interpreter(planner: Planner) -> None:
    spinning = asyncio.create_task(planner.do(Spin()))
    await until(lambda: planner.process_id is not None)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not spinning.done()
    spinning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spinning
