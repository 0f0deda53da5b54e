"""Every page of the console in a real browser: what none of them may lack, in both themes.

The pages come from the table, so that a new one is looked at from its first day. With
CONSOLE_SCREENSHOTS=folder a picture of each lies there afterwards, in both themes and two widths.
"""

import gzip
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from rules.models import Policy
from tests.browser.test_docs import BESIDE, opened
from tests.integration.web.api import Api, Setup, desk_of, serving
from tests.integration.web.console.letters import FakeLetters, buried
from tests.integration.web.console.people import Signer
from tests.integration.web.worlds import World, new_world
from tests.support.stores import memory_stores
from web.console.sessions import OPERATOR_COOKIE, TEACHER_COOKIE, SignIn
from web.console.table import CONSOLE_OPERATIONS, WITH_CONSOLE
from web.console.views import dead_letters
from web.identity import Access
from web.operations import Operation

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Without the files that a page has one save.
PAGES: Final = [
    one
    for one in CONSOLE_OPERATIONS
    if one.is_page and one.method == "GET" and "text/html" in one.answers[HTTPStatus.OK].media_types
]
NOT_THERE: Final = "/console/not-there"

#: Pages that are about what their address asks for beside its ids.
ASKED: Final[Mapping[str, str]] = {
    dead_letters.LETTER: "?letter=suggestions/3/7",
    dead_letters.DECIDE: "?act=replay&letter=suggestions/3/7",
}

#: Chromium tells of an answer that is an error; that one asked for it is no fault of the page.
ANSWERED: Final = "the server responded with a status of 404"

PHONE: Final = 360
DESK: Final = 1280
SETTINGS: Final = (("light", "en-GB"), ("dark", "sv-SE"))

AXE: Final = gzip.decompress(Path(__file__).with_name("axe").joinpath("axe.min.js.gz").read_bytes())
#: What WCAG 2.2 AA asks for, and what the makers of axe find good practice. It is not asked to
#: describe each element in which nothing is wrong, which takes time.
_FIND: Final = """
async () => (await axe.run(document, {
    resultTypes: ["violations"],
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
})).violations.map(one => [one.id, one.nodes.map(node => [node.html, node.failureSummary])])
"""
#: What a pointer has to hit, unless it is a link within a text.
_SMALL: Final = """
() => [...document.querySelectorAll(
    "button, summary, select, input:not([type=hidden]), nav a, a.button")]
    .map(one => /checkbox|radio/.test(one.type) ? one.closest("label") || one : one)
    .filter(one => one.checkVisibility())
    .map(one => [one.outerHTML, one.getBoundingClientRect()])
    .filter(([, box]) => box.height < 43.5)
    .map(([html, box]) => `${html}: ${box.height}`)
"""

#: Long without a blank, of two directions, of marks, and what would be markup.
NAMES: Final = (
    "O" + "verifierbarhetsundersökning" * 3,
    "صف التاسع 9A",
    "<script>alert(1)</script>",
    "\U0001f469\u200d\U0001f3eb" * 15,
)


@dataclass(frozen=True)
class School:
    """A service for development, and the ids of what a teacher has in it."""

    api: Api
    world: World
    teacher: str
    operator: str

    def cookies(self, operation: Operation) -> dict[str, str]:
        """Return who has to be signed in for a page."""
        if operation.access is Access.OPERATOR:
            return {OPERATOR_COOKIE: self.operator}
        return {} if operation.access is Access.ANYBODY else {TEACHER_COOKIE: self.teacher}

    def path(self, operation: Operation) -> str:
        """Return the path with the teacher's ids. A KeyError here: a World has no such id."""
        return operation.path.format(**vars(self.world)) + ASKED.get(operation.path, "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def school(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[School]:
    folder = tmp_path_factory.mktemp("console")
    async with memory_stores(Policy()) as stores:
        letters = FakeLetters(stores.dead_letters, [buried(7)])
        desk = replace(desk_of(stores), letters=letters)
        setup = Setup(stores, desk=desk, sign_in=SignIn.DEVELOPMENT)
        async with serving(setup, folder, WITH_CONSOLE) as api:
            signer = Signer(await stores.classes.cursor_key())
            await fill(api)
            yield School(api, await new_world(api), await signer.teacher(), signer.operator())


async def fill(api: Api) -> None:
    """Give the teacher classes of such names, each with a batch that waits."""
    for name in NAMES:
        class_id = await api.new_class(name[:100])
        student_id = await api.new_student(name, name[::-1], class_ids=(class_id,))
        for confidence in (0.95, 0.4):
            await api.new_batch(class_id, student_id, None, confidence=confidence)


def shot(name: str) -> Path | None:
    """Return where a picture is to lie, None if none is wanted."""
    folder = os.environ.get("CONSOLE_SCREENSHOTS")
    return Path(folder) / f"{name.strip('/').replace('/', '-') or 'root'}.png" if folder else None


async def picture(page: Page, name: str) -> None:
    if path := shot(name):
        await page.screenshot(path=path, full_page=True)


@asynccontextmanager
async def looked_at(
    browser: Browser,
    school: School,
    operation: Operation,
    theme: str,
    **options: Any,  # noqa: ANN401  # Playwright's
) -> AsyncIterator[Page]:
    """Open a page as who it is for; in the end it must have had no error."""
    cookies = school.cookies(operation)
    path = school.path(operation)
    async with opened(
        browser,
        school.api,
        path,
        DESK,
        cookies=cookies,
        color_scheme=theme,
        reduced_motion="reduce",
        **options,
    ) as page:
        yield page


@pytest.mark.parametrize("operation", PAGES, ids=lambda one: one.path)
@pytest.mark.parametrize(("theme", "locale"), SETTINGS, ids=["light", "dark"])
async def test_nobody_is_kept_out_of_a_page(
    browser: Browser, school: School, operation: Operation, theme: str, locale: str
) -> None:
    async with looked_at(browser, school, operation, theme, locale=locale) as page:
        await check(page, locale)
        for width in (DESK, PHONE):
            await page.set_viewport_size({"width": width, "height": 844})
            assert await found_by_axe(page) == []
            assert await page.evaluate(BESIDE) <= 0
            assert await page.evaluate(_SMALL) == []
            await picture(page, f"{operation.path}-{theme}-{width}")


async def check(page: Page, locale: str) -> None:
    """Check what each page has: its own title, one heading, the language."""
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(page.locator("html")).to_have_attribute("lang", locale[:2])
    heading = await page.get_by_role("heading", level=1).inner_text()
    own, _, service = (await page.title()).rpartition(" - ")
    assert all((own, service, heading))


async def found_by_axe(page: Page) -> list[tuple[str, object]]:
    """Return what axe finds; it is no part of the page, so that the page's policy allows it."""
    # To load it takes longer than to run it; it is there until another page is opened.
    if await page.evaluate("typeof axe") == "undefined":
        await page.evaluate(AXE.decode())
    found: list[tuple[str, object]] = await page.evaluate(_FIND)
    return found


@pytest.mark.parametrize("operation", PAGES, ids=lambda one: one.path)
async def test_a_page_is_there_without_scripts(
    browser: Browser, school: School, operation: Operation
) -> None:
    titles = []
    for has_scripts in (True, False):
        async with looked_at(
            browser, school, operation, "light", java_script_enabled=has_scripts
        ) as page:
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            titles.append(await page.title())
    assert titles[0] == titles[1]


@pytest.mark.parametrize(("theme", "locale"), SETTINGS, ids=["light", "dark"])
async def test_an_error_is_a_page_like_others(
    browser: Browser, school: School, theme: str, locale: str
) -> None:
    async with opened(
        browser, school.api, NOT_THERE, PHONE, told=ANSWERED, color_scheme=theme, locale=locale
    ) as page:
        await check(page, locale)
        assert await found_by_axe(page) == []
        assert await page.evaluate(BESIDE) <= 0
        await picture(page, f"error-{theme}-{PHONE}")


async def test_what_axe_would_find_is_found(browser: Browser, school: School) -> None:
    async with opened(browser, school.api, "/console/sign-in") as page:
        await page.evaluate("document.querySelector('label').remove()")
        assert [one for one, _ in await found_by_axe(page)] == ["label"]


async def test_a_page_is_used_by_the_keyboard_from_its_beginning(
    browser: Browser, school: School
) -> None:
    async with opened(browser, school.api, "/console/sign-in") as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Your id as a teacher")).to_be_focused()
        await page.keyboard.type("lärare-9")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("To confirm")
        await expect(page.get_by_text("lärare-9")).to_be_visible()


async def test_the_language_is_switched_and_kept(browser: Browser, school: School) -> None:
    async with opened(browser, school.api, "/console/sign-in/operator?next=%2Fconsole") as page:
        await page.get_by_role("button", name="Svenska").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "Logga in som driftansvarig"
        )
        assert page.url.endswith("/console/sign-in/operator?next=%2Fconsole")
        await page.goto(page.url.partition("/sign-in")[0] + "/sign-in")
        await expect(page.get_by_role("button", name="English")).to_be_visible()


async def test_a_piece_for_who_is_signed_out_leads_the_page_to_where_one_signs_in(
    browser: Browser, school: School
) -> None:
    refused = "the server responded with a status of 401"
    async with opened(browser, school.api, "/console/sign-in/operator", told=refused) as page:
        await page.evaluate("htmx.ajax('GET', '/console', '#main')")
        await page.wait_for_url("**/console/sign-in?next=%2Fconsole%2Fsign-in%2Foperator")
        await expect(page.get_by_label("Your id as a teacher")).to_be_visible()
