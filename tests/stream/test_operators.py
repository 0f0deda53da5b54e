"""Operators' pages against a running service: a message that failed is found, replayed, handled."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Final
from uuid import uuid4

import aiohttp
import pytest

from devstack.rig.database import Database
from devstack.rig.http import MARK, Teacher
from devstack.rig.kafka import DEAD_SUGGESTIONS, Topics
from devstack.rig.service import INTERNAL_KEY, Host, ServiceProcess
from devstack.rig.suggestions import suggest
from devstack.rig.waiting import until

PAGES: Final = "/console/operations"
LETTERS: Final = f"{PAGES}/dead-letters"
NAME: Final = "Eva"
#: Topics are read for ten seconds at most.
PATIENCE: Final = aiohttp.ClientTimeout(60)
_TOKEN: Final = re.compile(r'name="form_token" value="([^"]*)"')
_LETTER: Final = re.compile(r'name="letter" value="([^"]*)"')

pytestmark = pytest.mark.usefixtures("service")


@dataclass(frozen=True)
class Operator:
    """An operator with a browser, who is signed in."""

    session: aiohttp.ClientSession
    address: str

    async def shown(self, path: str) -> str:
        async with self.session.get(self.address + path) as response:
            text = await response.text()
            assert response.status == 200, text
        return unescape(text)

    async def send(
        self, path: str, fields: Sequence[tuple[str, str]], token: str = ""
    ) -> tuple[int, str]:
        """Send a form; return the status of what it leads to, and the page."""
        data = [("form_token", token), *fields]
        async with self.session.post(self.address + path, data=data) as response:
            return response.status, unescape(await response.text())

    async def token(self) -> str:
        found = _TOKEN.search(await self.shown(f"{PAGES}/batches"))
        assert found
        return found[1]


@pytest.fixture
async def operator(host: Host) -> AsyncIterator[Operator]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=PATIENCE) as session:
        operator = Operator(session, f"http://127.0.0.1:{host.port}")
        fields = [("name", NAME), ("key", INTERNAL_KEY), ("next", f"{PAGES}/batches")]
        status, _ = await operator.send("/console/sign-in/operator", fields)
        assert status == 200
        yield operator


async def test_a_message_that_failed_is_found_replayed_and_handled(
    operator: Operator,
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    database: Database,
) -> None:
    class_id = str(uuid4())
    batch = suggest(class_id, [])
    await topics.suggest(batch)
    await topics.expect(DEAD_SUGGESTIONS, batch.batch_id)

    async def listed() -> list[str]:
        # A busy broker is not read to its end within the time of a page.
        page = await operator.shown(f"{LETTERS}?key={batch.batch_id}")
        assert "class_not_found" in page
        return re.findall(r"letter\?letter=([a-z]+/\d+/\d+)", page)

    [address] = set(await until("the letter to be listed", listed))
    path = f"{LETTERS}/decide?act=replay&letter={address}"
    token = await operator.token()
    decided = [("act", "replay"), ("letter", address), ("next", LETTERS)]
    assert (await operator.send(f"{LETTERS}/decide", decided, token))[0] == 403

    await database.insert_class(class_id, teacher.id)
    switch = [("acting", "on"), ("next", LETTERS)]
    assert (await operator.send(f"{PAGES}/acting", switch, token))[0] == 200
    plan = await operator.shown(path)
    assert "Replay 1 dead letter?" in plan
    assert _LETTER.findall(plan) == [address]
    status, page = await operator.send(f"{LETTERS}/decide", decided, token)
    assert (status, "1 dead letter is on its way" in page) == (200, True)
    await teacher.stored(batch.batch_id)

    async def is_handled() -> bool:
        page = await operator.shown(f"{LETTERS}/letter?letter={address}")
        return re.search(r"</time>,\s+stored", page) is not None

    await until("the page to say that the replay was handled", is_handled)
    [acts] = [one for one in service.logged("operator acts") if address in one["which"]]
    assert (acts["act"], acts["operator"], acts["letters"]) == ("replay dead letters", NAME, 1)
    assert any(one["done"] == 1 for one in service.logged("operator acted"))

    async def whole() -> str:
        # The same holds of all topics of a batch.
        page = await operator.shown(f"{PAGES}/batches/{batch.batch_id}?topics=yes")
        return page if "With all that the topics still have." in page else ""

    story = await until("the topics to be read to their ends", whole)
    for told in ("<b>dead letter</b>", "<b>suggested</b>", f"a replay of {DEAD_SUGGESTIONS}"):
        assert told in story


async def test_what_cannot_be_read_is_shown_where_it_is_asked_for(
    operator: Operator, service: ServiceProcess, teacher: Teacher, topics: Topics
) -> None:
    await topics.send(f'{{"name": "{MARK}'.encode(), teacher.id)
    letter = (await topics.expect(DEAD_SUGGESTIONS, teacher.id))[-1]
    path = f"{LETTERS}/letter?letter=suggestions/{letter.partition}/{letter.offset}"
    assert MARK not in await operator.shown(f"{LETTERS}?key={teacher.id}")
    assert MARK not in await operator.shown(path)
    status, page = await operator.send(path, [], await operator.token())
    assert (status, MARK in page) == (200, True)
    assert [one["operator"] for one in service.logged("operator looks")] == [NAME]
    assert MARK not in service.log
