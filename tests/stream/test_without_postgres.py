"""USE_MOCK_REPOSITORY: the service with no PostgreSQL."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

import orjson
import pytest

from devstack.ports import free_port
from devstack.rig.http import Http, Teacher, no, yes
from devstack.rig.kafka import (
    COMMAND_RESULTS,
    COMMANDS,
    CONFIRMED,
    DEAD_SUGGESTIONS,
    TIMED_OUT,
    Topics,
    reading,
)
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import sample, suggest
from tests.support.commands import envelope

TIMEOUT_SECONDS: Final = 8
NOWHERE: Final = f"postgresql://nobody:nothing@127.0.0.1:{free_port()}/nothing"


@pytest.fixture
def settings() -> Mapping[str, str]:
    return {
        "USE_MOCK_REPOSITORY": "true",
        "DATABASE_URL": NOWHERE,
        "TIMEOUT_HOURS": str(TIMEOUT_SECONDS / 3600),
        "SUGGESTION_RETRY_SECONDS": "1",
    }


@pytest.fixture
async def topics(host: Host, service: ServiceProcess) -> AsyncIterator[Topics]:
    """Read the topics from their beginning; what waits in memory can't be seen from outside."""
    assert service.pid is not None
    assert host.stack.broker is not None

    async def drained() -> None:
        pass

    async with reading(host.stack.broker.bootstrap_servers, drained) as topics:
        yield topics


async def test_the_api_and_the_agents_work_without_postgresql(
    http: Http, teacher: Teacher, topics: Topics
) -> None:
    assert (await http.health("/readyz"))[0] == 200
    roster = await teacher.new_roster(6)
    digits = [f"{0x64 + number:x}" for number in range(6)]
    known = {"1": roster.class_id, **dict(zip(digits, roster.student_ids, strict=True))}
    by_clock = sample(1, known)
    by_hand = suggest(roster.class_id, [(roster.student_ids[0], 0.9)], [])
    await topics.suggest(by_clock)
    await topics.suggest(by_hand)
    await topics.send(b"{", key=by_hand.batch_id)
    await teacher.stored(by_clock.batch_id, essays=6)
    await teacher.stored(by_hand.batch_id, essays=2)
    first, second = by_hand.essay_ids
    reply = await teacher.confirm(by_hand.batch_id, yes(first), no(second))
    assert (reply.status, reply.json["status"]) == (200, "confirmed")
    event = await topics.expect_one(CONFIRMED, by_hand.batch_id)
    assert event.data["timeout_triggered"] is False
    await topics.expect(DEAD_SUGGESTIONS, by_hand.batch_id)

    command = envelope("class.update", teacher.id, class_id=roster.class_id, name="9C")
    await topics.send(orjson.dumps(command), teacher.id, topic=COMMANDS)
    result = await topics.expect_one(COMMAND_RESULTS, command["event_id"])
    assert result.data["status"] == "applied"
    assert (await teacher.done("GET", f"/v1/classes/{roster.class_id}"))["name"] == "9C"

    event = await topics.expect_one(CONFIRMED, by_clock.batch_id)
    timeout = await topics.expect_one(TIMED_OUT, by_clock.batch_id)
    given = {a["essay_id"]: a["student_id"] for a in event.data["associations"]}
    assert [given[essay] for essay in by_clock.essay_ids[:3]] == list(roster.student_ids[:3])
    (unknown,) = {given[essay] for essay in by_clock.essay_ids[3:]}
    assert unknown not in roster.student_ids
    assert sorted(timeout.data["guest_essays"]) == sorted(by_clock.essay_ids[3:])
    names = await http.internal_json(f"/internal/v1/batches/{by_clock.batch_id}/student-names")
    assert {n["essay_id"]: n["student_id"] for n in names} == given
