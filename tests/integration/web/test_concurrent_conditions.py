"""Many who read, think and write back at once: with If-Match nobody's change is lost."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from rules.models import Policy
from tests.integration.web.api import Api, Setup, serving
from tests.support.profiles import by_profile
from tests.support.stores import postgres_stores
from web.limits import ConnectionLimits

pytestmark = pytest.mark.long

#: They are all one user's.
LIMITS: Final = ConnectionLimits(user_requests=1_000)
WRITERS: Final = by_profile(short=30, long=200)


@dataclass(frozen=True)
class Counted:
    """Something that has a number, which a request sets."""

    path: str
    member: str

    def read(self, document: Any) -> int:  # noqa: ANN401  # JSON
        return int(document[self.member])

    def body(self, number: int) -> object:
        named = {self.member: str(number)}
        return named if self.member == "name" else {"person_name": named}


@pytest.fixture
async def api(migrated_database: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with (
        postgres_stores(migrated_database, Policy()) as stores,
        serving(Setup(stores, 120, LIMITS), tmp_path) as served,
        aiohttp.ClientSession(
            skip_auto_headers=["Content-Type"], connector=aiohttp.TCPConnector(limit=0)
        ) as session,
    ):
        yield Api(session, served.port, served.setup)


async def count_once(api: Api, counted: Counted) -> int:
    """Add one to the number; return how often that took another try."""
    tries = 0
    while True:
        known = await api.get(counted.path)
        assert known.status == 200, known.body
        condition = {"If-Match": known.headers["ETag"]}
        body = counted.body(counted.read(known.json) + 1)
        reply = await api.send("PUT", counted.path, body, headers=condition)
        if reply.status == 200:
            return tries
        reply.problem(412, "PRECONDITION_FAILED")
        tries += 1
        await asyncio.sleep(random.uniform(0, 0.1 * 2 ** min(tries, 6)))


@pytest.mark.parametrize("what", ["class", "student"])
async def test_no_change_is_lost_among_concurrent_writers(api: Api, what: str) -> None:
    class_id = await api.new_class("0")
    student_id = await api.new_student("0", "", class_ids=(class_id,))
    counted = {
        "class": Counted(f"/v1/classes/{class_id}", "name"),
        "student": Counted(f"/v1/classes/students/{student_id}", "first_name"),
    }[what]
    refused = await asyncio.gather(*(count_once(api, counted) for _ in range(WRITERS)))
    assert counted.read((await api.get(counted.path)).json) == WRITERS
    print(f"{WRITERS} writers of one {what}, {sum(refused)} tries refused")  # noqa: T201
    assert sum(refused) > 0
