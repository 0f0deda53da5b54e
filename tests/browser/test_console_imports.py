"""Rosters from files in a real browser, with scripts or without: looked at, applied, undone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from playwright.async_api import Browser, FilePayload, Page, expect

from devstack.rig.waiting import until
from tests.browser.test_console_roster import Console, console, looked_at, press, says, service

__all__ = ["console", "service"]  # fixtures

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAULTY = """Förnamn;Efternamn;E-post;Externt id
Åsa;Öberg;asa@x.example;elev-1
Vera;Ekh;vera@x.example;
Bo;Ek;no address;
Åsa;Ooberg;ooberg@x.example;
"""
MENDED = FAULTY.replace("no address", "bo@x.example")
SCHOOL = """Klass;Kurs;Förnamn;Efternamn
Opraktisktlångaklassnamnsbeteckningenförårskursnioparallellklassen;SV1;Bo;Ek
صف التاسع;SV1;<b>Vera</b>;Ek
"""


def file(text: str, name: str = "9A.csv") -> FilePayload:
    return {"name": name, "mimeType": "text/csv", "buffer": text.encode()}


@asynccontextmanager
async def working(console: Console) -> AsyncIterator[None]:
    """Do what the loop of a worker does, meanwhile."""

    async def work() -> None:
        while True:
            await console.api.setup.store.imports.apply_next()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def bring(page: Page, text: str, name: str = "9A.csv") -> None:
    await page.get_by_label("The file:").set_input_files(file(text, name))
    await press(page, "See what it would do")


async def seen(page: Page, name: str, *, has_scripts: bool) -> None:
    """Look at a page; what looks is a script."""
    if has_scripts:
        await looked_at(page, name)


async def apply(page: Page, console: Console, *, has_scripts: bool) -> None:
    await press(page, "Apply")
    await expect(page.get_by_text("Being applied, class by class")).to_be_visible()
    await seen(page, "import-applying", has_scripts=has_scripts)
    async with working(console):
        if not has_scripts:
            await until("the import to be applied", lambda: is_applied(console))
            await page.get_by_role("link", name="Look again").click()
        await expect(page.get_by_text("Applied. This is what was done:")).to_be_visible()


async def is_applied(console: Console) -> bool:
    """Say whether no import of the teacher is under way any more."""
    imports = (await console.api.get("/v1/imports", user=console.teacher)).json["imports"]
    return "applying" not in {one["state"] for one in imports}


@pytest.mark.parametrize("how", ["with scripts", "without"])
async def test_a_file_is_mended_applied_and_undone(
    browser: Browser, console: Console, how: str
) -> None:
    has_scripts = how == "with scripts"
    class_id = await console.api.new_class(user=console.teacher)
    for first, email in (("Vera", "vera@x.example"), ("Cher", None)):
        await console.api.new_student(
            first, "Ek", email, class_ids=(class_id,), user=console.teacher
        )
    path = f"/console/classes/{class_id}"
    async with await console.open(browser, path, java_script_enabled=has_scripts) as page:
        await page.get_by_role("link", name="Import a roster").click()
        await says(page, "Import a roster")
        await bring(page, "Tal;Datum\n1;2\n")
        await expect(page.get_by_label("The file:")).to_be_focused()
        await seen(page, "import-refused", has_scripts=has_scripts)
        await bring(page, FAULTY)
        await says(page, "Import of a roster")
        await expect(page.get_by_role("heading", name="Errors")).to_be_visible()
        await expect(page.get_by_role("heading", name="Worth a look")).to_be_visible()
        await seen(page, "import-plan-with-errors", has_scripts=has_scripts)
        await page.get_by_role("link", name="9A", exact=True).click()
        await page.get_by_role("link", name="Import a roster").click()
        await bring(page, MENDED)
        await apply(page, console, has_scripts=has_scripts)
        await seen(page, "import-applied", has_scripts=has_scripts)
        await press(page, "Undo …")
        await says(page, "Undoing an import")
        if await page.get_by_label("Yes: make this large change").count():
            await page.get_by_label("Yes: make this large change").check()
        await apply(page, console, has_scripts=has_scripts)
        await page.get_by_role("link", name="9A", exact=True).first.click()
        await expect(page.get_by_role("heading", name="2 students")).to_be_visible()


async def test_several_classes_are_imported_and_listed(browser: Browser, console: Console) -> None:
    async with await console.open(browser, "/console/classes") as page:
        await page.get_by_role("link", name="Import several classes").click()
        await says(page, "Imports")
        await bring(page, SCHOOL, "skola.csv")
        await expect(page.get_by_text("2 classes are new")).to_be_visible()
        await looked_at(page, "import-of-classes")
        await apply(page, console, has_scripts=True)
        await page.get_by_role("link", name="Imports").click()
        await expect(page.get_by_text("skola.csv")).to_be_visible()
        await looked_at(page, "imports")
        await page.get_by_role("link", name="Classes", exact=True).first.click()
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Save all as CSV").click()
        assert (await download.value).suggested_filename == "classes.csv"


async def test_a_file_is_dropped_on_the_form(browser: Browser, console: Console) -> None:
    class_id = await console.api.new_class(user=console.teacher)
    async with await console.open(browser, f"/console/classes/{class_id}/import") as page:
        await expect(page.get_by_text("Or drop it here.")).to_be_visible()
        dropped = await page.evaluate_handle(
            """text => {
                const data = new DataTransfer();
                data.items.add(new File([text], "9A.csv", { type: "text/csv" }));
                return data;
            }""",
            MENDED,
        )
        for event in ("dragover", "drop"):
            await page.dispatch_event("form.bring", event, {"dataTransfer": dropped})
        await press(page, "See what it would do")
        await says(page, "Import of a roster")
        await expect(page.get_by_text("4 students are new")).to_be_visible()
