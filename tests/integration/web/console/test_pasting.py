"""A list of pupils: what it would do comes first, and then just that is done, once."""

from itertools import pairwise

import pytest

from tests.integration.web.api import Reply
from tests.integration.web.console.pages import Visitor, filled, text_of

CLASSES = "/console/classes"


async def roster(teacher: Visitor, class_id: str) -> list[str]:
    reply = await teacher.api.get(f"/v1/classes/{class_id}/roster")
    return [f"{one['first_name']} {one['last_name']}" for one in reply.json["students"]]


async def preview(teacher: Visitor, class_id: str, text: str, **more: str | None) -> str:
    """Paste a list; return what it would do, which is nothing yet."""
    before = await roster(teacher, class_id)
    path = f"{CLASSES}/{class_id}/paste"
    reply = await teacher.send(path, list=text, **more)
    assert reply.status == 200
    assert await roster(teacher, class_id) == before
    return text_of(reply)


async def confirm(teacher: Visitor, class_id: str, page: str, **more: str | None) -> Reply:
    path = f"{CLASSES}/{class_id}/paste"
    return await teacher.post(path, filled(page, path, confirm="1", **more))


async def test_a_list_is_seen_and_then_made_once(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    page = await preview(
        teacher, class_id, "\ufeffFörnamn;Efternamn;E-post\r\nBo;Ek;bo@x.example\r\n\r\nCher;;\r\n"
    )
    assert "2 students are new." in page
    first, again = [await confirm(teacher, class_id, page) for _ in range(2)]
    assert (first.status, first.headers["Location"]) == (303, again.headers["Location"])
    assert first.headers["Location"].startswith(f"{CLASSES}/{class_id}?")
    assert await roster(teacher, class_id) == ["Cher ", "Bo Ek"]
    shown = await teacher.shown(first.headers["Location"])
    assert "2 students are new." in shown
    assert "Cher" not in first.headers["Location"]


async def test_the_same_list_again_makes_nobody(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    text = "Bo Ek <bo@x.example>\nÅsa Öberg"
    await confirm(teacher, class_id, await preview(teacher, class_id, text))
    page = await preview(teacher, class_id, text)
    assert "0 students are new." in page
    assert "1 is in the class already." in page
    assert "1 has a name that is taken: look." in page
    left = await confirm(teacher, class_id, page)
    assert left.status == 200
    assert await roster(teacher, class_id) == ["Bo Ek", "Åsa Öberg"]
    meant = await confirm(teacher, class_id, page, chosen="1")
    assert meant.status == 303
    assert await roster(teacher, class_id) == ["Bo Ek", "Åsa Öberg", "Åsa Öberg"]


async def test_who_is_there_joins_and_who_else_has_the_address_only_if_meant(
    teacher: Visitor,
) -> None:
    class_id = await teacher.api.new_class()
    same = await teacher.api.new_student("Bo", "Ek", "bo@x.example")
    taken = await teacher.api.new_student("Vera", "Ek", "ek@x.example")
    page = await preview(teacher, class_id, "Bo\tEk\tBO@x.example\nWera\tEk\tek@x.example")
    assert "1 is one of yours, and joins." in page
    assert f"/console/students/{taken}" in page
    reply = await confirm(teacher, class_id, page)
    assert "1 line is left: it is below." in text_of(reply)
    assert await roster(teacher, class_id) == ["Bo Ek"]
    rest = text_of(reply)
    assert filled(rest, f"{CLASSES}/{class_id}/paste")["list"] == "Wera\tEk\tek@x.example"
    wrong = await confirm(teacher, class_id, rest, chosen=f"0:{same}")
    assert (wrong.status, await roster(teacher, class_id)) == (200, ["Bo Ek"])
    done = await confirm(teacher, class_id, rest, chosen=f"0:{taken}")
    assert done.status == 303
    assert await roster(teacher, class_id) == ["Bo Ek", "Vera Ek"]


async def test_what_is_wrong_with_a_line_is_said_and_the_others_are_made(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    page = await preview(
        teacher,
        class_id,
        "Name,Email\n<script>,a@x.example\nBo Ek,nope@\nÅsa,unknown@huleedu.system\n"
        f"{'x' * 256},\nUlf,a@x.example\n",
    )
    for told in (
        "This is not an email address.",
        "Addresses of this domain belong to the service.",
        "At most 255 characters.",
        "Another of your students already has this email.",
        "4 lines cannot be made as they are.",
        "&lt;script&gt;",
    ):
        assert told in page
    assert "<script><" not in page
    reply = await confirm(teacher, class_id, page)
    assert await roster(teacher, class_id) == ["<script> "]
    mended = str(filled(text_of(reply), f"{CLASSES}/{class_id}/paste")["list"])
    assert mended.splitlines()[:2] == ["Name,Email", "Bo Ek,nope@"]
    page = await preview(teacher, class_id, mended.replace("nope@", "bo@x.example"))
    assert "1 student is new." in page


async def test_names_that_are_the_wrong_way_round_are_turned(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    page = await preview(teacher, class_id, "Ek\tBo", swapped="1")
    await confirm(teacher, class_id, page)
    assert await roster(teacher, class_id) == ["Bo Ek"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (" \r\n\ufeff\n", "There is nobody in this list yet."),
        ("Namn\tE-post", "There is nobody in this list yet."),
        ("x\n" * 2001, "A list has at most 2,000 lines"),
    ],
)
async def test_what_is_no_list_is_said(teacher: Visitor, text: str, fault: str) -> None:
    class_id = await teacher.api.new_class()
    reply = await teacher.send(f"{CLASSES}/{class_id}/paste", list=text, confirm="1")
    assert reply.status == 400
    assert fault in text_of(reply)
    assert await roster(teacher, class_id) == []


async def test_the_longest_list_fills_a_class(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    text = "".join(f"Elev{n} Ek <e{n}@x.example>\n" for n in range(2000))
    page = await preview(teacher, class_id, text)
    assert "2,000 students are new." in page
    assert (await confirm(teacher, class_id, page)).status == 303
    assert len(await roster(teacher, class_id)) == 2000
    page = await preview(teacher, class_id, "En Till")
    assert "A class has at most 2,000 students." in page


async def test_a_class_that_is_gone_takes_no_list(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    page = await preview(teacher, class_id, "Bo Ek")
    assert (await teacher.api.send("DELETE", f"/v1/classes/{class_id}")).status == 204
    assert (await confirm(teacher, class_id, page)).status == 404
    found = (await teacher.api.get("/v1/classes/students")).json
    assert found["students"] == []


async def test_what_the_page_said_is_what_happens(teacher: Visitor) -> None:
    """Whoever pastes lists that overlap gets each pupil once."""
    class_id = await teacher.api.new_class()
    pupils = [f"Elev{n}, Ek{n}, e{n}@x.example" for n in range(6)]
    for one, two in pairwise(pupils):
        page = await preview(teacher, class_id, f"{one}\n{two}\n{one}")
        assert (await confirm(teacher, class_id, page)).status == 303
    assert len(await roster(teacher, class_id)) == 6
