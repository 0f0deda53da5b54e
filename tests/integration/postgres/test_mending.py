"""What corrections and merges leave in PostgreSQL, where no operation shows it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstack.rig.database import connected
from rules.merging import moved_suggestions
from rules.models import HumanDecision, Policy, StudentChange, Suggestion
from store.postgres import sql
from tests.integration.store.builders import (
    A_DAY,
    StoredBatch,
    Stores,
    caller,
    make_batch,
    make_class,
    make_classroom,
    make_student,
    new_student,
)
from tests.support.stores import postgres_stores

TEACHER = caller()
STUDENTS = [UUID(int=200 + i) for i in range(4)]
GONE, INTO = STUDENTS[:2]


@pytest.fixture
async def stores(migrated_database: str) -> AsyncIterator[Stores]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield stores


async def rows(dsn: str, query: str, *values: object) -> list[dict[str, Any]]:
    async with connected(dsn) as connection:
        return [dict(row) for row in await connection.fetch(query, *values)]


async def changes(dsn: str) -> list[dict[str, Any]]:
    found = await rows(dsn, "select * from changes order by id")
    for row in found:
        row["before"], row["after"] = (json.loads(row[k] or "null") for k in ("before", "after"))
    return found


async def decided(stores: Stores) -> StoredBatch:
    """Make a batch with an essay of each of two students, the second undecided."""
    room = await make_classroom(stores, 3, TEACHER)
    batch = await make_batch(stores, 0.9, 0.9, room=room)
    yes = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(TEACHER, batch.id, [yes])
    return batch


# --- the other suggestions ---------------------------------------------------------------------


def written(suggestions: list[Suggestion]) -> str:
    return json.dumps(
        [
            {
                "student_id": str(one.student_id),
                "confidence": one.confidence,
                "match_reasons": list(one.match_reasons),
            }
            for one in suggestions
        ]
    )


some = st.lists(
    st.builds(
        Suggestion,
        st.sampled_from(STUDENTS),
        st.sampled_from([0.25, 0.5, 1.0]),
        st.sampled_from([(), ("name",), ("email", "name")]),
    ),
    max_size=6,
)


async def after_moving(dsn: str, essays: list[list[Suggestion]]) -> list[list[Suggestion]]:
    """Return what becomes of the suggestions of essays, one after the other."""
    ids = [UUID(int=400 + number) for number in range(len(essays))]
    async with connected(dsn) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "insert into batches (id, correlation_id) values ($1, $1)", UUID(int=300)
        )
        await connection.execute(ESSAYS, UUID(int=300), ids, [written(one) for one in essays])
        await connection.execute(sql.merging.MOVE_ASSOCIATIONS, GONE, INTO, ids)
        found = await connection.fetch(
            "select suggestions from associations where batch_id = $1 order by essay_id",
            UUID(int=300),
        )
        await transaction.rollback()
    return [read(row["suggestions"]) for row in found]


ESSAYS = """
insert into associations (essay_id, batch_id, confidence, match_reasons, status, confirm_by,
    suggestions)
select essay_id, $1, 0, '{}', 'pending_validation', now(), suggestions
from unnest($2::uuid[], $3::jsonb[]) as essay (essay_id, suggestions)
"""


def read(text: str) -> list[Suggestion]:
    return [
        Suggestion(UUID(one["student_id"]), one["confidence"], tuple(one["match_reasons"]))
        for one in json.loads(text)
    ]


@settings(max_examples=10, deadline=None)
@given(essays=st.lists(some, min_size=20, max_size=60))
def test_suggestions_move_as_the_rule_says(
    migrated_database: str, essays: list[list[Suggestion]]
) -> None:
    after = asyncio.run(after_moving(migrated_database, essays))
    assert after == [moved_suggestions(one, GONE, INTO) for one in essays]


async def test_other_suggestions_of_the_classes_move_and_older_essays_have_none(
    stores: Stores, migrated_database: str
) -> None:
    room = await make_classroom(stores, 3, TEACHER)
    gone, into, third = room.students
    here = await make_batch(stores, None, 0.9, room=room)
    there = await make_batch(stores, 0.9)
    both = [Suggestion(third, 0.9, ()), Suggestion(gone, 0.5, ("name",))]
    set_ = "update associations set suggestions = $2 where essay_id = $1 returning 1"
    for essay_id in (here.essays[0], there.essays[0]):
        await rows(migrated_database, set_, essay_id, written(both))
    await rows(migrated_database, set_, here.essays[1], None)  # as an older version leaves it
    await stores.classes.merge_students(TEACHER, gone, into)
    found = await rows(migrated_database, "select essay_id, suggestions from associations")
    after = {row["essay_id"]: row["suggestions"] for row in found}
    assert read(after[here.essays[0]]) == moved_suggestions(both, gone, into)
    assert after[here.essays[1]] is None
    # Another teacher's class is none of theirs.
    assert read(after[there.essays[0]]) == both


# --- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("colliding", [True, False])
async def test_the_key_of_an_address_goes_along(
    stores: Stores, migrated_database: str, *, colliding: bool
) -> None:
    gone = await make_student(stores, TEACHER, new_student("A", "B", "Strauß@x.example"))
    into = await make_student(stores, TEACHER, new_student("C", "D"))
    if colliding:
        # As older versions left it: another student has the key.
        without = "update students set email_key = null where id = $1 returning 1"
        await rows(migrated_database, without, gone.id)
        holder = new_student("E", "F", "STRAUSS@x.example")
        await make_student(stores, TEACHER, holder)
    merged = await stores.classes.merge_students(TEACHER, gone.id, into.id)
    assert merged.email == "Strauß@x.example"
    query = "select email, email_key, keyed_email from students where id = $1"
    [row] = await rows(migrated_database, query, into.id)
    key = None if colliding else "strauss@x.example"
    assert tuple(row.values()) == (merged.email, key, merged.email)


# --- what is remembered ------------------------------------------------------------------------


async def test_a_correction_is_remembered(stores: Stores, migrated_database: str) -> None:
    batch = await decided(stores)
    first, other = batch.room.students[:2]
    before = len(await changes(migrated_database))
    for student_id in (first, other):  # the first is the one that is decided
        await stores.associations.correct(TEACHER, batch.id, batch.essays[0], student_id)
    [change] = (await changes(migrated_database))[before:]
    decision = {"validation_status": "confirmed", "validation_method": "human"}
    by = {"validated_by": TEACHER.user_id}
    assert (change["entity"], change["kind"]) == ("association", "updated")
    assert (change["entity_id"], change["class_id"]) == (batch.essays[0], batch.room.id)
    assert (change["owner_id"], change["by_user"]) == (TEACHER.user_id, TEACHER.user_id)
    assert change["correlation_id"] == TEACHER.trace.correlation_id
    assert change["before"] == {"student_id": str(first), **decision, **by}
    assert change["after"] == {"student_id": str(other), **decision, **by}


async def test_a_merge_is_remembered(stores: Stores, migrated_database: str) -> None:
    batch = await decided(stores)
    gone, into = batch.room.students[:2]
    elsewhere = await make_class(stores, TEACHER)
    joins = StudentChange(add_class_ids=(elsewhere.id,))
    await stores.classes.update_student(TEACHER, gone, joins)
    before = len(await changes(migrated_database))
    merged = await stores.classes.merge_students(TEACHER, gone, into)
    made = (await changes(migrated_database))[before:]
    found = {(c["entity"], c["kind"], c["entity_id"], c["class_id"], c["version"]) for c in made}
    assert len(found) == len(made)
    assert found == {
        ("student", "updated", into, None, merged.version),
        ("enrollment", "created", into, elsewhere.id, None),
        ("enrollment", "deleted", gone, elsewhere.id, None),
        ("enrollment", "deleted", gone, batch.room.id, None),
        ("student", "deleted", gone, None, 2),
        ("association", "updated", batch.essays[0], batch.room.id, None),
    }
    [essay] = [c for c in made if c["entity"] == "association"]
    assert essay["before"] == {"suggested_student_id": str(gone), "student_id": str(gone)}
    assert essay["after"] == {"suggested_student_id": str(into), "student_id": str(into)}


async def test_the_former_decision_stays_as_it_was(stores: Stores, migrated_database: str) -> None:
    batch = await decided(stores)
    await stores.elapse(A_DAY)
    other = batch.room.students[1]
    await stores.associations.correct(TEACHER, batch.id, batch.essays[0], other)
    await stores.associations.correct(TEACHER, batch.id, batch.essays[0], None)
    query = "select number, status, method, student_id from association_history order by number"
    assert [tuple(row.values()) for row in await rows(migrated_database, query)] == [
        (1, "confirmed", "human", batch.room.students[0]),
        (2, "confirmed", "human", other),
    ]
