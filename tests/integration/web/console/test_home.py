"""The first page: what waits, what was decided lately, the classes."""

import re
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from tests.integration.web.api import OTHER, Api
from tests.integration.web.console.pages import Visitor, text_of
from tests.integration.web.console.people import FRAGMENT
from web.console.views import home

LINK = re.compile(r'href="/console/batches/([-0-9a-f]{36})"')
HOME = home.HOME


def batches(page: str) -> Sequence[str]:
    return LINK.findall(page)


async def new_batches(api: Api, count: int, user: str = "lärare-1") -> list[str]:
    class_id = await api.new_class("<b>9A</b>", user)
    student_id = await api.new_student(class_ids=(class_id,), user=user)
    return [(await api.new_batch(class_id, student_id, None))[0] for _ in range(count)]


async def test_what_waits_is_there_with_how_sure_it_is(teacher: Visitor, other: Visitor) -> None:
    [batch_id] = await new_batches(teacher.api, 1)
    page = await teacher.shown(HOME)
    assert batches(page) == [batch_id]
    assert "<span>1 without a match</span>" in page
    assert "<span>1 certain</span>" in page
    assert "uncertain</span>" not in page
    assert "<b>" not in page
    assert batches(await other.shown(HOME)) == []


async def test_what_was_decided_lately_is_below_it_and_what_was_long_ago_is_not(
    teacher: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, decided = await new_batches(teacher.api, 2)
    path = f"/v1/batches/{decided}/student-associations"
    found = (await teacher.api.get(path)).json["associations"]
    decisions = [{"essay_id": one["essay_id"], "confirmed": False} for one in found]
    assert (
        await teacher.api.send("POST", f"{path}/confirm", {"associations": decisions})
    ).status == 200
    page = await teacher.shown(HOME)
    assert batches(page) == [waiting, decided]
    assert page.index(waiting) < page.index("Decided in the last days") < page.index(decided)
    monkeypatch.setattr(home, "_NEWS", timedelta(0))
    assert batches(await teacher.shown(HOME)) == [waiting]


async def test_more_than_a_page_are_a_page_further(
    teacher: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "_MOST_BATCHES", 2)
    wanted = await new_batches(teacher.api, 5)
    address, seen = HOME, list[str]()
    while address:
        page = await teacher.shown(address)
        seen += batches(page)
        further = re.search(r'href="(/console\?cursor=[^"]+)"', page)
        assert ("<h2>Classes</h2>" in page) == (address == HOME)
        address = further[1] if further else ""
    assert seen == wanted


async def test_a_page_that_has_emptied_meanwhile_leads_back(
    teacher: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "_MOST_BATCHES", 1)
    class_id = await teacher.api.new_class()
    for _ in range(2):
        await teacher.api.new_batch(class_id, None)
    further = re.search(r'href="(/console\?cursor=[^"]+)"', await teacher.shown(HOME))
    assert further
    assert (await teacher.api.send("DELETE", f"/v1/classes/{class_id}")).status == 204
    page = await teacher.shown(further[1])
    assert "No more batches wait here." in page
    assert 'href="/console"' in page
    assert (await teacher.get(f"{HOME}?cursor=nothing")).status == 400


async def test_a_script_gets_what_changes_alone(teacher: Visitor) -> None:
    [batch_id] = await new_batches(teacher.api, 1)
    reply = await teacher.api.get(HOME, headers=FRAGMENT)
    piece = text_of(reply)
    assert piece.strip().startswith('<div id="batches"')
    assert batches(piece) == [batch_id]
    assert "<html" not in piece
    assert "<h2>Classes</h2>" not in piece


async def test_an_empty_page_says_what_will_be_on_it(other: Visitor) -> None:
    assert other.user == OTHER
    page = await other.shown(HOME)
    for words in ("Nothing waits for you.", "You have no classes yet."):
        assert words in page


async def test_classes_are_listed_newest_first_and_the_others_are_elsewhere(
    teacher: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "_MOST_CLASSES", 1)
    first = UUID(await teacher.api.new_class("first"))
    assert "All classes" not in await teacher.shown(HOME)
    second = UUID(await teacher.api.new_class("second"))
    page = await teacher.shown(HOME)
    assert (f"/console/classes/{first}" in page, f"/console/classes/{second}" in page) == (
        False,
        True,
    )
    assert "All classes" in page
