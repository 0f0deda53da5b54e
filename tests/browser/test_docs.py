"""The pages of /docs in a real browser: what they show, and that they ask no other host for it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, expect

from rules import topics
from tests.integration.web.api import Api
from web.documents.asyncapi import document

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: The viewers are large, and other tests have the machine's cores, too.
PATIENCE_MS: Final = 75_000
PHONE: Final = 390
NO_COOKIES: Final[Mapping[str, str]] = MappingProxyType({})
DESK: Final = 1400

#: A refusal by the page's policy is an error of the console, too; this names what was refused.
LISTEN: Final = """
document.addEventListener("securitypolicyviolation",
    event => console.error(`refused: ${event.violatedDirective} ${event.blockedURI}`))
"""
#: Redoc's search asks whether it could make a worker, and goes on without one. The policy says no,
#: as it should; how soon after the page is shown depends on the machine.
PROBED: Final = "refused: script-src eval"
BESIDE: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@asynccontextmanager
async def opened(
    browser: Browser,
    api: Api,
    path: str,
    width: int = DESK,
    *,
    cookies: Mapping[str, str] = NO_COOKIES,
    told: str = PROBED,
    **options: Any,  # noqa: ANN401  # Playwright's
) -> AsyncIterator[Page]:
    """Open a page; in the end it must have had no error, and have asked no other host.

    `told` is what its console may have all the same, `options` are those of the browser's context.
    """
    own = f"http://127.0.0.1:{api.port}/"
    context = await browser.new_context(viewport={"width": width, "height": 844}, **options)
    await context.add_cookies(
        [{"name": name, "value": value, "url": f"{own}console"} for name, value in cookies.items()]
    )
    await context.add_init_script(LISTEN)
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    errors: list[str] = []
    asked: list[str] = []
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{own}{path.removeprefix('/')}")
    yield page
    await context.close()
    assert [one for one in errors if told not in one] == []
    assert [url for url in asked if not url.startswith((own, "data:"))] == []


async def test_the_operations_are_shown(browser: Browser, api: Api) -> None:
    async with opened(browser, api, "/docs") as page:
        await expect(page).to_have_title("HTTP - Class Management Service 1.2.3")
        await page.get_by_text("Classes", exact=True).first.click()
        await page.get_by_text("Create a class").first.click()
        await expect(page.get_by_role("heading", name="Create a class").first).to_be_in_viewport()
        await expect(page.get_by_text("/v1/classes", exact=True).first).to_be_visible()


async def test_the_topics_are_shown(browser: Browser, api: Api) -> None:
    channels = document()["channels"].values()
    async with opened(browser, api, "/docs/events") as page:
        for channel in channels:
            await expect(page.get_by_text(channel["title"], exact=True).first).to_be_visible()
        await page.get_by_text("Classes created", exact=True).first.click()
        await expect(page.get_by_text(topics.CLASS_CREATED).first).to_be_in_viewport()
        await expect(page.get_by_text("class_designation").first).to_be_attached()


async def test_a_request_can_be_tried(browser: Browser, api: Api) -> None:
    async with opened(browser, api, "/docs/try") as page:
        await page.get_by_role("button", name="Authorize").first.click()
        asked = page.locator(".auth-container").filter(has_text="X-User-ID").first
        await asked.get_by_role("textbox").first.fill("teacher-1")
        await (
            asked.get_by_role("button", name="Apply credentials")
            .or_(asked.get_by_role("button", name="Authorize"))
            .first.click()
        )
        await page.get_by_role("button", name="Close").first.click()
        await page.get_by_text("List the courses").first.click()
        await page.get_by_role("button", name="Execute").first.click()
        answer = page.locator(".live-responses-table")
        await expect(answer.get_by_text("200", exact=True).first).to_be_visible()
        await expect(answer.get_by_text("Svenska 1").first).to_be_visible()


@pytest.mark.parametrize("path", ["/docs", "/docs/events", "/docs/try"])
async def test_a_page_fits_a_phone(browser: Browser, api: Api, path: str) -> None:
    async with opened(browser, api, path, PHONE) as page:
        await expect(page.get_by_role("heading").first).to_be_visible()
        await expect(page.get_by_role("link", name="asyncapi.json").first).to_be_visible()
        assert await page.evaluate(BESIDE) <= 0


async def test_the_pages_lead_to_each_other_by_the_keyboard(browser: Browser, api: Api) -> None:
    async with opened(browser, api, "/docs/events") as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the document")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="HTTP")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page).to_have_title("HTTP - Class Management Service 1.2.3")
        current = page.locator("[aria-current=page]")
        await expect(current).to_have_text("HTTP")
        await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_what_a_page_may_not_do_is_seen(browser: Browser, api: Api) -> None:
    async def ask_another_host() -> None:
        async with (
            opened(browser, api, "/docs") as page,
            page.expect_console_message(lambda one: "refused: " in one.text),
        ):
            await page.evaluate("new Image().src = 'https://other.example/picture.svg'")

    with pytest.raises(AssertionError, match=r"https://other\.example/picture\.svg"):
        await ask_another_host()
