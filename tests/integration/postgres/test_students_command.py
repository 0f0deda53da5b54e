"""`class-management students collisions`: who shares an address, and nothing of anybody."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import orjson
import pytest

from devstack.rig.database import connected
from devstack.stack import PREFIX, REPOSITORY
from rules.models import Policy
from store.protocols.email_keys import Lacking
from tests.support.command_line import Done, call, nowhere
from tests.support.stores import EMPTY, postgres_stores

NONE, SOME, TROUBLE = 0, 1, 2
#: As in the example of docs/operating.md.
FIRST: Final = UUID("0198f3b0-7c4e-7a61-8d0f-2f1f6a3b9c01")
SECOND: Final = UUID("019a2b71-05d2-7c3a-9be4-b7f1f0c2d802")
OWNER: Final = "teacher-7"
PAGE: Final = (REPOSITORY / "docs" / "operating.md").read_text(encoding="utf-8")

INSERT: Final = """
insert into students (id, owner_id, first_name, last_name, legal_full_name, email, created_at)
values ($1, $2, 'Qzyzxq', 'L', 'F L', $3, $4)
"""


@pytest.fixture
async def database(migrated_database: str) -> str:
    async with connected(migrated_database) as connection:
        await connection.execute(EMPTY)
    return migrated_database


async def example(database: str, *, fill: bool = True) -> None:
    """Store what the documents show."""
    made = [
        (FIRST, "qzyzxq.straß@skola.example", datetime(2025, 8, 28, 6, 12, 9, tzinfo=UTC)),
        (SECOND, "qzyzxq.STRASS@skola.example", datetime(2025, 10, 28, 13, 40, 51, tzinfo=UTC)),
    ]
    async with postgres_stores(database, Policy()) as stores:
        async with connected(database) as connection:
            for student_id, email, at in made:
                await connection.execute(INSERT, student_id, OWNER, email, at)
        if fill:
            assert await stores.email_keys.fill(Lacking.UNKEYED, UUID(int=0), 10) is None


async def collisions(database: str, *arguments: str) -> Done:
    return await call(
        "students", "collisions", *arguments, environ={PREFIX + "DATABASE_URL": database}
    )


async def test_students_that_share_an_address_are_listed(database: str) -> None:
    await example(database)
    done = await collisions(database)
    assert (done.code, done.err) == (SOME, "")
    shown = "".join(f"    {line}\n" for line in done.out.splitlines())
    assert f"    $ class-management students collisions\n{shown}" in PAGE


async def test_they_are_json_lines_for_programs(database: str) -> None:
    await example(database)
    done = await collisions(database, "--json")
    assert done.code == SOME
    [line] = done.out.splitlines()
    assert orjson.loads(line) == {
        "owner_id": OWNER,
        "students": [
            {"student_id": str(FIRST), "created_at": "2025-08-28T06:12:09Z"},
            {"student_id": str(SECOND), "created_at": "2025-10-28T13:40:51Z"},
        ],
    }


@pytest.mark.parametrize("arguments", [(), ("--json",)])
async def test_nobodys_name_or_address_is_shown(database: str, arguments: tuple[str, ...]) -> None:
    await example(database)
    done = await collisions(database, *arguments)
    assert "qzyzxq" not in (done.out + done.err).lower()


async def test_without_any_the_answer_is_no_fault(database: str) -> None:
    done = await collisions(database)
    assert (done.code, done.out, done.err) == (NONE, "No address is shared.\n", "")
    assert (await collisions(database, "--json")).out == ""


async def test_what_is_not_compared_yet_is_said(database: str) -> None:
    await example(database, fill=False)
    done = await collisions(database)
    assert (done.code, done.out) == (NONE, "No address is shared.\n")
    assert "2 students are not compared yet" in done.err


async def test_a_database_that_is_not_there_is_trouble() -> None:
    done = await collisions(f"postgresql://{nowhere()}/x")
    assert done.code == TROUBLE
    assert len(done.err.splitlines()) == 1
