"""The table of timers and PostgreSQL are brought together whatever happened to the table."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import pytest

from devstack.rig.database import Database
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import CONFIRMED, Topics
from devstack.rig.suggestions import Json, Suggested, suggest
from devstack.rig.waiting import until

PENDING: Final = "/internal/v1/tables/pending-associations"


@pytest.fixture
def settings() -> Mapping[str, str]:
    return {"RECONCILE_INTERVAL_SECONDS": "1"}


async def pending_batch(teacher: Teacher, topics: Topics) -> Suggested:
    """Have a batch of two essays waiting, with an entry in the table."""
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)], [])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id, essays=2)
    await entry_like(teacher.http, batch.batch_id)
    return batch


async def entry_of(http: Http, batch_id: str) -> Json:
    """Return what the table and, beside it, the database say of a batch; {} for nothing."""
    reply = await http.internal(f"{PENDING}/{batch_id}")
    return dict(reply.json) if reply.status == 200 else {}


async def entry_like(
    http: Http, batch_id: str, fits: Callable[[Json], bool] = lambda _: True
) -> Json:
    """Wait until a batch has an entry that fits."""

    async def look() -> Json:
        entry = await entry_of(http, batch_id)
        return entry if entry and fits(entry) else {}

    return await until(f"the right entry of {batch_id}", look)


async def without_entry(http: Http, batch_id: str) -> None:
    """Wait until a batch has no entry."""

    async def look() -> bool:
        return not await entry_of(http, batch_id)

    await until(f"no entry of {batch_id}", look)


async def armed_again(http: Http, right: Json, *not_before: str) -> None:
    """Wait until a batch has the entry that it had, from a later time than the others."""
    same = {member: right[member] for member in ("pending_count", "confirm_by", "database")}
    old = {right["armed_at"], *not_before}
    await entry_like(
        http,
        right["batch_id"],
        lambda entry: entry["armed_at"] not in old and entry.items() >= same.items(),
    )


async def mended(http: Http) -> float:
    """Return how many timers the reconciler has mended so far."""
    return await http.metric("reconciled_batches_total")


async def test_a_missing_timer_is_armed_again(teacher: Teacher, topics: Topics) -> None:
    batch = await pending_batch(teacher, topics)
    right = await entry_of(teacher.http, batch.batch_id)
    before = await mended(teacher.http)
    await topics.send_timer(batch.batch_id, event="cleared")
    await armed_again(teacher.http, right)
    assert await mended(teacher.http) > before


async def test_a_timer_that_runs_out_too_late_is_set_right(
    teacher: Teacher, topics: Topics
) -> None:
    batch = await pending_batch(teacher, topics)
    right = await entry_of(teacher.http, batch.batch_id)
    before = await mended(teacher.http)
    wrong = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    await topics.send_timer(batch.batch_id, **wrong_timer(right["class_id"], wrong))
    await armed_again(teacher.http, right, wrong)
    assert await mended(teacher.http) > before


async def test_a_timer_that_runs_out_too_soon_decides_nothing_and_is_set_right(
    teacher: Teacher, topics: Topics
) -> None:
    batch = await pending_batch(teacher, topics)
    right = await entry_of(teacher.http, batch.batch_id)
    wrong = datetime.now(UTC).isoformat()
    await topics.send_timer(batch.batch_id, **wrong_timer(right["class_id"], wrong))
    await armed_again(teacher.http, right, wrong)
    found = await teacher.stored(batch.batch_id, essays=2)
    assert {a["validation_status"] for a in found} == {"pending_validation"}


async def test_a_timer_of_nothing_is_cleared(http: Http, topics: Topics) -> None:
    batch_id = str(uuid4())
    before = await mended(http)
    later = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    await topics.send_timer(batch_id, **wrong_timer(str(uuid4()), later))

    async def has_mended() -> bool:
        return await mended(http) > before

    await until("the reconciler to find it", has_mended)
    await without_entry(http, batch_id)


async def test_a_batch_without_a_timer_is_decided_all_the_same(
    teacher: Teacher, topics: Topics, database: Database
) -> None:
    batch = await pending_batch(teacher, topics)
    await topics.send_timer(batch.batch_id, event="cleared")
    await database.elapse(batch.batch_id)
    event = await topics.expect_one(CONFIRMED, batch.batch_id)
    assert event.data["timeout_triggered"] is True
    await without_entry(teacher.http, batch.batch_id)
    assert len(await topics.all_of(CONFIRMED, batch.batch_id)) == 1


def wrong_timer(class_id: str, deadline: str) -> Json:
    """Return a timer message with a deadline that nothing in the database has."""
    return {
        "event": "armed",
        "class_id": class_id,
        "pending_count": 7,
        "confirm_by": deadline,
        "armed_at": deadline,
    }
