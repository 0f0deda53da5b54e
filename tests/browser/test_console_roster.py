"""Classes and students in a real browser: what a teacher does there, with scripts and without."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from rules.models import Policy
from tests.browser.test_console_pages import DESK, PHONE, found_by_axe, picture
from tests.browser.test_docs import BESIDE, opened
from tests.integration.web.api import Api, Setup, serving
from tests.integration.web.console.people import Signer
from tests.support.stores import memory_stores
from web.console.sessions import TEACHER_COOKIE, SignIn
from web.console.table import WITH_CONSOLE

pytestmark = pytest.mark.asyncio(loop_scope="module")

THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")

#: Chromium tells of a form that is shown again for what is wrong with it.
REFUSED: Final = "the server responded with a status of 4"
#: A new pupil, one without a name, one with another's address, a twin, one who is there already.
LIST: Final = """Förnamn;Efternamn;E-post
Åsa;Öberg;asa@x.example
;;nobody@x.example
Vera;Ek;bo@x.example
Åsa;Öberg;
Cher;;cher@x.example
"""


@dataclass(frozen=True)
class Console:
    """A service for development; each test is a teacher of its own."""

    api: Api
    signer: Signer
    teachers: list[str] = field(default_factory=list)

    async def open(
        self,
        browser: Browser,
        path: str,
        width: int = DESK,
        **options: Any,  # noqa: ANN401  # Playwright's
    ) -> AbstractAsyncContextManager[Page]:
        """Open a page as the teacher who came last."""
        cookies = {TEACHER_COOKIE: await self.signer.teacher(self.teacher)}
        return opened(browser, self.api, path, width, cookies=cookies, told=REFUSED, **options)

    @property
    def teacher(self) -> str:
        return self.teachers[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    folder = tmp_path_factory.mktemp("console")
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, sign_in=SignIn.DEVELOPMENT)
        async with serving(setup, folder, WITH_CONSOLE) as api:
            yield Console(api, Signer(await stores.classes.cursor_key()))


@pytest.fixture
def console(service: Console) -> Console:
    service.teachers.append(f"lärare-{len(service.teachers)}")
    return service


async def looked_at(page: Page, name: str) -> None:
    """Check what every page has, on one that comes only after others."""
    for theme, width in product(THEMES, (DESK, PHONE)):
        await page.emulate_media(color_scheme=theme)
        await page.set_viewport_size({"width": width, "height": 844})
        assert await found_by_axe(page) == []
        assert await page.evaluate(BESIDE) <= 0
        await picture(page, f"{name}-{theme}-{width}")


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def says(page: Page, heading: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)


@pytest.mark.parametrize("how", ["with scripts", "without"])
async def test_a_teachers_first_day(browser: Browser, console: Console, how: str) -> None:
    """A class is made, filled from a list with faults, corrected, and deleted."""
    await console.api.new_student("Bo", "Ek", "bo@x.example", user=console.teacher)
    await console.api.new_student("Cher", "", "cher@x.example", user=console.teacher)
    has_scripts = how == "with scripts"
    async with await console.open(
        browser, "/console/classes", java_script_enabled=has_scripts
    ) as page:
        await make_class(page)
        await paste(page, has_scripts=has_scripts)
        await correct(page)
        await merge(page, has_scripts=has_scripts)
        await delete(page)


async def make_class(page: Page) -> None:
    await expect(page.get_by_text("You have no classes yet.")).to_be_visible()
    await page.get_by_label("Name").fill("9A")
    await page.get_by_label("Course").select_option("SV1")
    await press(page, "Make the class")
    await says(page, "9A Svenska 1")
    await expect(page.get_by_text("Now add its students.")).to_be_visible()
    await expect(page.get_by_text("Nobody is in this class yet.")).to_be_visible()


async def paste(page: Page, *, has_scripts: bool) -> None:
    await page.get_by_role("link", name="Paste a list").click()
    await page.get_by_label("A line for each student").fill(LIST)
    await press(page, "See what it would do")
    row = page.get_by_role("row")
    await expect(row.filter(has_text="asa@x.example")).to_contain_text("New")
    await expect(row.filter(has_text="nobody@x.example")).to_contain_text("Give a first name")
    await expect(row.filter(has_text="bo@x.example")).to_contain_text("Bo Ek")
    await expect(row.filter(has_text="somebody by this name")).to_have_count(1)
    await expect(row.filter(has_text="cher@x.example")).to_contain_text("Joins: Cher")
    if has_scripts:  # which axe is
        await looked_at(page, "paste-seen")
    await page.get_by_label("Put that student into the class instead").check()
    await press(page, "Put 2 students into the class")
    await expect(page.get_by_text("2 lines are left: they are below.")).to_be_visible()
    if has_scripts:
        await looked_at(page, "paste-rest")
    mended = "Förnamn;Efternamn;E-post\nNobel;;nobody@x.example\nÅsa;Öberg;\n"
    await page.get_by_label("A line for each student").fill(mended)
    await press(page, "See what it would do")
    await page.get_by_label("This is another one: make it all the same").check()
    await press(page, "Put 1 student into the class")
    await says(page, "9A Svenska 1")
    await expect(page.get_by_text("The list is added.")).to_be_visible()
    await expect(page.get_by_role("heading", name="5 students")).to_be_visible()


async def correct(page: Page) -> None:
    await page.get_by_role("link", name="Bo Ek", exact=True).click()
    await says(page, "Bo Ek")
    await page.get_by_label("First name").fill("Bosse")
    await page.get_by_role("textbox", name="Email").fill("bo@")
    await press(page, "Save")
    email = page.get_by_role("textbox", name="Email")
    await expect(email).to_have_accessible_description("This is not an email address.")
    await expect(page.get_by_label("First name")).to_have_value("Bosse")
    await expect(email).to_be_focused()
    await email.fill("bo@y.example")
    await press(page, "Save")
    await says(page, "Bosse Ek")
    await expect(page.get_by_text("The student is changed.")).to_be_visible()


async def merge(page: Page, *, has_scripts: bool) -> None:
    await page.get_by_role("link", name="Students").first.click()
    await page.get_by_label("Part of a name or an address").fill("öberg")
    await press(page, "Find")
    await page.get_by_role("link", name="Åsa Öberg").first.click()
    await page.get_by_role("link", name="Merge with another one").click()
    await says(page, "Who is the same as Åsa Öberg?")
    await page.get_by_role("link", name="Åsa Öberg").last.click()
    await says(page, "Make one of the two")
    if has_scripts:
        await looked_at(page, "merge-two")
    await page.get_by_role("button", name="Keep this one").last.click()
    await says(page, "Åsa Öberg")
    await expect(page.get_by_text("The two are one student now.")).to_be_visible()
    await expect(page.get_by_role("textbox", name="Email")).to_have_value("asa@x.example")


async def delete(page: Page) -> None:
    await page.get_by_role("link", name="Delete the student").click()
    await says(page, "Delete Åsa Öberg?")
    await press(page, "Delete the student")
    await says(page, "Students")
    await expect(page.get_by_text("The student is deleted.")).to_be_visible()
    await page.get_by_role("link", name="Classes").first.click()
    await page.get_by_role("link", name="9A").click()
    await expect(page.get_by_role("heading", name="3 students")).to_be_visible()
    await page.get_by_role("link", name="Delete the class").click()
    await expect(page.get_by_text("3 students stay")).to_be_visible()
    await press(page, "Delete the class")
    await expect(page.get_by_text("You have no classes yet.")).to_be_visible()


async def test_students_are_found_while_one_types(browser: Browser, console: Console) -> None:
    for number in range(3):
        await console.api.new_student(f"Elev{number}", "Ek", user=console.teacher)
    async with await console.open(browser, "/console/students") as page:
        searched = page.get_by_label("Part of a name or an address")
        await searched.press_sequentially("elev1", delay=20)
        await expect(page.get_by_role("link", name="Elev1 Ek")).to_be_visible()
        await expect(page.get_by_role("link", name="Elev2 Ek")).to_have_count(0)
        await expect(page.locator("#count")).to_have_text("1 student")
        await expect(searched).to_be_focused()
        assert page.url.endswith("/console/students?q=elev1")
        await searched.fill("zz")
        await expect(page.locator("#found")).to_contain_text("None of your students")
        await expect(page.locator("#count")).to_contain_text("None of your students")
        await page.reload()
        await expect(searched).to_have_value("zz")


async def test_going_back_to_a_search_shows_the_whole_page(
    browser: Browser, console: Console
) -> None:
    await console.api.new_student("Bo", "Ek", user=console.teacher)
    async with await console.open(browser, "/console/students") as page:
        await page.get_by_label("Part of a name or an address").fill("bo")
        await page.wait_for_url("**?q=bo")
        await page.get_by_role("link", name="Skip to the page").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**#main")
        async with page.expect_response(lambda one: one.url.endswith("q=bo")):
            await page.go_back()
        await says(page, "Students")
        await expect(page.get_by_role("link", name="Bo Ek")).to_be_visible()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
async def test_a_file_goes_into_the_list(
    browser: Browser, console: Console, tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "9A.csv"
    file.write_bytes("Namn;E-post\r\nÅsa Öberg;asa@x.example\r\n".encode(encoding))
    async with await console.open(browser, await pasting(console)) as page:
        await page.get_by_label("Or a text file").set_input_files(file)
        await expect(page.get_by_text("The file is in the list now.")).to_be_visible()
        await expect(page.get_by_label("A line for each student")).to_be_focused()
        await press(page, "See what it would do")
        await expect(page.get_by_role("row").filter(has_text="Åsa")).to_contain_text("New")


async def pasting(console: Console) -> str:
    class_id = await console.api.new_class("9A", user=console.teacher)
    return f"/console/classes/{class_id}/paste"


#: A file as it is dropped; a browser lets no script take one from the machine.
DROP: Final = """
([bytes, size]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes), new Uint8Array(size).fill(32)], "9A.txt"));
    const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
    document.getElementById("list").dispatchEvent(drop);
}
"""


async def test_a_file_is_dropped_on_the_list(browser: Browser, console: Console) -> None:
    async with await console.open(browser, await pasting(console)) as page:
        field = page.get_by_label("A line for each student")
        await page.evaluate(DROP, [list("Åsa Öberg\n".encode()), 0])
        await expect(field).to_have_value("Åsa Öberg\n")
        await page.evaluate(DROP, [[80, 75, 0, 3], 0])
        await expect(page.locator("#file-told")).to_contain_text("This is no text file.")
        await page.evaluate(DROP, [[65], 300_000])
        await expect(page.locator("#file-told")).to_contain_text("too large")
        await expect(field).to_have_value("Åsa Öberg\n")


async def test_students_are_added_one_after_another(browser: Browser, console: Console) -> None:
    there = await console.api.new_student("Vera", "Ek", "vera@x.example", user=console.teacher)
    class_id = await console.api.new_class("9A", user=console.teacher)
    async with await console.open(browser, f"/console/classes/{class_id}#first", PHONE) as page:
        for name in ("Åsa", "Bo"):
            await expect(page.get_by_label("First name")).to_be_focused()
            await page.keyboard.type(name)
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
        await page.get_by_label("First name").fill("Wera")
        await page.get_by_label("Email").fill("vera@x.example")
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Email")).to_be_focused()
        await expect(page.get_by_label("Email")).to_have_accessible_description(
            "Another of your students has this email: Vera Ek Put that student into the class"
        )
        await press(page, "Put that student into the class")
        await expect(page.get_by_role("heading", name="3 students")).to_be_visible()
        joined = page.get_by_role("link", name="Vera Ek", exact=True)
        await expect(joined).to_have_attribute("href", f"/console/students/{there}")


async def test_what_was_typed_stays_beside_what_stands_now(
    browser: Browser, console: Console
) -> None:
    class_id = await console.api.new_class("9A", user=console.teacher)
    async with await console.open(browser, f"/console/classes/{class_id}") as page:
        changed = {"name": "9B"}
        path = f"/v1/classes/{class_id}"
        assert (await console.api.send("PUT", path, changed, user=console.teacher)).status == 200
        await page.get_by_label("Name", exact=True).fill("9C")
        await press(page, "Save")
        await expect(page.get_by_text("The class was changed meanwhile.")).to_be_in_viewport()
        await expect(page.get_by_role("alert")).to_be_focused()
        await expect(page.get_by_label("Name", exact=True)).to_have_value("9C")
        await expect(page.get_by_text("Now: 9B")).to_be_visible()
        await looked_at(page, "class-stale")
        await press(page, "Save")
        await says(page, "9C Svenska 1")
