"""Open pages of the console: what happens elsewhere appears on them, and deadlines run down."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from devstack.rig.waiting import until
from rules.models import Policy
from tests.browser.test_docs import DESK, opened
from tests.integration.store.builders import Stores, deliver, result, suggest
from tests.integration.web.api import TEACHER, Api, Setup, serving
from tests.integration.web.console.people import Signer
from tests.integration.web.event_streams import message, until_open
from tests.support.stores import memory_stores
from web.console.sessions import TEACHER_COOKIE, SignIn
from web.console.table import WITH_CONSOLE
from web.notifications.events import event_of
from web.notifications.streams import Streams

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Chromium tells of answers that are errors, and of connections that break.
BROKEN: Final = "Failed to load resource"
A_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True)
class School:
    """A service, what is told on its streams, and who is signed in."""

    api: Api
    stores: Stores
    streams: Streams
    cookie: str

    def tell(self, event: str, **members: Any) -> None:  # noqa: ANN401  # JSON
        self.streams.put(TEACHER, event_of(message(event, **members)))

    async def new_batch(self, name: str = "9A") -> UUID:
        """Store an essay that is certain, one that is not and two that nobody is suggested for."""
        class_id = await self.api.new_class(name)
        student_id = UUID(await self.api.new_student("Åsa", "Öberg", class_ids=(class_id,)))
        found = result(suggest(student_id, 0.9)), result(suggest(student_id, 0.4)), result()
        delivery = deliver(UUID(class_id), *found, result())
        await self.stores.inbox.store_suggestions([delivery])
        return delivery.message.batch_id

    @asynccontextmanager
    async def page(
        self,
        browser: Browser,
        path: str = "/console",
        *,
        told: str = BROKEN,
        **options: Any,  # noqa: ANN401  # Playwright's
    ) -> AsyncIterator[Page]:
        """Open a page, until it has its stream."""
        cookies = {TEACHER_COOKIE: self.cookie}
        before = self.streams.count
        async with opened(
            browser, self.api, path, DESK, cookies=cookies, told=told, **options
        ) as page:
            await until_open(self.streams, before + 1)
            yield page
        await until_open(self.streams, before)


@pytest_asyncio.fixture(loop_scope="module")
async def school(tmp_path: Path) -> AsyncIterator[School]:
    streams = Streams(lambda _: None)
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, streams=streams, sign_in=SignIn.DEVELOPMENT)
        async with serving(setup, tmp_path, WITH_CONSOLE) as api:
            cookie = await Signer(await stores.classes.cursor_key()).teacher()
            yield School(api, stores, streams, cookie)


async def test_what_waits_appears_by_itself_and_goes(browser: Browser, school: School) -> None:
    async with school.page(browser) as page:
        await expect(page.get_by_text("Nothing waits for you")).to_be_visible()
        batch_id = await school.new_batch("<b>9A</b>")
        school.tell("student_matches_suggested", batch_id=str(batch_id))
        waiting = page.locator("#batches li")
        await expect(waiting.get_by_role("link", name="<b>9A</b>")).to_be_visible()
        for words in ("2 without a match", "1 uncertain", "1 certain"):
            await expect(waiting.get_by_text(words, exact=True)).to_be_visible()
        await expect(page.locator("#notice")).to_contain_text("New essays wait for you. Show")
        link = page.locator("#notice").get_by_role("link", name="Show")
        await expect(link).to_have_attribute("href", f"/console/batches/{batch_id}")
        await decide(school, batch_id)
        school.tell("student_associations_confirmed", batch_id=str(batch_id))
        await expect(page.get_by_text("Nothing waits for you")).to_be_visible()
        await expect(page.get_by_role("heading", name="Decided in the last days")).to_be_visible()


async def decide(school: School, batch_id: UUID) -> None:
    path = f"/v1/batches/{batch_id}/student-associations"
    found = (await school.api.get(path)).json["associations"]
    decisions = [{"essay_id": one["essay_id"], "confirmed": False} for one in found]
    reply = await school.api.send("POST", f"{path}/confirm", {"associations": decisions})
    assert reply.status == 200, reply.body


async def test_who_reads_keeps_the_place(browser: Browser, school: School) -> None:
    batch_id = await school.new_batch()
    async with school.page(browser) as page:
        link = page.locator(f"#batch-{batch_id}")
        await link.focus()
        await school.new_batch("9B")
        school.tell("student_matches_suggested", batch_id=str(uuid4()))
        await expect(page.get_by_role("link", name="9B").first).to_be_visible()
        await expect(link).to_be_focused()


async def test_no_more_is_told_than_four_times_a_second_and_nothing_is_lost(
    browser: Browser, school: School
) -> None:
    async with school.page(browser) as page:
        await page.evaluate(LISTEN)
        for _ in range(30):
            school.tell("class_created", batch_id=None)

        async def first_and_last() -> bool:
            return bool(await page.evaluate("heard.length >= 2"))

        await until("the first and the last of them", first_and_last)
        for number in range(30):
            school.tell("student_matches_suggested", number=number, batch_id=str(uuid4()))
        told = await expect_told(page, "student_matches_suggested 29")
        assert "resync" in told
        # Of 61 in all; a slow machine spreads what was told at once.
        assert len(told) < 30
        # None is about this page, so all lead to where what waits is listed, which this is.
        await expect(page.locator("#notice .told")).to_have_count(1)
        await expect(page.locator("#notice a")).to_have_count(0)


#: What the page has been told.
LISTEN: Final = """
() => {
    window.heard = [];
    for (const type of ["class_created", "student_matches_suggested", "resync", "due"])
        document.body.addEventListener(`console:${type}`,
            event => heard.push(`${type} ${event.detail.number ?? ""}`.trim()));
}
"""


async def expect_told(page: Page, told: str) -> list[str]:
    """Wait for it; return all that the page has been told."""

    async def heard() -> list[str] | None:
        # What Playwright waits for by itself, the page's policy forbids: it would be eval.
        found: list[str] = await page.evaluate("heard")
        return found if told in found else None

    return await until(told, heard) or []


async def test_the_line_is_marked_while_it_is_down_and_the_page_is_fresh_again(
    browser: Browser, school: School
) -> None:
    async with school.page(browser) as page:
        line = page.locator("#line")
        await expect(line).to_be_hidden()
        await page.context.set_offline(True)
        await expect(line).to_have_text("No connection: what is shown may be old.")
        await expect(line).to_be_visible()
        await school.new_batch("9C")
        await page.context.set_offline(False)
        await expect(line).to_be_hidden()
        await expect(page.get_by_role("link", name="9C").first).to_be_visible()
        await until_open(school.streams, 1)


async def test_a_stream_that_the_service_refuses_is_asked_for_again(
    browser: Browser, school: School
) -> None:
    refused: list[str] = []

    async def refuse(route: Any) -> None:  # noqa: ANN401  # Playwright's
        refused.append(route.request.url)
        if len(refused) < 3:
            await route.fulfill(status=503, body="")
        else:
            await route.continue_()

    async with school.page(browser) as page:
        await page.route("**/console/stream", refuse)
        await page.evaluate(LISTEN)
        await page.context.set_offline(True)
        await page.context.set_offline(False)
        assert await expect_told(page, "resync") == ["resync"]
        assert len(refused) == 3


async def test_a_redis_that_is_back_has_the_page_look_again(
    browser: Browser, school: School
) -> None:
    async with school.page(browser) as page:
        await school.new_batch("9D")
        school.streams.resync(TEACHER)
        await expect(page.get_by_role("link", name="9D").first).to_be_visible()


@pytest.mark.parametrize("wrong", [-A_YEAR, A_YEAR], ids=["behind", "ahead"])
async def test_a_countdown_is_right_on_a_wrong_clock(
    browser: Browser, school: School, wrong: timedelta
) -> None:
    await school.new_batch()
    cookies = {TEACHER_COOKIE: school.cookie}
    async with opened(
        browser, school.api, "/console/sign-in", cookies=cookies, told=BROKEN
    ) as page:
        await page.clock.install(time=datetime.now(UTC) + wrong)
        await page.goto(page.url.replace("/sign-in", ""))
        await page.evaluate(LISTEN)
        countdown = page.locator("time.countdown")
        await expect(countdown).to_have_text(re.compile(r"^23 hrs? 59 mins?$"))
        await page.clock.fast_forward("22:30:00")
        await expect(countdown).to_have_text(re.compile(r"^1 hr 2[89] mins?$"))
        await expect(page.locator("#spoken")).to_be_empty()
        await page.clock.fast_forward("30:00")
        await expect(countdown).to_have_text(re.compile(r"^5[89] mins?$"))
        await expect(page.locator("#spoken")).to_have_text(
            "9A: Decides itself in less than an hour."
        )
        await page.clock.fast_forward("50:00")
        await expect(page.locator("#spoken")).to_have_text(
            "9A: Decides itself in less than ten minutes."
        )
        await page.clock.fast_forward("10:00")
        await expect(page.locator(".deadline")).to_have_text(
            "This is being decided automatically now.", use_inner_text=True
        )
        await expect_told(page, "due")


async def test_the_words_are_those_of_the_page(browser: Browser, school: School) -> None:
    await school.new_batch()
    async with school.page(browser, locale="sv-SE") as page:
        await expect(page.locator("time.countdown")).to_have_text(re.compile(r"^23 tim 59 min$"))
        school.tell("validation_timeout_processed", batch_id=str(uuid4()))
        await expect(page.locator("#notice")).to_contain_text("Uppsatser har avgjorts automatiskt.")


async def test_a_tab_in_the_back_gives_its_connection_back(
    browser: Browser, school: School
) -> None:
    async with school.page(browser) as page:
        await page.evaluate(LISTEN)
        await page.evaluate(SEEN, "hidden")
        await until_open(school.streams, 0)
        await page.evaluate(SEEN, "visible")
        assert await expect_told(page, "resync") == ["resync"]
        await until_open(school.streams, 1)


SEEN: Final = """
(state) => {
    const hidden = state === "hidden";
    Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}
"""
