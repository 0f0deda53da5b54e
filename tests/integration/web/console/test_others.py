"""A teacher sees nothing of another's on any page, and changes nothing by any form.

Each place of an id, in paths and in fields, is tried with another's id and with nobody's: the two
are answered alike. Pages and forms come from the table.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.integration.web.api import OTHER, TEACHER, Api, Backend, Reply, Setup, serving
from tests.integration.web.console.fields import FIELDS
from tests.integration.web.console.people import PAGES, SERVED, Signer, send_file, send_form
from tests.integration.web.importing import apply
from tests.integration.web.worlds import World, everything, new_world
from web.identity import Access
from web.operations import Operation

_VARIABLE: Final = re.compile(r"\{(\w+)\}")
#: Where what a form may have the tag of is.
TAGGED: Final = {
    "class_tag": "/v1/classes/{class_id}",
    "import_tag": "/v1/imports/{import_id}",
    "student_tag": "/v1/classes/students/{student_id}",
    "other_student_tag": "/v1/classes/students/{other_student_id}",
}
#: Only what was applied can be taken back.
UNDO: Final = "/console/imports/{import_id}/undo"
TEACHERS: Final = [one for one in PAGES if one.access is Access.TEACHER]
WITH_IDS: Final = [
    one
    for one in TEACHERS
    if _VARIABLE.search(one.path + "".join(FIELDS.get(one.path, {}).values()))
]


@pytest.fixture
async def api(backend: Backend, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(Setup(backend), tmp_path, SERVED) as running:
        yield running


def names_in(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the fields that take an id, with its name in a World."""
    for field, text in texts.items():
        for name in _VARIABLE.findall(text):
            if name not in TAGGED:
                yield field, name


async def tags(api: Api, world: World) -> dict[str, str]:
    """Return the tags of what a world has, as its owner gets them; "" for what is not TEACHER's."""
    replies = {name: await api.get(world.fill(path)) for name, path in TAGGED.items()}
    return {name: reply.headers.get("ETag", "").strip('"') for name, reply in replies.items()}


async def send(
    api: Api, operation: Operation, world: World, field: str = "", other: str = ""
) -> Reply:
    """Ask for a page, or send a form, with a world's ids, but another one in a field."""
    path = world.fill(operation.path)
    if operation.method == "GET":
        return await api.get(path)
    known = vars(world) | await tags(api, world)
    fields = {name: text.format(**known) for name, text in FIELDS[operation.path].items()}
    fields |= {field: other} if field else {}
    secret = await api.setup.store.classes.cursor_key()
    fields["form_token"] = await Signer(secret).sessions.form_token(TEACHER)
    if operation.uploads:
        return await send_file(api, path, fields, user=TEACHER)
    return await send_form(api, path, fields, user=TEACHER)


def shown(reply: Reply, *ids: str) -> tuple[int, str]:
    """Return what an answer says, without what differs between any two requests."""
    text = re.sub('name="form_token" value="[^"]*"', "", reply.body.decode())
    text = re.sub(r'data-now="[^"]*"', "", text)
    for one in ids:
        text = text.replace(one, "")
    return reply.status, text


def test_every_form_of_teachers_is_known_here() -> None:
    assert set(FIELDS) == {one.path for one in TEACHERS if one.method == "POST"}


@pytest.mark.parametrize("operation", WITH_IDS, ids=lambda one: one.name)
async def test_what_is_anothers_is_as_good_as_absent(api: Api, operation: Operation) -> None:
    mine, theirs, nobodys = await new_world(api), await new_world(api, OTHER), World.of_nobody()
    before = await everything(api, mine), await everything(api, theirs, OTHER)
    if operation.ids:
        foreign, absent = await send(api, operation, theirs), await send(api, operation, nobodys)
        assert (foreign.status, absent.status) == (404, 404)
        assert shown(foreign, *vars(theirs).values()) == shown(absent, *vars(nobodys).values())
    for field, name in names_in(FIELDS.get(operation.path, {})):
        ids = vars(theirs)[name], vars(nobodys)[name]
        foreign, absent = [await send(api, operation, mine, field, one) for one in ids]
        assert shown(foreign, *ids) == shown(absent, *ids), field
    assert (await everything(api, mine), await everything(api, theirs, OTHER)) == before
    # And what is one's own is there: what was refused above was no bad request.
    if operation.path == UNDO:
        assert (await apply(api, mine.import_id)).status == 202
    assert (await send(api, operation, mine)).status < 400
    assert await everything(api, theirs, OTHER) == before[1]


@pytest.mark.parametrize(
    "operation",
    [one for one in TEACHERS if one.method == "GET" and not one.ids],
    ids=lambda one: one.name,
)
async def test_a_list_has_nothing_of_anothers(api: Api, operation: Operation) -> None:
    await new_world(api, OTHER)
    reply = await api.get(operation.path)
    assert reply.status == 200
    text = reply.body.decode()
    assert not [name for name in ("9A", "9B", "asa@skola.se", "Öberg", "Ek") if f">{name}" in text]
