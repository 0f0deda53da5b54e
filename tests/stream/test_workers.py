"""Several workers share the work, and one takes over from another that is gone."""

import asyncio
from collections.abc import Mapping
from typing import Final

import pytest

from devstack.rig.database import Database
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import CONFIRMED, PARTITIONS, TIMED_OUT, Topics
from devstack.rig.outages import frozen
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import suggest
from devstack.rig.waiting import until
from devstack.rig.workers import both_hold_partitions, partitions_of

TIMEOUT_SECONDS: Final = 8
BATCHES: Final = 40
IN_HAND_SECONDS: Final = 4

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def settings() -> Mapping[str, str]:
    return {"TIMEOUT_HOURS": str(TIMEOUT_SECONDS / 3600)}


@pytest.mark.parametrize("crash", [False, True])
async def test_a_rebalance_while_suggestions_wait_for_postgresql_loses_none(
    host: Host, second: ServiceProcess, http: Http, teacher: Teacher, topics: Topics, *, crash: bool
) -> None:
    await both_hold_partitions(http, second)
    class_id = await teacher.new_class()
    batches = [suggest(class_id, [], []) for _ in range(BATCHES)]
    async with frozen(host.server("postgres")):
        for batch in batches:
            await topics.suggest(batch)
        # Long enough for both to have some in hand, and for Faust to commit, if it would.
        await asyncio.sleep(IN_HAND_SECONDS)
        await asyncio.to_thread(second.kill if crash else second.end)
        await asyncio.sleep(IN_HAND_SECONDS)
    for batch in batches:
        await teacher.stored(batch.batch_id, essays=2)


async def test_a_killed_workers_timers_go_to_the_other_one(
    second: ServiceProcess,
    http: Http,
    teacher: Teacher,
    topics: Topics,
    database: Database,
) -> None:
    await both_hold_partitions(http, second)
    roster = await teacher.new_roster(1)
    batches = [suggest(roster.class_id, [(roster.student_ids[0], 0.9)]) for _ in range(BATCHES)]
    for batch in batches:
        await topics.suggest(batch)
    for batch in batches:
        await teacher.stored(batch.batch_id)
    second.kill()
    for batch in batches:
        event = await topics.expect_one(CONFIRMED, batch.batch_id)
        assert event.data["timeout_triggered"] is True
    await topics.settle()
    for batch in batches:
        assert len({m.event_id for m in topics.now(CONFIRMED, batch.batch_id)}) == 1
        assert len({m.event_id for m in topics.now(TIMED_OUT, batch.batch_id)}) == 1
        assert await database.decided_early(batch.batch_id) == []

    async def alone() -> bool:
        return await partitions_of(http) == PARTITIONS

    await until("the worker that is left to hold all partitions", alone)
