"""What happened to a class or a student, on a page; and rosters that a page has one save."""

import re
from pathlib import Path

from rules.models import Policy
from tests.integration.web.api import OTHER, Setup, serving
from tests.integration.web.console.pages import Visitor
from tests.support.stores import memory_stores
from web.console.table import WITH_CONSOLE

CLASSES = "/console/classes"
STUDENTS = "/console/students"


def told(page: str) -> list[str]:
    """Return the changes of a page as they read, without when and by whom."""
    rows = re.findall(r"<li>\n<time.*?<span>(.*?)</span>", page, flags=re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", row)).strip() for row in rows]


async def test_what_happened_to_a_student_is_told_newest_first(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class("9A <b>")
    student_id = await teacher.api.new_student("Bo", "Ek", "bo@x.example", class_ids=(class_id,))
    path = f"/v1/classes/students/{student_id}"
    await teacher.api.send("PUT", path, {"email": "ek@x.example"})
    await teacher.api.send("PUT", path, {"remove_class_ids": [class_id]})
    page = await teacher.shown(f"{STUDENTS}/{student_id}/history")
    assert told(page) == [
        "Left a class: 9A &lt;b&gt;",
        "The student was changed.",
        "Joined a class: 9A &lt;b&gt;",
        "The student was made.",
    ]
    assert '<del><bdi class="name">bo@x.example</bdi></del>' in page
    assert f'href="{STUDENTS}/{student_id}/history"' in await teacher.shown(
        f"{STUDENTS}/{student_id}"
    )
    await teacher.api.send("DELETE", path)
    gone = await teacher.shown(f"{STUDENTS}/{student_id}/history")
    assert told(gone)[0] == "The student was deleted."
    assert "Bo Ek" in gone
    assert f'href="{STUDENTS}/{student_id}"' not in gone


async def test_what_happened_to_a_class_is_told(teacher: Visitor, other: Visitor) -> None:
    class_id = await teacher.api.new_class()
    path = f"{CLASSES}/{class_id}/history"
    assert f'href="{path}"' in await teacher.shown(f"{CLASSES}/{class_id}")
    await teacher.api.send("PUT", f"/v1/classes/{class_id}", {"name": "9B"})
    assert told(await teacher.shown(path)) == ["The class was changed.", "The class was made."]
    assert (await other.get(path)).status == 404


async def test_without_changes_there_are_no_histories(tmp_path: Path) -> None:
    async with (
        memory_stores(Policy(), changes=False) as stores,
        serving(Setup(stores, changes=False), tmp_path, WITH_CONSOLE) as api,
    ):
        teacher = Visitor(api)
        class_id = await api.new_class()
        assert "/history" not in await teacher.shown(f"{CLASSES}/{class_id}")
        assert (await teacher.get(f"{CLASSES}/{class_id}/history")).status == 404


async def test_rosters_are_saved_from_pages(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    await teacher.api.new_student("=1+1", "Ek", class_ids=(class_id,))
    page = await teacher.shown(f"{CLASSES}/{class_id}")
    saved = re.findall(r'href="([^"]*)" download', page + await teacher.shown(CLASSES))
    assert len(saved) == 3
    for address in saved:
        reply = await teacher.get(address)
        assert reply.status == 200
        assert reply.headers["Content-Disposition"].startswith("attachment;")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
    one, every, zipped = [(await teacher.get(address)).body for address in saved]
    assert one == every
    assert b"'=1+1" in one
    assert zipped.startswith(b"PK")


async def test_anothers_roster_is_not_to_be_saved(teacher: Visitor, other: Visitor) -> None:
    class_id = await teacher.api.new_class()
    reply = await other.get(f"{CLASSES}/{class_id}/roster.csv")
    assert (reply.status, reply.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    await other.api.new_class("8C", user=OTHER)
    assert b"9A" not in (await other.get("/console/export?format=csv")).body
