"""Whatever is made and deleted between the pages of a list of classes: each comes once."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.changes import NewClassRequest
from rules.class_pages import ClassQuery, place
from rules.models import ClassRecord, Policy
from tests.integration.store.builders import Stores, caller, classes_of, new_class
from tests.support.stores import memory_stores, postgres_stores

TEACHER: Final = caller()
OTHER: Final = caller("other")

#: How many classes are made at one moment, so that only their ids tell them apart; of a negative
#: number the class at that place of the list is deleted.
steps = st.lists(st.integers(-6, 3), max_size=3)


async def make(stores: Stores, count: int) -> None:
    for owner in (TEACHER, OTHER):
        requests = [NewClassRequest(owner, new_class()) for _ in range(count)]
        await stores.classes.create_classes(requests)


async def take(stores: Stores, story: Sequence[int]) -> set[UUID]:
    """Make and delete; return what was deleted."""
    gone = set()
    for number in story:
        if number >= 0:
            await make(stores, number)
            continue
        listed = await classes_of(stores, TEACHER.user_id)
        for record in listed[-number - 1 : -number]:
            await stores.classes.delete_class(TEACHER, record.id)
            gone.add(record.id)
    return gone


async def each_comes_once(
    stores: Stores, made: Sequence[int], limit: int, between: Sequence[Sequence[int]]
) -> None:
    for count in made:
        await make(stores, count)
    there = {record.id for record in await classes_of(stores, TEACHER.user_id)}
    seen: list[ClassRecord] = []
    query: ClassQuery | None = ClassQuery(limit)
    stories = iter(between)
    while query:
        page = await stores.classes.list_classes(TEACHER.user_id, query)
        assert page.more <= (len(page.classes) == limit)
        seen += page.classes
        query = ClassQuery(limit, after=page.next) if page.next else None
        there -= await take(stores, next(stories, ()))
    assert seen == sorted(seen, key=place, reverse=True)
    assert len({record.id for record in seen}) == len(seen)
    assert there <= {record.id for record in seen}
    assert {record.owner_id for record in seen} <= {TEACHER.user_id}


@pytest.mark.parametrize("kind", ["memory", "postgres"])
@given(
    made=st.lists(st.integers(1, 4), max_size=6),
    limit=st.integers(1, 4),
    between=st.lists(steps, max_size=8),
)
@settings(max_examples=30, deadline=None)
def test_pages_of_classes_neither_repeat_nor_leave_out(
    migrated_database: str, kind: str, made: list[int], limit: int, between: list[list[int]]
) -> None:
    async def run() -> None:
        opened = (
            memory_stores(Policy())
            if kind == "memory"
            else postgres_stores(migrated_database, Policy())
        )
        async with opened as stores:
            await each_comes_once(stores, made, limit, between)

    asyncio.run(run())
