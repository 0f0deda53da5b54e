"""Timers outlive the worker that has them in its hands."""

import asyncio
import shutil
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import pytest

from devstack.rig.database import Database
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import CONFIRMED, TIMED_OUT, Topics
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import Suggested, suggest
from devstack.rig.waiting import until

#: Longer than a worker needs, as a rule, to come back twice.
TIMEOUT_SECONDS: Final = 18

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def settings() -> Mapping[str, str]:
    return {"TIMEOUT_HOURS": str(TIMEOUT_SECONDS / 3600)}


async def new_batch(teacher: Teacher, topics: Topics) -> Suggested:
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)], [])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id, essays=2)
    return batch


async def armed(http: Http, database: Database, batch: Suggested) -> None:
    """Wait for a batch's timer in the table, unless this machine is so slow that it ran out."""
    path = f"/internal/v1/tables/pending-associations/{batch.batch_id}"
    deadline = await database.deadline(batch.batch_id)

    async def look() -> bool:
        reply = await http.internal(path)
        if reply.status != 200:
            return await database.pending(batch.batch_id) == 0
        return datetime.fromisoformat(reply.json["confirm_by"]) == deadline

    await until(f"a timer of {batch.batch_id}", look)


async def test_timers_survive_a_crash_a_lost_folder_and_a_worker_that_was_away(
    host: Host,
    service: ServiceProcess,
    http: Http,
    teacher: Teacher,
    topics: Topics,
    database: Database,
) -> None:
    early = await new_batch(teacher, topics)
    await armed(http, database, early)
    service.kill()
    await asyncio.to_thread(service.again)
    await armed(http, database, early)

    late = await new_batch(teacher, topics)
    await armed(http, database, late)
    await asyncio.to_thread(service.end)
    shutil.rmtree(host.stack.data_dir)
    await asyncio.to_thread(service.again)
    await armed(http, database, early)
    await armed(http, database, late)

    await topics.expect(CONFIRMED, early.batch_id)
    service.kill()
    await database.passed(await database.deadline(late.batch_id))
    await asyncio.to_thread(service.again)
    event = await topics.expect_one(CONFIRMED, late.batch_id)
    assert event.data["timeout_triggered"] is True

    await topics.settle()
    for batch in (early, late):
        assert len({m.event_id for m in topics.now(CONFIRMED, batch.batch_id)}) == 1
        assert len({m.event_id for m in topics.now(TIMED_OUT, batch.batch_id)}) == 1
        assert await database.decided_early(batch.batch_id) == []
