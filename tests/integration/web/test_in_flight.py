"""No more requests at once than the process, or the user, may have (contract, section 2)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from devstack.rig.waiting import until
from rules.errors import Cause, StoreUnavailableError
from rules.models import Policy
from tests.integration.web.api import OTHER, TEACHER, Api, Setup, serving
from tests.integration.web.fakes import FakeBackend, Hang, Misbehaving
from tests.integration.web.test_connections import PATIENT, limited
from tests.integration.web.wire import Wire, wire
from tests.support.stores import memory_stores

CLASSES: Final = "/v1/classes"
NEW: Final = b'{"name": "9A", "course_codes": ["SV1"]}'
OPERATIONS: Final = ("/livez", "/readyz", "/healthz", "/metrics")


@asynccontextmanager
async def hanging(directory: Path, **limits: Any) -> AsyncIterator[tuple[Api, Hang]]:  # noqa: ANN401  # the limits'
    """Serve with a store that does not answer until it is released."""
    hang = Hang()
    store = FakeBackend.all_of(Misbehaving(hang))
    setup = Setup(store, limits=replace(PATIENT, **limits))
    async with serving(setup, directory) as api:
        try:
            yield api, hang
        finally:
            hang.release(StoreUnavailableError())


def in_flight(api: Api) -> int:
    value = api.setup.metrics.registry.get_sample_value("class_management_http_requests_in_flight")
    assert value is not None
    return int(value)


async def until_in_flight(api: Api, count: int) -> None:
    async def as_many() -> bool:
        return in_flight(api) == count

    await until(f"{count} requests in flight", as_many, lambda: in_flight(api))


@asynccontextmanager
async def slow_bodies(api: Api, user: str, count: int) -> AsyncIterator[list[Wire]]:
    """Hold uploads of a user open whose bodies have only begun."""
    async with AsyncExitStack() as stack:
        uploads = [await stack.enter_async_context(wire(api.port)) for _ in range(count)]
        for upload in uploads:
            head = ("Host: x", f"X-User-ID: {user}", f"Content-Length: {len(NEW)}")
            upload.send(f"POST {CLASSES} HTTP/1.1", *head, body=NEW[:5])
        yield uploads


async def test_a_full_process_answers_503_but_for_operations(tmp_path: Path) -> None:
    async with hanging(tmp_path, requests=2) as (api, _), asyncio.TaskGroup() as group:
        held = [group.create_task(api.get(CLASSES, user=f"t{n}")) for n in range(2)]
        await until_in_flight(api, 2)
        refused = (CLASSES, "/v1/nothing", "/internal/v1/tables")
        for path in refused:
            reply = await api.get(path)
            reply.problem(503, "SERVICE_UNAVAILABLE")
            assert reply.headers["Retry-After"] == "1"
        for path in (*OPERATIONS, "/openapi.json", "/docs", "/docs/try.js"):
            assert (await api.get(path, user=None)).status == 200
        assert (await api.send("OPTIONS", CLASSES, user=None)).status == 204
        labels = {"cause": Cause.REQUESTS.value}
        registry = api.setup.metrics.registry
        counted = registry.get_sample_value("class_management_unavailable_total", labels)
        assert counted == len(refused)
        assert not any(one.done() for one in held)
        for one in held:
            one.cancel()


async def test_one_user_cannot_have_all(tmp_path: Path) -> None:
    async with hanging(tmp_path, user_requests=2) as (api, _), asyncio.TaskGroup() as group:
        held = [group.create_task(api.get(CLASSES)) for _ in range(2)]
        await until_in_flight(api, 2)
        reply = await api.get(CLASSES)
        reply.problem(429, "TOO_MANY_REQUESTS")
        assert reply.headers["Retry-After"] == "1"
        held.append(group.create_task(api.get(CLASSES, user=OTHER)))
        await until_in_flight(api, 3)
        for one in held:
            one.cancel()


async def test_bodies_that_arrive_slowly_are_in_flight(tmp_path: Path) -> None:
    async with limited(tmp_path, requests=5, user_requests=3) as api:
        async with slow_bodies(api, "slow", 3) as uploads:
            await until_in_flight(api, 3)
            late = await api.send("GET", CLASSES, user="slow")
            late.problem(429, "TOO_MANY_REQUESTS")
            assert await api.new_class()  # others are not in their way
            for upload in uploads:
                upload.writer.write(NEW[5:])
            assert [(await upload.answer()).status for upload in uploads] == [201] * 3
        assert in_flight(api) == 0
        assert (await api.send("GET", CLASSES, user="slow")).status == 200


async def test_who_is_not_known_holds_nothing(tmp_path: Path) -> None:
    async with (
        limited(tmp_path, requests=1, user_requests=1) as api,
        slow_bodies(api, "", 3) as uploads,
    ):
        assert [(await upload.answer()).status for upload in uploads] == [401] * 3
        assert await api.new_class()


async def test_a_service_has_no_cap_of_its_own(tmp_path: Path) -> None:
    async with hanging(tmp_path, user_requests=1) as (api, _), asyncio.TaskGroup() as group:
        path = "/internal/v1/batches/class-info?batch_ids=00000000-0000-7000-8000-000000000000"
        held = [group.create_task(api.internal(path)) for _ in range(3)]
        await until_in_flight(api, 3)
        for one in held:
            one.cancel()


async def test_nothing_stays_counted(tmp_path: Path) -> None:
    """Whatever becomes of a request: refused, failed, given up by its client, or too late."""
    async with hanging(tmp_path, requests=4, user_requests=4) as (api, hang):
        async with slow_bodies(api, "t", 2):
            await until_in_flight(api, 2)
        await until_in_flight(api, 0)  # their connections broke
        asked = [asyncio.create_task(api.get(CLASSES)) for _ in range(4)]
        await until_in_flight(api, 4)
        hang.release(StoreUnavailableError())
        assert [(await one).status for one in asked] == [503] * 4
        assert in_flight(api) == 0
        for path, user, status in (
            (f"{CLASSES}/x", TEACHER, 400),
            (CLASSES, None, 401),
            ("/v1/nothing", TEACHER, 404),
        ):
            assert (await api.get(path, user=user)).status == status
        assert (await api.send("DELETE", CLASSES)).status == 405
        assert in_flight(api) == 0


async def test_a_page_that_asks_for_thirty_things_at_once_is_answered(tmp_path: Path) -> None:
    async with memory_stores(Policy()) as stores, serving(Setup(stores), tmp_path) as api:
        replies = await asyncio.gather(*(api.get(CLASSES) for _ in range(30)))
        assert {reply.status for reply in replies} == {200}
