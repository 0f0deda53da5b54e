"""An open page while servers go away and come back: it says so, loses nothing, and goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

import pytest
from playwright.async_api import Locator, Page, async_playwright, expect

from devstack.rig.http import Teacher, yes
from devstack.rig.kafka import Topics
from devstack.rig.outages import stopped
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import Suggested, suggest
from tests.support.programs import program

#: Servers and workers take a while to come back on a busy machine.
PATIENCE_MS: Final = 75_000


@pytest.fixture
async def page(teacher: Teacher) -> AsyncIterator[Page]:
    """Have a browser behind a gateway that says who the teacher is."""
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        path = program("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = await browser.new_page(extra_http_headers={"X-User-ID": quote(teacher.id)})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        await browser.close()


@pytest.fixture
async def batch(
    host: Host, service: ServiceProcess, teacher: Teacher, topics: Topics, page: Page
) -> Suggested:
    """Have the page of a batch of uncertain essays open."""
    assert service.pid is not None
    roster = await teacher.new_roster(3)
    # The least sure comes first on the page.
    sure = zip(roster.student_ids, (0.3, 0.4, 0.5), strict=True)
    batch = suggest(roster.class_id, *([one] for one in sure))
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id, essays=3)
    await page.goto(f"http://127.0.0.1:{host.port}/console/batches/{batch.batch_id}")
    return batch


def row(page: Page, batch: Suggested, place: int) -> Locator:
    return page.locator(f"#essay-{batch.essay_ids[place]}")


async def confirm(essay: Locator) -> None:
    await essay.focus()
    await essay.press("Enter")


async def shows(essay: Locator, state: str) -> None:
    await expect(essay).to_have_attribute("data-state", state)


@asynccontextmanager
async def away(host: Host, service: ServiceProcess, name: str) -> AsyncIterator[None]:
    if name != "worker":
        async with stopped(host.server(name)):
            yield
        return
    # Its end has to come in time, though a page has a stream open.
    await asyncio.to_thread(service.end)
    try:
        yield
    finally:
        await asyncio.to_thread(service.again)


@pytest.mark.parametrize("name", ["worker", "postgres"])
async def test_what_cannot_be_saved_is_told_and_saved_when_it_can_be(
    host: Host, service: ServiceProcess, page: Page, batch: Suggested, teacher: Teacher, name: str
) -> None:
    first = row(page, batch, 0)
    async with away(host, service, name):
        await confirm(first)
        await expect(first.locator(".note.fault")).to_be_visible()
        await shows(first, "uncertain")
        if name == "worker":
            await expect(page.locator("#line")).to_be_visible()
    await expect(page.locator("#line")).to_be_hidden()
    await confirm_until_saved(first)
    essays = await teacher.stored(batch.batch_id, essays=3)
    assert sorted(one["validation_status"] for one in essays) == [
        "confirmed",
        *["pending_validation"] * 2,
    ]


async def confirm_until_saved(essay: Locator) -> None:
    """Try again, as people do: the first time may be too early."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while await essay.get_attribute("data-state") != "decided":
            await essay.locator(".retry").click()
            done = essay.page.locator(
                f"#{await essay.get_attribute('id')}:is([data-state=decided], :has(.retry))"
            )
            await expect(done).to_be_visible()


async def test_without_redis_decisions_are_saved_and_those_of_others_are_seen(
    host: Host, service: ServiceProcess, page: Page, batch: Suggested, teacher: Teacher
) -> None:
    here, next_one, last = (row(page, batch, place) for place in range(3))
    async with away(host, service, "valkey"):
        await confirm(here)
        await shows(here, "decided")
        await decide(teacher, batch, 2)
        await shows(last, "decided")
    await decide(teacher, batch, 1)
    # The page has gone on to it: what is being worked on is not replaced.
    await expect(next_one).to_contain_text("Decided meanwhile")


async def decide(teacher: Teacher, batch: Suggested, place: int) -> None:
    reply = await teacher.confirm(batch.batch_id, yes(batch.essay_ids[place]))
    assert reply.status == 200, reply.body
