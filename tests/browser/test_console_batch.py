"""A batch confirmed in a real browser: by keys, by a finger, and while others decide, too."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from rules.errors import UnavailableError
from rules.models import HumanDecision, MatchResult, Policy
from tests.browser.test_console_pages import found_by_axe, picture
from tests.browser.test_docs import BESIDE, opened
from tests.integration.store.builders import Stores, caller, deliver, result, suggest
from tests.integration.web.api import TEACHER, Api, Setup, serving
from tests.integration.web.console.people import Signer
from tests.support.stores import memory_stores
from web.console.sessions import TEACHER_COOKIE, SignIn
from web.console.table import WITH_CONSOLE

pytestmark = pytest.mark.asyncio(loop_scope="module")

DESK: Final = 1280
PHONE: Final = 360
#: An answer that is an error is told of by Chromium, and is no fault of the page.
REFUSED: Final = "Failed to load resource"

#: First names that begin with letters that are no commands.
FIRST: Final = ("Åsa", "Bo", "Cecilia", "David", "Elsa", "Fatima", "Gustav", "Hanna", "Ida", "Lars")
LAST: Final = ("Öberg", "Ek", "Dahl")


@dataclass(frozen=True)
class School:
    """A service for development on a store in memory, and its teacher's cookie."""

    api: Api
    stores: Stores
    cookie: str

    async def students(self, count: int, class_id: str) -> list[str]:
        """Add students, each with a name of its own."""
        ids = []
        for number in range(count):
            first, last = FIRST[number % len(FIRST)], LAST[number // len(FIRST) % len(LAST)]
            if number >= len(FIRST) * len(LAST):
                last = f"{last}-{number}"
            ids.append(await self.api.new_student(first, last, class_ids=(class_id,)))
        return ids

    async def batch(self, class_id: str, results: Sequence[MatchResult]) -> "Batch":
        """Store suggestions."""
        delivery = deliver(UUID(class_id), *results)
        await self.stores.inbox.store_suggestions([delivery])
        essays = [one.essay_id for one in results]
        return Batch(self, delivery.message.batch_id, essays)


@dataclass(frozen=True)
class Batch:
    """A batch of essays."""

    school: School
    batch_id: UUID
    essays: Sequence[UUID]
    students: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/console/batches/{self.batch_id}"

    async def stands(self, place: int) -> tuple[str, str | None]:
        """Return how an essay stands in the store."""
        view = await self.school.stores.associations.get_association(
            TEACHER, self.batch_id, self.essays[place]
        )
        student_id = view.association.student_id
        return view.association.status.value, str(student_id) if student_id else None

    async def decide(self, place: int, student_id: str) -> None:
        """Decide an essay elsewhere."""
        decision = HumanDecision(self.essays[place], confirmed=True, student_id=UUID(student_id))
        await self.school.stores.associations.confirm(caller(TEACHER), self.batch_id, [decision])

    async def decided_by_the_clock(self) -> None:
        """Let the time run out."""
        await self.school.stores.elapse(timedelta(hours=25))
        await self.school.stores.timers.decide_due([self.batch_id])

    def row(self, page: Page, place: int) -> Locator:
        return page.locator(f"#essay-{self.essays[place]}")

    @asynccontextmanager
    async def shown(
        self,
        browser: Browser,
        width: int = DESK,
        **options: Any,  # noqa: ANN401  # Playwright's
    ) -> AsyncIterator[Page]:
        """Open the page of the batch."""
        cookies = {TEACHER_COOKIE: self.school.cookie}
        options = {"told": REFUSED, "reduced_motion": "reduce", **options}
        api = self.school.api
        async with opened(browser, api, self.path, width, cookies=cookies, **options) as page:
            yield page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def school(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[School]:
    folder = tmp_path_factory.mktemp("batches")
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, sign_in=SignIn.DEVELOPMENT)
        async with serving(setup, folder, WITH_CONSOLE) as api:
            cookie = await Signer(await stores.classes.cursor_key()).teacher()
            yield School(api, stores, cookie)


@pytest_asyncio.fixture(loop_scope="module")
async def batch(school: School) -> Batch:
    """Have an essay without a match, one that is uncertain (Bo, else Åsa), two that are certain."""
    class_id = await school.api.new_class("9A")
    students = await school.students(5, class_id)
    first, second, third, fourth = map(UUID, students[:4])
    results = [
        result(filename="nobody.txt"),
        result(suggest(second, 0.62), suggest(first, 0.4), filename="unsure.pdf"),
        result(suggest(third, 0.9), filename="sure.docx"),
        result(suggest(fourth, 0.95), filename="surer.docx"),
    ]
    return replace(await school.batch(class_id, results), students=students)


class Keys:
    """Presses keys, and counts them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0

    async def press(self, *keys: str) -> None:
        for key in keys:
            self.count += 1
            await self.page.keyboard.press(key)


async def current_file(page: Page) -> str:
    """Return which essay the keys are about."""
    row = page.locator("#essays > [aria-current]")
    await expect(row).to_be_focused()
    return await row.locator(".file").inner_text()


async def test_thirty_essays_by_the_keyboard_alone(browser: Browser, school: School) -> None:
    """With three that nobody was found for, five that are uncertain, one of them wrong."""
    class_id = await school.api.new_class("9B")
    students = await school.students(30, class_id)
    names = {one: f"{FIRST[at % 10]} {LAST[at // 10]}" for at, one in enumerate(students)}
    results, truth = [], dict[str, str]()
    for at, one in enumerate(students):
        wrong = suggest(UUID(students[at - 1]), 0.6)
        found = [suggest(UUID(one), 0.5 if at < 8 else 0.9)]
        found = [] if at < 3 else [wrong, *found] if at == 3 else found
        truth[f"{at}.docx"] = one
        results.append(result(*found, filename=f"{at}.docx"))
    random.Random(5).shuffle(results)
    batch = await school.batch(class_id, results)
    async with batch.shown(browser) as page:
        keys = Keys(page)
        for _ in range(30):
            file = await current_file(page)
            name = names[truth[file]]
            row = page.locator("#essays > [aria-current]")
            if await row.get_attribute("data-student") == truth[file]:
                await keys.press("Enter")
            elif await row.locator(".other").count():
                await keys.press("1")
            else:
                # The beginning of the first name, and as much of the last.
                await keys.press(*(name[0].replace("Å", "a").lower(), "Space"))
                await keys.press(name.split()[1][0].replace("Ö", "o").lower())
                await expect(page.get_by_role("option", selected=True)).to_have_text(name)
                await keys.press("Enter")
        await expect(page.locator(".sum")).to_have_text("All is decided. 30 by you.")
        assert keys.count < 45
    for place, essay in enumerate(results):
        assert await batch.stands(place) == ("confirmed", truth[essay.filename or ""])


async def test_what_is_decided_shows_a_mark_once_it_is_saved(
    browser: Browser, batch: Batch
) -> None:
    async with batch.shown(browser) as page:
        held = asyncio.Event()

        async def hold(route: Any) -> None:  # noqa: ANN401  # Playwright's
            if route.request.method == "POST":
                await held.wait()
            await route.continue_()

        await page.route("**/essays/*", hold)
        await page.keyboard.press("j")
        assert await current_file(page) == "unsure.pdf"
        await page.keyboard.press("Enter")
        row = batch.row(page, 1)
        await expect(row.get_by_text("Saving…")).to_be_visible()
        await expect(row.get_by_text("✓")).to_have_count(0)
        assert (await batch.stands(1))[0] == "pending_validation"
        # It goes on meanwhile, and the same again does nothing.
        assert await current_file(page) == "sure.docx"
        held.set()
        await expect(row.get_by_text("✓")).to_be_visible()
        assert await batch.stands(1) == ("confirmed", batch.students[1])
        await expect(page.get_by_text("1 decided")).to_be_visible()
        assert await current_file(page) == "sure.docx"


@pytest.mark.parametrize("width", [PHONE, DESK])
async def test_rows_keep_their_places(browser: Browser, batch: Batch, width: int) -> None:
    async with batch.shown(browser, width) as page:
        before = await page.locator("#essays > .essay .file").all_inner_texts()
        boxes = """[...document.querySelectorAll('.essay')]
            .map(one => Math.round(one.getBoundingClientRect().top + scrollY))"""
        places = await page.evaluate(boxes)
        await batch.row(page, 1).get_by_role("button", name="Confirm").click()
        await expect(batch.row(page, 1).get_by_text("✓")).to_be_visible()
        assert await page.locator("#essays > .essay .file").all_inner_texts() == before
        assert await page.evaluate(boxes) == places
        await page.reload()
        last = page.locator("#essays > .essay .file").last
        await expect(last).to_have_text("unsure.pdf")


async def test_undo_leads_back_to_who_stood_there(browser: Browser, batch: Batch) -> None:
    async with batch.shown(browser) as page:
        row = batch.row(page, 1)
        await page.keyboard.press("j")
        await page.keyboard.press("1")
        await expect(row.get_by_text("✓")).to_be_visible()
        assert await batch.stands(1) == ("confirmed", batch.students[0])
        # What was undecided is nobody's, and the class is there to choose from.
        await page.keyboard.press("u")
        find = page.get_by_role("combobox", name="A student of the class")
        await expect(find).to_be_focused()
        assert await batch.stands(1) == ("rejected", None)
        await expect(row.get_by_text("Undone.")).to_be_visible()
        await page.keyboard.type("bo")
        await page.keyboard.press("Enter")
        await expect(row.locator(".student")).to_have_text("Bo Öberg")
        assert await batch.stands(1) == ("confirmed", batch.students[1])
        await page.keyboard.press("u")
        await expect(row.locator(".student")).to_have_text("Nobody in the class")
        assert await batch.stands(1) == ("rejected", None)


async def test_keys_do_what_the_list_of_keys_says(browser: Browser, batch: Batch) -> None:
    async with batch.shown(browser) as page:
        assert await current_file(page) == "nobody.txt"
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("j")
        assert await current_file(page) == "sure.docx"
        await page.keyboard.press("k")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("k")
        assert await current_file(page) == "nobody.txt"
        await page.keyboard.press("r")
        await expect(batch.row(page, 0).get_by_text("Nobody in the class")).to_be_visible()
        assert await batch.stands(0) == ("rejected", None)
        assert await current_file(page) == "unsure.pdf"
        await page.keyboard.press("n")
        assert await current_file(page) == "sure.docx"
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await page.keyboard.press("Escape")
        assert await current_file(page) == "sure.docx"
        for key in ("/", "Enter", "Escape"):
            await page.keyboard.press(key)
        assert await current_file(page) == "sure.docx"
        assert (await batch.stands(2))[0] == "pending_validation"


async def test_moving_on_is_switched_off_and_stays_so(browser: Browser, batch: Batch) -> None:
    async with batch.shown(browser) as page:
        await page.get_by_label("Go on to the next by itself").uncheck()
        await page.reload()
        await expect(page.get_by_label("Go on to the next by itself")).not_to_be_checked()
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(batch.row(page, 1).get_by_text("✓")).to_be_visible()
        assert await current_file(page) == "unsure.pdf"


@pytest.mark.parametrize(
    ("typed", "found"),
    [("asa", ["Åsa Öberg"]), ("å", ["Åsa Öberg"]), ("oberg c", ["Cecilia Öberg"]), ("xyz", [])],
)
async def test_the_class_is_found_by_typing(
    browser: Browser, batch: Batch, typed: str, found: list[str]
) -> None:
    async with batch.shown(browser) as page:
        await page.keyboard.press("/")
        await page.keyboard.type(typed)
        options = page.get_by_role("option")
        await expect(options).to_have_text(found)
        await page.keyboard.press("Escape")
        await expect(batch.row(page, 0)).to_be_focused()


async def test_what_the_clock_decides_appears_but_not_under_the_hand(
    browser: Browser, batch: Batch
) -> None:
    async with batch.shown(browser) as page:
        await page.keyboard.press("j")
        await batch.decided_by_the_clock()
        await page.evaluate("document.body.dispatchEvent(new Event('console:due'))")
        await expect(batch.row(page, 3).locator(".decided-by")).to_contain_text("the clock")
        await expect(page.locator(".sum")).to_contain_text("All is decided.")
        # Under the hand it says so, and what is pressed all the same overwrites nothing.
        worked_on = batch.row(page, 1)
        await expect(worked_on.get_by_text("Decided meanwhile: Unknown student")).to_be_visible()
        await expect(worked_on.get_by_role("button", name="Confirm")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(worked_on.get_by_text("This was decided meanwhile")).to_be_visible()
        assert (await batch.stands(1))[0] == "timeout_confirmed"
        await worked_on.get_by_role("button", name="Take Bo Öberg instead").click()
        await expect(worked_on.get_by_text("✓")).to_be_visible()
        assert await batch.stands(1) == ("confirmed", batch.students[1])


async def test_two_tabs_of_one_teacher(browser: Browser, batch: Batch) -> None:
    async with batch.shown(browser) as one, batch.shown(browser) as other:
        await batch.row(one, 1).get_by_role("button", name="Confirm").click()
        await expect(batch.row(one, 1).get_by_text("✓")).to_be_visible()
        # By itself, within seconds.
        await expect(batch.row(other, 1).get_by_text("✓")).to_be_visible()
        await expect(other.get_by_text("1 decided")).to_be_visible()
        # And from a page that has not seen it yet.
        await other.context.set_offline(True)
        await batch.decide(2, batch.students[4])
        await batch.row(other, 2).focus()
        await other.context.set_offline(False)
        await other.keyboard.press("Enter")
        told = batch.row(other, 2).get_by_text("This was decided meanwhile")
        await expect(told).to_be_visible()
        assert await batch.stands(2) == ("confirmed", batch.students[4])
        await batch.row(other, 2).get_by_role("link", name="Leave it so").click()
        await expect(told).to_have_count(0)
        await expect(batch.row(other, 2).locator(".student")).to_have_text("Elsa Öberg")


async def test_what_cannot_be_saved_is_kept_and_tried_again(browser: Browser, batch: Batch) -> None:
    async with batch.shown(browser) as page:
        row = batch.row(page, 1)
        await page.context.set_offline(True)
        await page.keyboard.press("j")
        await page.keyboard.press("1")
        await expect(row.get_by_text("This is not saved yet")).to_be_visible()
        await expect(page.get_by_text("To look at: 1")).to_be_visible()
        await expect(page.locator("#old")).to_contain_text("The service does not answer")
        await page.context.set_offline(False)
        await page.evaluate("document.body.dispatchEvent(new Event('console:resync'))")
        await expect(page.locator("#old")).to_be_hidden()
        await expect(row.get_by_text("This is not saved yet")).to_be_visible()
        await page.get_by_role("button", name="To the essay").click()
        await expect(row).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(row.get_by_text("✓")).to_be_visible()
        await expect(page.get_by_text("To look at: 1")).to_be_hidden()
        assert await batch.stands(1) == ("confirmed", batch.students[0])


async def test_undoing_what_was_not_saved_forgets_it(browser: Browser, batch: Batch) -> None:
    async with batch.shown(browser) as page:
        await batch.row(page, 3).focus()
        await page.keyboard.press("Enter")
        await expect(batch.row(page, 3).get_by_text("✓")).to_be_visible()
        await page.context.set_offline(True)
        await batch.row(page, 1).focus()
        await page.keyboard.press("r")
        await expect(page.get_by_text("To look at: 1")).to_be_visible()
        await page.context.set_offline(False)
        await page.keyboard.press("u")
        await expect(page.get_by_text("To look at: 1")).to_be_hidden()
        await expect(batch.row(page, 1)).to_be_focused()
        await expect(batch.row(page, 1).locator(".note")).to_have_count(0)
        # What was saved before is not undone by it.
        assert await batch.stands(3) == ("confirmed", batch.students[3])
        await page.keyboard.press("Enter")
        await expect(batch.row(page, 1).get_by_text("✓")).to_be_visible()
        assert await batch.stands(1) == ("confirmed", batch.students[1])


async def test_why_it_was_not_saved_stands_in_the_row(
    browser: Browser, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> None:
        raise UnavailableError

    async with batch.shown(browser) as page:
        with monkeypatch.context() as gone:
            kind = type(batch.school.stores.associations)
            gone.setattr(kind, "confirm", unavailable)
            await batch.row(page, 3).get_by_role("button", name="Confirm").click()
            told = batch.row(page, 3).get_by_text("The service cannot answer right now.")
            await expect(told).to_be_visible()
        await batch.row(page, 3).get_by_role("button", name="Try again").click()
        await expect(batch.row(page, 3).get_by_text("✓")).to_be_visible()
        assert await batch.stands(3) == ("confirmed", batch.students[3])


async def test_the_rest_is_confirmed_where_it_stands(browser: Browser, batch: Batch) -> None:
    async with batch.shown(browser) as page:
        await expect(page.get_by_role("button", name="Confirm 2 from 70 %")).to_be_visible()
        await page.get_by_label("From, in percent").fill("62")
        await expect(page.get_by_role("button", name="Confirm 3 from 62 %")).to_be_visible()
        await page.get_by_label("From, in percent").fill("many")
        await expect(page.get_by_text("Give a number from 0 to 100.")).to_be_visible()
        await page.get_by_label("From, in percent").fill("92,5")
        await page.get_by_role("button", name="Confirm 1 from").click()
        await expect(batch.row(page, 3).get_by_text("✓")).to_be_visible()
        await expect(page.get_by_text("1 decided")).to_be_visible()
        assert (await batch.stands(2))[0] == "pending_validation"


async def test_a_class_of_three_hundred(browser: Browser, school: School) -> None:
    class_id = await school.api.new_class("Alla")
    students = await school.students(299, class_id)
    students.append(await school.api.new_student("مها", "الأحمد", class_ids=(class_id,)))
    batch = await school.batch(class_id, [result(filename="a.txt"), result(filename="ب.txt")])
    async with batch.shown(browser, PHONE) as page:
        await batch.row(page, 0).get_by_role("link", name="Choose…").click()
        await expect(page.get_by_role("option")).to_have_count(302)
        await page.get_by_role("combobox").fill("dahl-299")
        await page.get_by_role("combobox").fill("dahl-298")
        await page.get_by_role("option", name="Ida Dahl-298").click()
        await expect(batch.row(page, 0).get_by_text("✓")).to_be_visible()
        assert await batch.stands(0) == ("confirmed", students[298])
        await batch.row(page, 1).get_by_role("link", name="Choose…").click()
        await page.get_by_role("combobox").fill("مها")
        await page.keyboard.press("Enter")
        await expect(batch.row(page, 1).locator(".student")).to_have_text("مها الأحمد")
        assert await page.evaluate(BESIDE) <= 0


async def test_the_bar_on_a_phone_hides_nothing_that_has_the_focus(
    browser: Browser, batch: Batch
) -> None:
    hidden = """() => {
        const focused = document.activeElement.getBoundingClientRect();
        const bar = document.getElementById("rest").getBoundingClientRect();
        return Math.round(focused.bottom - bar.top);
    }"""
    async with batch.shown(browser, PHONE) as page:
        await page.set_viewport_size({"width": PHONE, "height": 500})
        bar = page.get_by_role("button", name="Confirm 2 from")
        for _ in range(13):
            await page.keyboard.press("Tab")
            await expect(page.locator("#essays :focus")).to_have_count(1)
            assert await page.evaluate(hidden) <= 0
            await expect(bar).to_be_in_viewport()


async def test_who_may_be_nobody_or_unknown_is_in_the_list(browser: Browser, batch: Batch) -> None:
    async with batch.shown(browser) as page:
        await page.keyboard.press("/")
        await page.keyboard.type("unknown")
        await expect(page.get_by_role("option")).to_have_text(["Unknown student"])
        await page.keyboard.press("Enter")
        row = batch.row(page, 0)
        await expect(row.locator(".student")).to_have_text("Unknown student")
        assert (await batch.stands(0))[0] == "confirmed"


async def test_a_class_that_cannot_be_read_is_asked_for_again(
    browser: Browser, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> None:
        raise UnavailableError

    kind = type(batch.school.stores.classes)
    with monkeypatch.context() as gone:
        gone.setattr(kind, "class_document", unavailable)
        async with batch.shown(browser) as page:
            await page.keyboard.press("/")
            await page.keyboard.type("asa")
            await expect(page.get_by_text("The class cannot be read right now.")).to_be_visible()
            gone.undo()
            await page.get_by_role("dialog").get_by_role("button", name="Try again").click()
            # What was typed is still there.
            await expect(page.get_by_role("option")).to_have_text(["Åsa Öberg"])
            await expect(page.get_by_text("The class cannot be read right now.")).to_be_hidden()


async def test_a_batch_that_is_gone_says_so(browser: Browser, batch: Batch) -> None:
    async with batch.shown(browser) as page:
        view = await batch.school.stores.associations.get_batch(TEACHER, batch.batch_id)
        path = f"/v1/classes/{view.class_id}"
        assert (await batch.school.api.send("DELETE", path)).status in {200, 204}
        await page.evaluate("document.body.dispatchEvent(new Event('console:resync'))")
        await expect(page.locator("#old")).to_contain_text("There is no such batch")


async def test_who_decided_what_before_is_one_step_away(browser: Browser, batch: Batch) -> None:
    await batch.decided_by_the_clock()
    async with batch.shown(browser) as page:
        await expect(page.locator(".sum")).to_contain_text("4 by the clock.")
        await batch.row(page, 2).focus()
        await page.keyboard.press("Enter")
        await page.keyboard.type("elsa")
        await page.keyboard.press("Enter")
        await expect(batch.row(page, 2).get_by_text("✓")).to_be_visible()
        assert await batch.stands(2) == ("confirmed", batch.students[4])
        await batch.row(page, 2).get_by_role("link", name="Who decided what").click()
        past = page.get_by_role("listitem")
        await expect(past).to_contain_text(["Cecilia Öberg", "Elsa Öberg"])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
async def test_nobody_is_kept_out_of_what_opens(
    browser: Browser, batch: Batch, theme: str, width: int
) -> None:
    async with batch.shown(browser, width, color_scheme=theme) as page:
        await page.context.set_offline(True)
        await page.keyboard.press("r")
        await expect(page.get_by_text("To look at: 1")).to_be_visible()
        await picture(page, f"batch-failed-{theme}-{width}")
        assert await found_by_axe(page) == []
        await page.context.set_offline(False)
        await page.keyboard.press("Escape")
        await page.keyboard.press("n")
        await page.keyboard.press("/")
        await page.keyboard.type("o")
        await expect(page.get_by_role("option").first).to_be_visible()
        await picture(page, f"batch-choice-{theme}-{width}")
        assert await found_by_axe(page) == []
        assert await page.evaluate(BESIDE) <= 0
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await picture(page, f"batch-keys-{theme}-{width}")
        assert await found_by_axe(page) == []
