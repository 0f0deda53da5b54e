"""The operator's overview in a real browser: it is live, calm, and used by the keyboard."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from rules.errors import Cause, StoreUnavailableError
from rules.ids import new_id
from rules.models import Policy
from rules.shards import SHARDS
from store.protocols.outbox import Refusal
from store.protocols.overview import Overview
from telemetry.status import Dependency, Lag, Letters, Requests
from tests.browser.test_console_pages import found_by_axe, picture
from tests.browser.test_docs import BESIDE, opened
from tests.integration.store.builders import (
    Stores,
    caller,
    deliver,
    make_batch,
    make_class,
    result,
    store_one,
)
from tests.integration.web.api import INTERNAL_KEY, Api, Setup, desk_of, serving
from tests.integration.web.console.people import Signer
from tests.integration.web.fakes import GOOD_STATUS, START, FakeStatus, FakeTables, entry
from tests.integration.web.test_inspection import compared, record
from tests.support.stores import memory_stores
from web.console.figures import Figures
from web.console.sessions import OPERATOR_COOKIE, SignIn, new_operator, switched
from web.console.table import WITH_CONSOLE

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE: Final = "/console/operations"
DESK: Final = 1280
PHONE: Final = 360
#: Sooner than the page does it by itself.
ASK: Final = "htmx.trigger('#live', 'refresh')"
#: What a page has to say when it loses its service is no matter.
ANYTHING: Final = ""
OLD: Final = re.compile(r"What is shown is [1-9]\d seconds old\.")


@dataclass
class Store:
    """A store in numbers that goes away when it is told to."""

    stores: Stores
    is_away: bool = False

    async def overview(self) -> Overview:
        if self.is_away:
            raise StoreUnavailableError(cause=Cause.UNREACHABLE)
        return await self.stores.overview.overview()


@dataclass
class Room:
    """A worker, the store that it works on, and who looks at it."""

    api: Api
    stores: Stores
    store: Store
    status: FakeStatus
    signer: Signer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    async with memory_stores(Policy()) as stores:
        store, status = Store(stores), FakeStatus()
        desk = replace(desk_of(stores), figures=Figures(store, 30), status=status.now)
        setup = Setup(
            stores,
            desk=desk,
            sign_in=SignIn.DEVELOPMENT,
            status=status,
            tables=FakeTables(worker="worker-1.example:5002"),
        )
        async with serving(setup, tmp_path_factory.mktemp("overview"), WITH_CONSOLE) as api:
            signer = Signer(await stores.classes.cursor_key())
            yield Room(api, stores, store, status, signer)


@asynccontextmanager
async def looked_at(
    browser: Browser,
    room: Room,
    path: str = PAGE,
    *,
    acting: bool = False,
    **options: Any,  # noqa: ANN401  # Playwright's
) -> AsyncIterator[Page]:
    operator = room.signer.operator(switched(new_operator("Eva"), acting=acting))
    cookies = {OPERATOR_COOKIE: operator}
    async with opened(browser, room.api, path, cookies=cookies, **options) as page:
        yield page


async def test_it_shows_by_itself_what_is_new_and_speaks_of_that_alone(
    browser: Browser, room: Room
) -> None:
    async with looked_at(browser, room) as page:
        await expect(page.get_by_role("heading", name="All is as it should be")).to_be_visible()
        await expect(page.locator("#said")).to_have_text("")
        link = page.get_by_role("link", name="Outbox")
        await link.focus()
        redis = Dependency("redis", "unreachable", START)
        room.status.status = replace(GOOD_STATUS, dependencies=[redis])
        # Within 5 s, by itself.
        await expect(page.get_by_text("Redis: unreachable since")).to_be_visible()
        await expect(page.locator("#said")).to_have_text("1 thing is not as it should be")
        await expect(link).to_be_focused()
        room.status.status = GOOD_STATUS
        await page.evaluate(ASK)
        await expect(page.locator("#said")).to_have_text("All is as it should be")


async def test_the_focus_stays_on_a_link_that_is_shown_anew(browser: Browser, room: Room) -> None:
    letters = replace(GOOD_STATUS, dead_letters=[Letters("x.dlt", 2)])
    room.status.status = letters
    async with looked_at(browser, room) as page:
        await page.get_by_role("link", name="2 dead letters are open").focus()
        room.status.status = replace(letters, dead_letters=[Letters("x.dlt", 3)])
        await page.evaluate(ASK)
        await expect(page.get_by_role("link", name="3 dead letters are open")).to_be_focused()
    room.status.status = GOOD_STATUS


async def test_the_database_goes_away_and_comes_back_under_an_open_page(
    browser: Browser, room: Room
) -> None:
    await make_batch(room.stores, None, None)
    async with looked_at(browser, room) as page:
        await expect(page.get_by_text("2 essays fall due within 24 hours")).to_be_visible()
        room.store.is_away = True
        await page.evaluate(ASK)
        await expect(page.get_by_text("PostgreSQL: unreachable since")).to_be_visible()
        await expect(page.get_by_text("2 essays fall due within 24 hours")).to_be_visible()
        room.store.is_away = False
        await page.evaluate(ASK)
        await expect(page.get_by_role("heading", name="All is as it should be")).to_be_visible()


async def test_a_page_that_gets_no_answer_says_so_until_it_does(
    browser: Browser, room: Room
) -> None:
    async with looked_at(browser, room, told=ANYTHING) as page:
        await page.clock.install()
        await page.reload()
        await page.context.set_offline(True)
        await page.clock.run_for(5_100)
        await expect(page.locator("#line")).to_be_visible()
        await page.clock.run_for(10_000)
        await expect(page.locator("#age")).to_have_text(OLD)
        await page.context.set_offline(False)
        await page.clock.run_for(5_000)
        await expect(page.locator("#line")).to_be_hidden()
        await expect(page.locator("#age")).to_be_hidden()


async def test_acting_is_switched_by_the_keyboard(browser: Browser, room: Room) -> None:
    async with opened(browser, room.api, f"/console/sign-in/operator?next={PAGE}") as page:
        await page.get_by_label("Your name, for the log").fill("Eva")
        await page.get_by_label("The internal key").fill(INTERNAL_KEY)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Switch acting on").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Acting is on.")).to_be_visible()
        await page.get_by_role("button", name="Switch acting off").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("You can look at everything here")).to_be_visible()


async def crowd(room: Room) -> None:
    """Have a bad day: something of everything that the page can show."""
    stores = room.stores
    await make_class(stores, caller())
    await stores.elapse(timedelta(minutes=5))
    for number in range(7):
        await make_class(stores, caller(f"t{number}"))
    async with stores.outbox.lease(range(SHARDS), 1) as lease:
        [pack, *_] = await lease.fetch()
        # Of a teacher who was here before, it may stand behind one that was refused then.
        await lease.end([pack], {pack.id: None if pack.held else Refusal.TOO_LARGE})
    await store_one(stores, deliver(new_id(), result()))
    for essays in (30, 4, 12, 1, 25):
        await make_batch(stores, *[None] * essays)
        await stores.elapse(timedelta(hours=3, minutes=11))
    setup = room.api.setup
    setup.tables.entries = [entry(number) for number in range(8)]
    setup.reconciler.last = compared(new_id(), new_id(), missing=1, stale=1)
    setup.peers.records = [record("worker-2.example:5002", 1, *range(4, 8))]
    room.status.status = replace(
        GOOD_STATUS,
        health="degraded",
        checks={"topics": "missing: huleedu.class.commands.v1"},
        dependencies=[
            Dependency("database", "ok", START),
            Dependency("kafka", "unreachable", START),
            Dependency("redis", "ok", START),
        ],
        lag=[Lag("huleedu.batch.author.matches.suggested.v1", 0, 12_345)],
        dead_letters=[Letters("huleedu.class.commands.v1.dlt", 3)],
        requests=Requests(60.0, 1_480, 20, 2),
        late=4,
    )


BUSY: Final = (PAGE, f"{PAGE}/outbox", f"{PAGE}/timers")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_bad_day_is_readable_by_everybody(browser: Browser, room: Room, theme: str) -> None:
    await crowd(room)
    for path in BUSY:
        async with looked_at(browser, room, path, acting=True, color_scheme=theme) as page:
            await check(page, f"{path}-bad-day-{theme}")


async def check(page: Page, name: str) -> None:
    for width in (DESK, PHONE):
        await page.set_viewport_size({"width": width, "height": 844})
        assert await found_by_axe(page) == []
        assert await page.evaluate(BESIDE) <= 0
        await picture(page, f"{name}-{width}")


async def test_a_message_is_put_back_by_the_keyboard(browser: Browser, room: Room) -> None:
    await crowd(room)
    async with looked_at(browser, room, f"{PAGE}/outbox", acting=True) as page:
        before = (await room.stores.set_aside.counts()).refused
        await page.get_by_role("checkbox").first.focus()
        await page.keyboard.press("Space")
        await page.get_by_role("button", name="Put back into the outbox").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Put 1 message back?")).to_be_visible()
        await check(page, f"{PAGE}-outbox-decide-light")
        await page.get_by_role("button", name="Put them back").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("The messages are back in the outbox.")).to_be_visible()
        assert (await room.stores.set_aside.counts()).refused == before - 1


async def test_a_comparison_ends_under_an_open_page(browser: Browser, room: Room) -> None:
    reconciler = room.api.setup.reconciler
    reconciler.last = compared(running=True)
    async with looked_at(browser, room, f"{PAGE}/timers") as page:
        await expect(page.get_by_text("The workers compare …")).to_be_visible()
        reconciler.last = compared()
        await page.evaluate(ASK)
        await expect(page.locator("#said")).to_have_text("They agree.")
