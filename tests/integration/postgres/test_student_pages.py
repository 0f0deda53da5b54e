"""Lists of students while other transactions are under way."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from devstack.rig.database import connected
from rules.models import Policy
from rules.search import StudentQuery
from tests.integration.store.builders import Stores, caller, make_student, new_student
from tests.support.stores import postgres_stores

#: As every writer dates a change: at the start of its transaction.
MOVE: Final = """
update students set last_name = 'A', version = version + 1, updated_at = now() where id = $1
"""


@pytest.fixture
async def stores(migrated_database: str) -> AsyncIterator[Stores]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield stores


async def test_who_moves_in_a_transaction_begun_before_the_first_page_is_not_missed(
    stores: Stores, migrated_database: str
) -> None:
    made = [await make_student(stores, caller(), new_student("A", last)) for last in "BCDZ"]
    async with connected(migrated_database) as writer, writer.transaction():
        await writer.execute(MOVE, made[-1].id)
        page = await stores.classes.find_students(caller().user_id, StudentQuery(2))
    assert page.next is not None
    rest = await stores.classes.find_students(caller().user_id, StudentQuery(20, page.next))
    assert [s.id for s in (*page.students, *rest.students)] == [one.id for one in made]
