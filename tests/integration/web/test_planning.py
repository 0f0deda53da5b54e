"""Planning that takes long, dies or is given up: what callers see, and that others are answered."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

import web.routes
from rules.models import Policy
from tests.integration.web.api import OTHER, Api, Setup, serving
from tests.integration.web.importing import IMPORTS, apply, new_plan, upload
from tests.integration.web.planning_jobs import Die, Fail, Return, Sleep, Spin
from tests.integration.web.planning_processes import is_there, until
from tests.support.profiles import by_profile
from tests.support.stores import memory_stores
from web.limits import ConnectionLimits
from web.operations import Operation
from web.planning.child import MEMORY_BYTES
from web.planning.planner import Planner
from web.table import ROUTED
from web.views.imports import PLANNING_SECONDS

FILE: Final = "Class,Course,Name\r\n9A,SV1,Bo Ek\r\n"


class Instead(Planner):
    """Does another job than it is asked for, `times` times."""

    def __init__(self, job: Any, times: int = 1) -> None:  # noqa: ANN401  # any job
        super().__init__()
        self.job = job
        self.left = times
        self.asked = 0

    async def do(self, job: Any, is_gone: Callable[[], bool] = lambda: False) -> Any:  # noqa: ANN401
        self.asked += 1
        self.left -= 1
        return await super().do(self.job if self.left >= 0 else job, is_gone)


async def until_started(planner: Planner) -> int:
    await until(lambda: planner.process_id is not None)
    assert planner.process_id is not None
    return planner.process_id


@asynccontextmanager
async def serving_with(
    planner: Planner, directory: Path, operations: Sequence[Operation] = ROUTED
) -> AsyncIterator[Api]:
    async with (
        memory_stores(Policy()) as stores,
        serving(Setup(stores, planner=planner), directory, operations) as api,
    ):
        yield api


@pytest.mark.parametrize("job", [Sleep(), Spin()])
async def test_what_takes_too_long_is_503_and_ends(tmp_path: Path, job: Sleep) -> None:
    planner = Instead(job)
    hasty = [dataclasses.replace(one, seconds=1 if one.uploads else None) for one in ROUTED]
    async with serving_with(planner, tmp_path, hasty) as api:
        asking = asyncio.create_task(upload(api, IMPORTS, FILE))
        process = await until_started(planner)
        reply = await asking
        reply.problem(503, "SERVICE_UNAVAILABLE")
        assert reply.headers["Retry-After"]
        await until(lambda: not is_there(process))
        assert (await api.get(IMPORTS)).json["imports"] == []


async def test_others_are_answered_while_a_file_is_planned(tmp_path: Path) -> None:
    planner = Instead(Spin())
    async with serving_with(planner, tmp_path) as api:
        asking = asyncio.create_task(upload(api, IMPORTS, FILE))
        await until_started(planner)
        for _ in range(10):
            assert (await api.get("/v1/classes")).status == 200
        assert not asking.done()
        asking.cancel()


async def test_what_nobody_waits_for_any_more_is_given_up(tmp_path: Path) -> None:
    planner = Instead(Spin())
    async with serving_with(planner, tmp_path) as api:
        asking = asyncio.create_task(upload(api, IMPORTS, FILE))
        process = await until_started(planner)
        asking.cancel()
        await until(lambda: not is_there(process))
        assert (await upload(api, IMPORTS, FILE)).status == 201
        assert len((await api.get(IMPORTS)).json["imports"]) == 1


async def test_a_stop_leaves_no_process_behind(tmp_path: Path) -> None:
    planner = Planner()
    async with serving_with(planner, tmp_path) as api:
        await upload(api, IMPORTS, FILE)
        process = await until_started(planner)
    assert not is_there(process)


@pytest.mark.parametrize(
    ("job", "status", "code"),
    [
        (Die(), 500, "INTERNAL_ERROR"),
        (Fail("Bo Ek"), 500, "INTERNAL_ERROR"),
        (Return(MEMORY_BYTES), 413, "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_planning_that_fails_is_a_problem(
    tmp_path: Path, job: Die, status: int, code: str
) -> None:
    key = {"Idempotency-Key": "one"}
    async with serving_with(Instead(job), tmp_path) as api:
        reply = await upload(api, IMPORTS, FILE, headers=key)
        reply.problem(status, code)
        assert b"Bo Ek" not in reply.body
        assert (await upload(api, IMPORTS, FILE, headers=key)).status == 201


async def test_a_repeated_upload_is_planned_once(tmp_path: Path) -> None:
    planner, key = Instead(Die(), times=0), {"Idempotency-Key": "one"}
    async with serving_with(planner, tmp_path) as api:
        for _ in range(3):
            assert (await upload(api, IMPORTS, FILE, headers=key)).status == 201
    assert planner.asked == 1


async def test_who_finds_no_place_is_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.routes, "UPLOAD_WAIT_SECONDS", 0.05)
    planner = Instead(Spin())
    setup_limits = ConnectionLimits(uploads=1)
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, planner=planner, limits=setup_limits)
        async with serving(setup, tmp_path) as api:
            asking = asyncio.create_task(upload(api, IMPORTS, FILE))
            process = await until_started(planner)
            busy = await upload(api, IMPORTS, FILE, user=OTHER)
            busy.problem(503, "SERVICE_UNAVAILABLE")
            assert busy.headers["Retry-After"]
            asking.cancel()
            await until(lambda: not is_there(process))
            assert (await upload(api, IMPORTS, FILE, user=OTHER)).status == 201


async def test_an_undo_has_a_place_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows and students of a teacher are in memory until it is planned."""
    monkeypatch.setattr(web.routes, "UPLOAD_WAIT_SECONDS", 0.05)
    planner = Instead(Spin())
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, planner=planner, limits=ConnectionLimits(uploads=1))
        async with serving(setup, tmp_path) as api:
            import_id = await new_plan(setup.store.imports, await api.new_class())
            assert (await apply(api, import_id)).status == 202
            asking = asyncio.create_task(upload(api, IMPORTS, FILE, user=OTHER))
            process = await until_started(planner)
            asked = api.send("POST", f"{IMPORTS}/{import_id}/undo")
            busy = await asyncio.wait_for(asked, PLANNING_SECONDS / 2)  # not at its deadline
            busy.problem(503, "SERVICE_UNAVAILABLE")
            asking.cancel()
            await until(lambda: not is_there(process))
            assert (await api.send("POST", f"{IMPORTS}/{import_id}/undo")).status == 201


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_large_file_is_planned_whole(tmp_path: Path) -> None:
    """It takes some seconds; beside other tests on a busy machine, for longer than a minute."""
    count = by_profile(short=5_000, long=50_000)
    lines = "".join(f"K{n // 25},SV1,F{n},L{n},s{n}@skola.se\r\n" for n in range(count))
    data = f"Class,Course,First name,Last name,Email\r\n{lines}"
    patient = [dataclasses.replace(one, seconds=240) if one.uploads else one for one in ROUTED]
    async with memory_stores(Policy()) as stores, serving(Setup(stores), tmp_path, patient) as api:
        asking = asyncio.create_task(upload(api, IMPORTS, data))
        answered = 0
        while not asking.done():
            assert (await api.get("/v1/classes")).status == 200
            answered += 1
            await asyncio.sleep(0.02)
        reply = await asking
        assert (reply.status, reply.json["summary"]["created"]) == (201, count)
        assert answered > 1


async def test_more_rows_than_a_file_may_have_are_refused(memory_api: Api) -> None:
    lines = "".join(f"K,SV1,Elev {number}\r\n" for number in range(50_001))
    reply = await upload(memory_api, IMPORTS, f"Class,Course,Name\r\n{lines}")
    reply.problem(400, "VALIDATION_ERROR")
