"""Rosters of the same pupils: in whatever order and form they come, nobody is there twice."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import topics
from rules.commands.orders import CommandDelivery
from rules.commands.results import CommandResult, CommandStatus
from rules.models import Policy, StudentRecord
from rules.search import StudentQuery
from tests.integration.store.builders import Stores
from tests.support.commands import TEACHER, deliver, name
from tests.support.stores import memory_stores, postgres_stores

CLASSES: Final = [UUID(int=100), UUID(int=101)]
IDS: Final = [UUID(int=200 + n) for n in range(4)]
EMAILS: Final = ["a@b.example", "c@d.example", "e@f.example"]

Row = dict[str, Any]


@st.composite
def pupils(draw: st.DrawFn) -> Row:
    """Draw a row of a roster; ids, names and addresses meet now and then."""
    row: Row = {"person_name": name(draw(st.sampled_from(["Åsa", "Åsa", "Bo"])))}
    email = draw(st.none() | st.sampled_from(EMAILS))
    row["email"] = email.upper() if email and draw(st.booleans()) else email
    if draw(st.booleans()):
        row["student_id"] = draw(st.sampled_from(IDS))
    return row


@st.composite
def again(draw: st.DrawFn, rows: Sequence[Row]) -> list[Row]:
    """Draw the same pupils in another order, some without their id or with another address."""
    shuffled = draw(st.permutations(rows))
    changed = []
    for row in shuffled:
        kept = {m: row[m] for m in row if m != "student_id" or draw(st.booleans())}
        if kept["email"] and draw(st.booleans()):
            kept["email"] = kept["email"].swapcase()
        changed.append(kept)
    return changed


rosters = st.lists(pupils(), min_size=1, max_size=5).flatmap(
    lambda rows: st.tuples(st.just(rows), again(rows))
)


def delivered(rolls: Sequence[Sequence[Row]]) -> list[CommandDelivery]:
    """Return the classes' making and their rosters, read once: new ids are the same then."""
    made = [
        deliver("class.create", class_id=cls, name="9A", course_codes=["SV1"]) for cls in CLASSES
    ]
    registered = [
        deliver("roster.register", class_id=cls, students=rows)
        for cls, rows in zip(CLASSES, rolls, strict=True)
    ]
    return [*made, *registered]


async def outcome(
    stores: Stores, deliveries: Sequence[CommandDelivery]
) -> tuple[list[CommandResult], list[Any], list[Any]]:
    results = await stores.commands.apply_commands(deliveries)
    page = await stores.classes.find_students(TEACHER, StudentQuery(100))
    check(results, page.students)
    told = [
        (one.topic, one.key, one.data["add_class_ids"])
        for one in await stores.published(topics.STUDENT_UPDATED)
    ]
    there = [(s.id, s.name, s.email, s.class_ids, s.version) for s in page.students]
    # Messages have an order by key only.
    return results, there, sorted(told, key=lambda one: one[1])


def check(results: Sequence[CommandResult], students: Sequence[StudentRecord]) -> None:
    """Check that nobody is there twice, and that those of a roster are in its class."""
    emails = [student.email.lower() for student in students if student.email]
    assert len(emails) == len(set(emails))
    by_id = {student.id: student for student in students}
    for cls, result in zip(CLASSES, results[len(CLASSES) :], strict=True):
        assert result.status is not CommandStatus.DUPLICATE
        assert all(cls in by_id[student_id].class_ids for student_id in result.entity_ids)
        in_the_way = {result.student_id, *(fault.student_id for fault in result.errors)} - {None}
        assert in_the_way <= by_id.keys()


@settings(max_examples=40, deadline=None)
@given(rosters)
def test_a_roster_in_two_classes_makes_nobody_twice_in_either_store(
    migrated_database: str, rolls: tuple[list[Row], list[Row]]
) -> None:
    deliveries = delivered(rolls)

    async def in_memory() -> Any:  # noqa: ANN401
        async with memory_stores(Policy()) as stores:
            return await outcome(stores, deliveries)

    async def on_postgres() -> Any:  # noqa: ANN401
        async with postgres_stores(migrated_database, Policy()) as stores:
            return await outcome(stores, deliveries)

    assert asyncio.run(on_postgres()) == asyncio.run(in_memory())
