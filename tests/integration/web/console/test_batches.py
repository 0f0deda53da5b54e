"""The page of a batch, without scripts: what it shows, each decision, and what comes in between."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest

from tests.integration.store.builders import Stores, deliver, result, suggest
from tests.integration.web.api import OTHER, TEACHER, Api, Reply, Setup, serving
from web.console.table import WITH_CONSOLE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
async def api(stores: Stores, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(Setup(stores), tmp_path, WITH_CONSOLE) as running:
        yield running


@dataclass(frozen=True)
class Shown:
    """A batch: an essay that is certain, one that is not (Bo, else Åsa), one without a match."""

    api: Api
    stores: Stores
    batch_id: UUID
    asa: str
    bo: str
    essays: tuple[UUID, ...]

    @property
    def path(self) -> str:
        return f"/console/batches/{self.batch_id}"

    def essay(self, place: int) -> str:
        return f"{self.path}/essays/{self.essays[place]}"

    async def send(
        self,
        path: str,
        user: str = TEACHER,
        *,
        fragment: bool = False,
        least: str | None = None,
        **fields: str,
    ) -> Reply:
        """Send a form from a page of the same person."""
        page = await self.api.get("/console", user=user)
        token = re.search(r'name="form_token" value="([^"]+)"', page.body.decode())
        assert token is not None
        headers = {**FORM, **(FRAGMENT if fragment else {})}
        data = urlencode({"form_token": token[1], **fields, **({"from": least} if least else {})})
        return await self.api.send("POST", path, user=user, headers=headers, data=data)

    async def stands(self, place: int) -> tuple[str, str | None]:
        """Return how an essay stands in the store."""
        view = await self.stores.associations.get_association(
            TEACHER, self.batch_id, self.essays[place]
        )
        student_id = view.association.student_id
        return view.association.status.value, str(student_id) if student_id else None

    async def tag(self, place: int) -> str:
        row = await self.api.get(self.essay(place), headers=FRAGMENT)
        found = re.search(r'data-tag="([^"]+)"', row.body.decode())
        assert found is not None
        return found[1]


@pytest.fixture
async def shown(api: Api, stores: Stores) -> Shown:
    class_id = await api.new_class("9A <script>alert(1)</script>")
    asa = await api.new_student("Åsa", "Öberg", class_ids=(class_id,))
    bo = await api.new_student("Bo", "<b>Ek</b>", class_ids=(class_id,))
    found = (
        result(suggest(UUID(asa), 0.88, ["email_exact", "100% alike"]), filename="sure.docx"),
        result(suggest(UUID(bo), 0.62), suggest(UUID(asa), 0.4), filename="unsure.pdf"),
        result(filename="nobody.txt"),
    )
    delivery = deliver(UUID(class_id), *found)
    await stores.inbox.store_suggestions([delivery])
    essays = tuple(one.essay_id for one in found)
    return Shown(api, stores, delivery.message.batch_id, asa, bo, essays)


async def test_what_needs_eyes_comes_first(shown: Shown) -> None:
    reply = await shown.api.get(shown.path)
    text = reply.body.decode()
    assert reply.status == 200
    assert re.findall(r'id="essay-([^"]+)"', text) == [
        str(shown.essays[place]) for place in (2, 1, 0)
    ]
    assert re.findall(r'data-state="([^"]+)"', text) == ["unmatched", "uncertain", "certain"]
    assert "<script>alert" not in text
    assert "<b>Ek</b>" not in text
    assert "100% alike" in unescape(text)
    assert re.search(r'class="takes">1<', text)


async def test_the_number_follows_the_threshold(shown: Shown) -> None:
    lower = await shown.api.get(f"{shown.path}?from=62")
    assert re.search(r'class="takes">2<', lower.body.decode())
    bad = await shown.api.get(f"{shown.path}?from=101")
    assert (bad.status, 'aria-invalid="true"' in bad.body.decode()) == (400, True)
    assert 'value="101"' in bad.body.decode()


async def test_a_decision_is_saved_and_sent_twice_is_the_same(shown: Shown) -> None:
    for _ in range(2):
        reply = await shown.send(shown.essay(1), student=shown.asa)
        assert reply.status == 303
        assert reply.headers["Location"].endswith(f"#essay-{shown.essays[1]}")
    assert await shown.stands(1) == ("confirmed", shown.asa)
    await shown.send(shown.essay(2), student="nobody")
    assert await shown.stands(2) == ("rejected", None)


async def test_nobody_found_can_be_the_unknown_student(shown: Shown) -> None:
    await shown.send(shown.essay(2), student="unknown")
    status, student_id = await shown.stands(2)
    assert (status, student_id is None) == ("confirmed", False)
    page = await shown.api.get(shown.essay(2))
    assert "Unknown student" in page.body.decode()


async def test_a_script_gets_the_row(shown: Shown) -> None:
    reply = await shown.send(shown.essay(0), fragment=True, student=shown.asa)
    text = reply.body.decode()
    assert (reply.status, text.count("<article"), "<html" in text) == (200, 1, False)
    assert 'data-state="decided"' in text


async def test_who_was_first_stands_and_the_other_is_asked(shown: Shown) -> None:
    await shown.send(shown.essay(1), student=shown.asa)
    late = await shown.send(shown.essay(1), student=shown.bo)
    assert late.status == 409
    assert f'value="{shown.bo}"' in late.body.decode()
    assert await shown.stands(1) == ("confirmed", shown.asa)
    assert (
        await shown.send(shown.essay(1), student=shown.bo, tag=await shown.tag(1))
    ).status == 303
    assert await shown.stands(1) == ("confirmed", shown.bo)


async def test_a_correction_from_a_stale_page_changes_nothing(shown: Shown) -> None:
    await shown.send(shown.essay(1), student=shown.asa)
    stale = await shown.tag(1)
    await shown.send(shown.essay(1), student=shown.bo, tag=stale)
    assert (await shown.send(shown.essay(1), student="nobody", tag=stale)).status == 409
    assert await shown.stands(1) == ("confirmed", shown.bo)
    # The same form again wants what is so already.
    assert (await shown.send(shown.essay(1), student=shown.bo, tag=stale)).status == 303


async def test_what_the_clock_decided_is_not_overwritten(shown: Shown) -> None:
    await shown.stores.elapse(timedelta(hours=25))
    await shown.stores.timers.decide_due([shown.batch_id])
    late = await shown.send(shown.essay(1), student=shown.bo)
    assert (late.status, "the clock" in late.body.decode()) == (409, True)
    status, student_id = await shown.stands(1)
    assert (status, student_id == shown.bo) == ("timeout_confirmed", False)
    closed = (await shown.api.get(shown.path)).body.decode()
    assert "3 by the clock" in closed


async def test_the_rest_is_confirmed_from_a_share(shown: Shown) -> None:
    reply = await shown.send(shown.path, least="62,5")
    assert (reply.status, await shown.stands(0)) == (303, ("confirmed", shown.asa))
    assert (await shown.stands(1))[0] == "pending_validation"
    bad = await shown.send(shown.path, least="many")
    assert (bad.status, 'value="many"' in bad.body.decode()) == (400, True)
    assert (await shown.stands(1))[0] == "pending_validation"


@pytest.mark.parametrize("student", ["", "not an id"])
async def test_no_student_is_asked_for_again(shown: Shown, student: str) -> None:
    assert (await shown.send(shown.essay(1), student=student)).status == 400
    assert (await shown.stands(1))[0] == "pending_validation"


async def test_anothers_student_and_batch_are_not_there(shown: Shown) -> None:
    stranger = await shown.api.new_student("Stig", "Ström", user=OTHER)
    assert (await shown.send(shown.essay(1), student=stranger)).status == 400
    assert (await shown.api.get(shown.path, user=OTHER)).status == 404
    assert (await shown.api.get(shown.essay(1), user=OTHER)).status == 404
    assert (await shown.send(shown.essay(1), OTHER, student=shown.bo)).status == 404
    assert (await shown.send(shown.path, OTHER, least="0")).status == 404
    assert (await shown.stands(1))[0] == "pending_validation"


async def test_an_essay_tells_its_history(shown: Shown) -> None:
    await shown.send(shown.essay(1), student=shown.asa)
    await shown.send(shown.essay(1), student="nobody", tag=await shown.tag(1))
    text = (await shown.api.get(shown.essay(1))).body.decode()
    listed = re.search(r"<ol.*</ol>", text, re.DOTALL)
    assert listed is not None
    assert listed[0].index("Åsa Öberg") < listed[0].index("Nobody in the class")


def tags_in(text: str) -> dict[str, str]:
    """Return the tags that a piece says its essays have."""
    found = re.search(r'data-tags="([^"]*)"', text)
    assert found is not None
    return dict(one.split(":") for one in found[1].split())


async def test_a_script_is_told_what_has_changed_and_nothing_else(shown: Shown) -> None:
    page = (await shown.api.get(shown.path)).body.decode()
    [have] = re.findall(r'id="essays" data-have="([^"]+)"', page)
    path = f"{shown.path}?piece=state&have={{}}"
    same = await shown.api.get(path.format(have), headers=FRAGMENT)
    assert (same.status, same.body) == (204, b"")
    await shown.send(shown.essay(1), student=shown.asa)
    changed = (await shown.api.get(path.format(have), headers=FRAGMENT)).body.decode()
    assert "<html" not in changed
    assert "1 decided" in changed
    told = tags_in(changed)
    assert {str(one) for one in shown.essays} == set(told)
    assert told[str(shown.essays[1])] == await shown.tag(1)
    assert f'data-tag="{told[str(shown.essays[0])]}"' in page
    assert f'data-tag="{told[str(shown.essays[1])]}"' not in page
    [now] = re.findall(r'data-have="([^"]+)"', changed)
    assert (await shown.api.get(path.format(now), headers=FRAGMENT)).status == 204


async def test_a_script_gets_the_rows_that_it_names(shown: Shown) -> None:
    named = "&".join(f"essay={one}" for one in (shown.essays[0], shown.essays[2], "none"))
    reply = await shown.api.get(f"{shown.path}?piece=rows&{named}", headers=FRAGMENT)
    found = re.findall(r'<article id="essay-([^"]+)"', reply.body.decode())
    assert found == [str(shown.essays[2]), str(shown.essays[0])]
    none = await shown.api.get(f"{shown.path}?piece=rows", headers=FRAGMENT)
    assert (none.status, none.body.strip()) == (200, b"")


async def test_a_script_gets_the_class_to_choose_from(shown: Shown) -> None:
    path = f"{shown.path}?piece=students"
    text = (await shown.api.get(path, headers=FRAGMENT)).body.decode()
    assert re.findall(r'data-student="([^"]+)"', text) == [shown.bo, shown.asa, "unknown"]
    assert "&lt;b&gt;Ek&lt;/b&gt;" in text
    # Once there is an unknown student it is chosen as others are.
    await shown.send(shown.essay(2), student="unknown")
    text = (await shown.api.get(path, headers=FRAGMENT)).body.decode()
    assert re.findall(r'data-student="([^"]+)"', text)[2:] == [(await shown.stands(2))[1]]
    assert "unknown." not in text


@pytest.mark.parametrize("piece", ["state", "rows", "students"])
async def test_nobody_gets_pieces_of_anothers_batch(shown: Shown, piece: str) -> None:
    path = f"{shown.path}?piece={piece}&essay={shown.essays[0]}"
    assert (await shown.api.get(path, user=OTHER, headers=FRAGMENT)).status == 404
    # Who opens the address of one in a browser gets the page.
    assert b"<h1>" in (await shown.api.get(path)).body


async def test_a_script_confirms_the_rest(shown: Shown) -> None:
    reply = await shown.send(shown.path, fragment=True, least="70")
    assert (reply.status, await shown.stands(0)) == (204, ("confirmed", shown.asa))
    bad = await shown.send(shown.path, fragment=True, least="many")
    assert bad.status == 400
