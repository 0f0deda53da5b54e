"""What an operator sees of all workers and of the store, also when some of it is away."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from structlog.testing import capture_logs

from rules.errors import Cause, StoreUnavailableError
from rules.ids import new_id
from rules.models import Policy
from rules.shards import SHARDS
from store.protocols.outbox import Refusal
from store.protocols.overview import Overview
from telemetry.status import Dependency, Lag, Letters, Requests
from tests.integration.store.builders import (
    A_DAY,
    Stores,
    caller,
    deliver,
    make_batch,
    make_class,
    result,
    store_one,
)
from tests.integration.web.api import Api, Reply, Setup, desk_of, serving
from tests.integration.web.console.people import (
    FRAGMENT,
    as_operator,
    cookies_of,
    send_form,
    signed_in,
    token_on,
)
from tests.integration.web.fakes import (
    GOOD_STATUS,
    PARTITIONS,
    Behaviour,
    FakeBackend,
    FakeStatus,
    FakeTables,
    Hang,
    Misbehaving,
    unavailable,
)
from tests.integration.web.test_inspection import known, nobody, record, saying, silent
from tests.support.stores import memory_stores
from web.console.desk import Desk
from web.console.figures import Figures
from web.console.sessions import OPERATOR_COOKIE
from web.console.table import WITH_CONSOLE

PAGE: Final = "/console/operations"
ACTING: Final = "/console/operations/acting"
FINE: Final = "All is as it should be"
WITHOUT_STREAMS: Final = FakeStatus(replace(GOOD_STATUS, role="web", lag=[], decided=0))


@asynccontextmanager
async def process(
    folder: Path,
    stores: Stores,
    name: str = "a:1",
    **options: Any,  # noqa: ANN401  # Setup's
) -> AsyncIterator[Api]:
    options = {"tables": FakeTables(worker=name), "status": FakeStatus(), **options}
    desk = replace(desk_of(stores), status=options["status"].now)
    setup = Setup(stores, desk=desk, **options)
    async with serving(setup, folder / name, WITH_CONSOLE) as api:
        yield api


@pytest.fixture
async def stores() -> AsyncIterator[Stores]:
    async with memory_stores(Policy()) as opened:
        yield opened


@pytest.fixture
async def api(stores: Stores, tmp_path: Path) -> AsyncIterator[Api]:
    async with process(tmp_path, stores) as running:
        yield running


def words(reply: Reply) -> str:
    """Return what a page says, without its markup."""
    assert reply.status == 200, reply.body
    body = reply.body.decode().replace("<wbr>", "")
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", body, flags=re.DOTALL)
    return re.sub(r"\s+", " ", text)


async def seen(api: Api, path: str = PAGE, **headers: str) -> str:
    """Return what an operator reads."""
    cookie = await signed_in(api)
    return words(await api.get(path, user=None, headers={**cookie, **headers}))


# --- the page ---------------------------------------------------------------------------------


async def test_where_all_is_well_the_page_says_so_and_no_more(api: Api) -> None:
    text = await seen(api)
    assert FINE in text
    assert "What to do" not in text
    assert "a:1" in text
    assert "0-7" in text
    assert "Nothing waits to be sent." in text


async def test_what_the_store_has_is_shown(api: Api, stores: Stores) -> None:
    batch = await make_batch(stores, None, None, None)
    await store_one(stores, deliver(new_id(), result()))
    text = await seen(api)
    assert "3 essays fall due within 24 hours" in text
    assert "Open batches 1 Parked: they wait for a class or a student 1, the oldest since" in text
    await stores.elapse(A_DAY + timedelta(minutes=1))
    text = await seen(api)
    assert "3 essays are overdue" in text
    assert "0 essays fall due" in text
    await stores.timers.decide_due([batch.id])
    text = await seen(api)
    assert "overdue" not in text.replace("Overdue 0", "")


async def test_the_picture_of_the_hours_has_a_bar_for_each_that_has_something(
    api: Api, stores: Stores
) -> None:
    early = await make_batch(stores, None, None, None, None)
    await stores.elapse(timedelta(hours=3))
    await make_batch(stores, None, room=early.room)
    cookie = await signed_in(api)
    page = (await api.get(PAGE, user=None, headers=cookie)).body.decode()
    bars = re.findall(r'<rect x="(\d+)" y="(\d+)" width="8" height="(\d+)">', page)
    assert [int(height) for _, _, height in bars] == [100, 25]
    assert int(bars[1][0]) - int(bars[0][0]) == 30
    assert [int(y) + int(height) for _, y, height in bars] == [100, 100]


async def test_events_that_wait_too_long_are_a_concern(api: Api, stores: Stores) -> None:
    await make_class(stores, caller())
    text = await seen(api)
    assert FINE in text
    assert "Shard" in text
    await stores.elapse(timedelta(minutes=2))
    text = await seen(api)
    assert "Events wait since" in text
    assert "bring Kafka back" in text


async def test_what_the_broker_refuses_leads_to_where_it_is_decided(
    api: Api, stores: Stores
) -> None:
    await make_class(stores, caller())
    async with stores.outbox.lease(range(SHARDS), 1) as lease:
        [pack, *_] = await lease.fetch()
        await lease.end([pack], {pack.id: Refusal.TOO_LARGE})
    cookie = await signed_in(api)
    page = (await api.get(PAGE, user=None, headers=cookie)).body.decode()
    assert 'href="/console/operations/outbox">1 message is set aside</a>' in page
    assert "max.message.bytes where they are too large" in page


async def test_what_a_worker_knows_is_shown(stores: Stores, tmp_path: Path) -> None:
    since = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    status = replace(
        GOOD_STATUS,
        dependencies=[
            Dependency("database", "ok", since),
            Dependency("redis", "unreachable", since),
        ],
        lag=[Lag("huleedu.x", 0, 1_200), Lag("huleedu.x", 1, 300)],
        dead_letters=[Letters("x.dlt", 3), Letters("y.dlt", None)],
        checks={"topics": "missing: <b>huleedu.x</b>", "outbox": "messages set aside: 3"},
        requests=Requests(60.0, 1_480, 20, 2),
        late=4,
    )
    async with process(tmp_path, stores, status=FakeStatus(status)) as api:
        text = await seen(api)
    # With the year, once that is another one.
    assert re.search(r"Redis: unreachable since 1 Mar( 2026)? 10:30, says a:1", text)
    assert "1,500 messages wait in huleedu.x" in text
    assert "3 dead letters are open" in text
    assert "y.dlt not known" in text
    assert "a:1: the check topics says: missing: &lt;b&gt;huleedu.x&lt;/b&gt;" in text
    assert "2 requests failed on a:1" in text
    assert "1,502 in 60 s" in text
    assert "More than 10 s late 4" in text
    assert "the check outbox" not in text
    assert "5 things are not as they should be" in text


async def test_a_piece_is_the_part_that_changes(api: Api) -> None:
    cookie = await signed_in(api)
    reply = await api.get(PAGE, user=None, headers={**cookie, **FRAGMENT})
    assert FINE in words(reply)
    assert b"<html" not in reply.body
    assert b"<h1" not in reply.body


async def test_in_swedish(api: Api) -> None:
    text = await seen(api, **{"Accept-Language": "sv"})
    assert "Allt är som det ska" in text


# --- all workers ------------------------------------------------------------------------------


async def test_every_worker_is_on_the_page_of_each(stores: Stores, tmp_path: Path) -> None:
    half = range(PARTITIONS // 2)
    a, b = FakeTables(worker="a:1", partitions=half), FakeTables(worker="b:1", partitions=(4, 6, 7))
    b.recovered = False
    lag = replace(GOOD_STATUS, lag=[Lag("t", 4, 7)], changelog_lag=1_234, decided=30)
    async with (
        process(tmp_path, stores, "a:1", tables=a) as one,
        process(tmp_path, stores, "b:1", tables=b, status=FakeStatus(lag)) as other,
        process(tmp_path, stores, "c:1", has_part=False, status=WITHOUT_STREAMS) as front,
    ):
        everybody = known(one, other)
        for api in (one, other, front):
            api.setup.peers.records = everybody
        for api in (one, other, front):
            text = await seen(api)
            assert "a:1 all 1.2.3 0-3 recovered" in text
            assert "b:1 all 1.2.3 4, 6-7 recovers: 1,234 to read" in text
            assert "b:1 recovers its part of the table" in text
            assert "Some of the table is on the move" in text
            assert "t 7 wait" in text
            assert "Decided since the workers started 42" in text
            assert ("this process web 1.2.3 none" in text) == (api is front)


OLDER: Final = saying(b"{}", 404)
Fault: TypeAlias = Callable[[], AbstractAsyncContextManager[int]]
SILENT: Final[Sequence[Fault]] = (
    nobody,
    silent,
    saying(b"{}", 500),
    saying(b"{}", 401),
    saying(b"<html>"),
)


async def test_a_worker_of_a_version_before_is_shown_as_that(
    stores: Stores, tmp_path: Path
) -> None:
    async with process(tmp_path, stores) as api, OLDER() as port:
        api.setup.peers.records = [record("b:1", port, 0, 1)]
        text = await seen(api)
    assert "b:1 0-1 Of another version: what it knows of itself is not shown." in text
    assert "does not answer" not in text


@pytest.mark.parametrize("fault", SILENT)
async def test_a_worker_that_does_not_answer_is_shown_as_that(
    stores: Stores, tmp_path: Path, fault: Fault
) -> None:
    async with process(tmp_path, stores, timeout_seconds=2.0) as api, fault() as port:
        api.setup.peers.records = [record("b:1", port, 0, 1)]
        text = await seen(api)
    assert "b:1 0-1 does not answer" in text
    assert "Look at its log and its machine." in text
    assert "a:1 all 1.2.3" in text


async def test_where_no_worker_is_known_the_page_says_how_they_appear(
    stores: Stores, tmp_path: Path
) -> None:
    async with process(tmp_path, stores, has_part=False, status=WITHOUT_STREAMS) as api:
        text = await seen(api)
    assert "this process" in text
    assert "Some of the table is on the move" in text


# --- the store is away ------------------------------------------------------------------------


class Unsteady:
    """A store in numbers that can go away."""

    def __init__(self, stores: Stores) -> None:
        self._good = stores.overview
        self.behaviour: Behaviour | None = None

    async def overview(self) -> Overview:
        if self.behaviour:
            await self.behaviour()
        return await self._good.overview()


async def read_only() -> None:
    raise StoreUnavailableError(cause=Cause.READ_ONLY)


def without_database(figures: Unsteady, seconds: float = 30) -> Setup:
    """Have nothing but what a process knows without its database, the workers among it."""
    nothing = Misbehaving(unavailable)
    numbers, status = Figures(figures, seconds), FakeStatus().now
    desk = Desk(nothing, nothing, numbers, status, nothing, nothing)  # type: ignore[arg-type]  # meets every protocol
    tables = FakeTables(worker="a:1")
    return Setup(FakeBackend.all_of(nothing), desk=desk, tables=tables, timeout_seconds=seconds)


async def test_without_the_database_the_page_shows_what_others_know_and_the_last_numbers(
    stores: Stores, tmp_path: Path
) -> None:
    await make_batch(stores, None, None)
    store = Unsteady(stores)
    async with serving(without_database(store), tmp_path, WITH_CONSOLE) as api:
        store.behaviour = read_only
        text = await seen(api)
        assert "PostgreSQL: read_only since" in text
        assert "Bring PostgreSQL back" in text
        assert "The store has not been read yet." in text
        assert "a:1 all 1.2.3 0-7 recovered" in text

        store.behaviour = None
        text = await seen(api)
        assert FINE in text
        assert "2 essays fall due within 24 hours" in text

        store.behaviour = read_only
        text = await seen(api)
        assert "PostgreSQL: read_only since" in text
        assert "2 essays fall due within 24 hours" in text
        assert "The store's numbers are those of" in text


async def test_a_database_that_hangs_keeps_nobody_waiting_and_is_asked_once(
    stores: Stores, tmp_path: Path
) -> None:
    store, hang = Unsteady(stores), Hang()
    asked = []

    async def hanging() -> None:
        asked.append(1)
        await hang()

    async with serving(without_database(store, 2.0), tmp_path, WITH_CONSOLE) as api:
        store.behaviour = hanging
        desk = api.setup.desk
        assert desk is not None
        object.__setattr__(desk.figures, "_seconds", 0.05)
        for _ in range(3):
            assert "PostgreSQL: no_answer since" in await seen(api)
        assert asked == [1]
        hang.release(StoreUnavailableError())
        store.behaviour = None


async def test_who_signs_in_needs_no_database(stores: Stores, tmp_path: Path) -> None:
    store = Unsteady(stores)
    store.behaviour = unavailable
    async with serving(without_database(store), tmp_path, WITH_CONSOLE) as api:
        cookie = await switched(api, await signed_in(api), "on")
        text = words(await api.get(PAGE, user=None, headers=cookie))
        assert "Acting is on." in text


# --- acting -----------------------------------------------------------------------------------


async def switched(api: Api, cookie: dict[str, str], choice: str) -> dict[str, str]:
    """Switch acting on or off; return the operator's new cookie."""
    page = await api.get(PAGE, user=None, headers=cookie)
    fields = {"form_token": token_on(page), "acting": choice, "next": PAGE}
    reply = await send_form(api, ACTING, fields, headers=cookie)
    assert (reply.status, reply.headers["Location"]) == (303, PAGE), reply.body
    return as_operator(cookies_of(reply)[OPERATOR_COOKIE].partition(";")[0])


async def test_acting_is_switched_on_and_off_and_the_log_says_by_whom(api: Api) -> None:
    cookie = await signed_in(api, "Eva Ek")
    assert "Switch acting on" in words(await api.get(PAGE, user=None, headers=cookie))
    with capture_logs() as lines:
        acting = await switched(api, cookie, "on")
        text = words(await api.get(PAGE, user=None, headers=acting))
        assert "Acting is on." in text
        assert "It ends by itself at" in text
        reading = await switched(api, acting, "off")
    assert "Switch acting on" in words(await api.get(PAGE, user=None, headers=reading))
    acts = [line for line in lines if line["event"] == "operator switches acting"]
    assert [(line["acting"], line["operator"]) for line in acts] == [
        ("on", "Eva Ek"),
        ("off", "Eva Ek"),
    ]


@pytest.mark.parametrize("choice", [["yes"], [""], ["on", "on"], []])
async def test_a_switch_that_says_nothing_clear_switches_nothing(
    api: Api, choice: Sequence[str]
) -> None:
    cookie = await signed_in(api)
    token = token_on(await api.get(PAGE, user=None, headers=cookie))
    fields = {"form_token": token, "acting": choice, "next": PAGE}
    reply = await send_form(api, ACTING, fields, headers=cookie)
    assert reply.status == 400
    assert OPERATOR_COOKIE not in cookies_of(reply)


async def test_the_switch_leads_to_pages_of_ours_alone(api: Api) -> None:
    cookie = await signed_in(api)
    token = token_on(await api.get(PAGE, user=None, headers=cookie))
    fields = {"form_token": token, "acting": "on", "next": "https://evil.example/"}
    reply = await send_form(api, ACTING, fields, headers=cookie)
    assert (reply.status, reply.headers["Location"]) == (303, "/console")
