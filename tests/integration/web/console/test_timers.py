"""The table of deadlines on a page, and comparing it with the database."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from rules.ids import new_id
from rules.models import Policy
from tests.integration.web.api import Api, Reply, Setup, desk_of, serving
from tests.integration.web.console.people import FRAGMENT, send_form, signed_in, token_on
from tests.integration.web.console.test_overview import switched, words
from tests.integration.web.fakes import FakeTables, entry
from tests.integration.web.test_inspection import compared, nobody, record
from tests.support.stores import memory_stores
from web.console.table import WITH_CONSOLE

PAGE: Final = "/console/operations/timers"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with memory_stores(Policy()) as stores:
        tables = FakeTables([entry(number, worker="a:1") for number in range(120)], "a:1")
        setup = Setup(stores, desk=desk_of(stores), tables=tables)
        async with serving(setup, tmp_path, WITH_CONSOLE) as running:
            yield running


async def seen(api: Api) -> str:
    return words(await api.get(PAGE, user=None, headers=await signed_in(api)))


async def send(api: Api, cookie: dict[str, str], **fields: str | list[str]) -> Reply:
    token = token_on(await api.get(PAGE, user=None, headers=cookie))
    return await send_form(api, PAGE, {"form_token": token, **fields}, headers=cookie)


async def test_the_table_and_what_falls_due_next_are_shown(api: Api) -> None:
    text = await seen(api)
    assert "120 batches wait" in text
    assert "a:1 0-7 120 recovered" in text
    entries = sorted(api.setup.tables.entries, key=lambda one: (one.confirm_by, one.batch_id))
    first, beyond = entries[0], entries[119]
    # With the year, once that is another one.
    assert re.search(rf"\b1 Mar( 2026)? 13:00 {first.batch_id} ", text)
    assert f"partition {first.partition}" in text
    assert str(beyond.batch_id) not in text
    assert "No worker has compared yet." in text
    assert "Compare and repair" not in text


async def test_the_next_page_goes_on_behind_this_one(api: Api) -> None:
    cookie = await signed_in(api)
    page = (await api.get(PAGE, user=None, headers=cookie)).body.decode()
    [cursor] = re.findall(r'href="([^"]+)#next"', page)
    more = (await api.get(cursor, user=None, headers=cookie)).body.decode()
    shown = [re.findall(r'operations/batches/([^"]+)"', one) for one in (page, more)]
    entries = sorted(api.setup.tables.entries, key=lambda one: (one.confirm_by, one.batch_id))
    assert [len(one) for one in shown] == [100, 20]
    assert shown[0] + shown[1] == [str(one.batch_id) for one in entries]
    assert "#next" not in more
    reply = await api.get(f"{PAGE}?cursor=x", user=None, headers=cookie)
    assert reply.status == 400


async def test_where_nothing_waits_the_page_says_what_will_be(api: Api) -> None:
    api.setup.tables.entries.clear()
    assert "No batch waits. Those that wait" in await seen(api)


async def test_what_differs_is_shown_with_the_way_to_it(api: Api) -> None:
    batch_id = new_id()
    api.setup.reconciler.last = compared(batch_id, missing=1, stale=2, mended=2)
    cookie = await signed_in(api)
    reply = await api.get(PAGE, user=None, headers=cookie)
    assert "3 batches differ." in words(reply)
    assert f'href="/console/operations/batches/{batch_id}"' in reply.body.decode()
    assert "Repaired 2" in words(reply)
    api.setup.reconciler.last = compared()
    assert "They agree." in await seen(api)


async def test_what_was_repaired_differs_no_more(api: Api) -> None:
    api.setup.reconciler.last = compared(new_id(), missing=1, stale=2, mended=3)
    reply = await api.get(PAGE, user=None, headers=await signed_in(api))
    assert "3 batches differed, and were repaired." in words(reply)
    assert b'id="state" class="good"' in reply.body


async def test_a_piece_is_the_comparison_alone(api: Api) -> None:
    api.setup.reconciler.last = compared(running=True)
    headers = {**await signed_in(api), **FRAGMENT}
    reply = await api.get(PAGE, user=None, headers=headers)
    assert "The workers compare …" in words(reply)
    assert b"<html" not in reply.body
    assert b"batches wait" not in reply.body


async def test_a_worker_that_is_away_leaves_the_page_incomplete(api: Api) -> None:
    async with nobody() as port:
        api.setup.peers.records = [record("b:1", port, 4)]
        text = await seen(api)
    assert "Not complete: a worker does not answer" in text
    assert "b:1 4 does not answer" in text
    assert "a:1 0-7 120 recovered" in text


async def test_anybody_may_compare_and_who_acts_may_repair(api: Api) -> None:
    cookie = await signed_in(api, "Eva")
    reply = await send(api, cookie, act="check")
    assert (reply.status, reply.headers["Location"]) == (303, f"{PAGE}?notice=timers-check")
    assert api.setup.reconciler.requests == [False]

    assert (await send(api, cookie, act="repair")).status == 403
    assert api.setup.reconciler.requests == [False]

    acting = await switched(api, cookie, "on")
    assert "Compare and repair" in words(await api.get(PAGE, user=None, headers=acting))
    with capture_logs() as lines:
        reply = await send(api, acting, act="repair")
    assert (reply.status, reply.headers["Location"]) == (303, f"{PAGE}?notice=timers-repair")
    assert api.setup.reconciler.requests == [False, True]
    [line] = [line for line in lines if line["event"] == "operator acts"]
    assert (line["act"], line["operator"]) == ("timers.repair", "Eva")


@pytest.mark.parametrize("act", ["", "drop", ["check", "repair"]])
async def test_what_is_asked_for_must_be_clear(api: Api, act: str | list[str]) -> None:
    cookie = await switched(api, await signed_in(api), "on")
    assert (await send(api, cookie, act=act)).status == 400
    assert api.setup.reconciler.requests == []
