"""Dead letters and stories in a real browser: chosen in bulk, seen first, done once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from rules.dead_letters.messages import Reason
from rules.models import Policy
from tests.browser.test_console_pages import PHONE, SETTINGS, found_by_axe, picture
from tests.browser.test_docs import BESIDE, opened
from tests.integration.web.api import Api, Setup, desk_of, serving
from tests.integration.web.console.letters import NOW, FakeLetters, buried
from tests.integration.web.console.people import Signer
from tests.integration.web.worlds import new_world
from tests.support.stores import memory_stores
from web.console.sessions import OPERATOR_COOKIE, new_operator, switched
from web.console.table import WITH_CONSOLE

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIST: Final = "/console/operations/dead-letters"
SAID: Final = '{"name": "صف <script>alert(1)</script>'
REASONS: Final = tuple(Reason)


@dataclass(frozen=True)
class Office:
    """A service with dead letters, and operators' cookies."""

    api: Api
    letters: FakeLetters
    batch_id: str
    looks: str
    acts: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with memory_stores(Policy()) as stores:
        letters = FakeLetters(stores.dead_letters)
        setup = Setup(stores, desk=replace(desk_of(stores), letters=letters))
        async with serving(setup, tmp_path_factory.mktemp("letters"), WITH_CONSOLE) as api:
            world = await new_world(api)
            signer = Signer(await stores.classes.cursor_key())
            acts = switched(new_operator("Eva"), acting=True)
            yield Office(api, letters, world.batch_id, signer.operator(), signer.operator(acts))


@pytest.fixture
def office(service: Office) -> Office:
    """Have new letters for each test: nobody has decided about them."""
    begin = len(service.letters.records) and service.letters.records[-1].offset + 1
    service.letters.records = [
        buried(
            begin + n,
            SAID.encode(),
            why=REASONS[n % len(REASONS)],
            at=NOW + timedelta(minutes=n),
            key=("k" * 200).encode(),
        )
        for n in range(12)
    ]
    return service


def cookies(value: str) -> dict[str, str]:
    return {OPERATOR_COOKIE: value}


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
async def test_letters_are_chosen_seen_and_dropped(
    browser: Browser, office: Office, *, has_scripts: bool
) -> None:
    async with opened(
        browser,
        office.api,
        LIST,
        cookies=cookies(office.acts),
        java_script_enabled=has_scripts,
    ) as page:
        if has_scripts:
            await page.get_by_role("button", name="Choose all of these").click()
        else:
            for box in await page.get_by_role("checkbox").all():
                await box.check()
        await page.get_by_role("checkbox").first.uncheck()
        await page.get_by_role("button", name="Drop …", exact=True).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Drop 11 dead letters?")
        await page.get_by_role("button", name="Drop 11").click()
        await expect(page.get_by_role("status").filter(has_text="11 dead letters")).to_be_visible()
        await expect(page.get_by_role("checkbox")).to_have_count(1)


async def test_a_letter_is_replayed_by_keyboard(browser: Browser, office: Office) -> None:
    async with opened(browser, office.api, LIST, cookies=cookies(office.acts)) as page:
        await page.get_by_role("checkbox").first.focus()
        await page.keyboard.press("Space")
        await page.get_by_role("button", name="Replay …", exact=True).focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Replay 1").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("1 dead letter is on its way")).to_be_visible()
        await expect(page.get_by_text("not handled yet")).to_be_visible()


async def test_who_only_looks_can_choose_nothing(browser: Browser, office: Office) -> None:
    async with opened(browser, office.api, LIST, cookies=cookies(office.looks)) as page:
        await expect(page.get_by_role("link", name="suggestions/3/")).to_have_count(12)
        await expect(page.get_by_role("checkbox")).to_have_count(0)
        await expect(page.get_by_role("button", name="Drop …")).to_have_count(0)


async def test_what_a_letter_says_is_text(browser: Browser, office: Office) -> None:
    async with opened(browser, office.api, LIST, cookies=cookies(office.looks)) as page:
        await page.get_by_role("link", name="suggestions/3/").first.click()
        await expect(page.get_by_text("<script>")).to_have_count(0)
        await page.get_by_role("button", name="Show what it says").click()
        await expect(page.locator("pre")).to_have_text(SAID)
        assert await found_by_axe(page) == []


@pytest.mark.parametrize(("theme", "locale"), SETTINGS, ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, 1280])
async def test_nobody_is_kept_out(
    browser: Browser, office: Office, theme: str, locale: str, width: int
) -> None:
    newest = office.letters.records[-1].offset
    letters = "&letter=".join(f"suggestions/3/{newest - n}" for n in range(4))
    paths = {
        "list": LIST,
        "faults": f"{LIST}?since=x&topic=y",
        "letter": f"{LIST}/letter?letter=suggestions/3/{newest}",
        "decide": f"{LIST}/decide?act=replay&letter={letters}",
        "no-letter": f"{LIST}/letter?letter=suggestions/3/999999",
        "story": f"/console/operations/batches/{office.batch_id}?topics=yes",
        "no-batch": "/console/operations/batches?id=x",
    }
    async with opened(
        browser,
        office.api,
        LIST,
        width,
        cookies=cookies(office.acts),
        color_scheme=theme,
        locale=locale,
        told="the server responded with a status of 40",
    ) as page:
        for name, path in paths.items():
            await page.goto(f"http://127.0.0.1:{office.api.port}{path}")
            assert await found_by_axe(page) == [], name
            assert await page.evaluate(BESIDE) <= 0, name
            await picture(page, f"letters-{name}-{theme}-{width}")
