"""Deadlines follow PostgreSQL's clock, and stay what they were when they were set."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from devstack.rig import shifted_clock
from devstack.rig.database import Database
from devstack.rig.http import Http
from devstack.rig.kafka import CONFIRMED, Topics
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import suggest
from devstack.rig.waiting import until

TIMEOUT_SECONDS: Final = 3
BATCHES: Final = 10
SHIFT: Final = timedelta(hours=1)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def settings() -> Mapping[str, str]:
    return {"TIMEOUT_HOURS": str(TIMEOUT_SECONDS / 3600)}


@pytest.fixture(params=[SHIFT, -SHIFT], ids=["ahead", "behind"])
def shifted(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    host: Host,
    service: ServiceProcess,
    topics: Topics,
    settings: Mapping[str, str],
) -> Iterator[ServiceProcess]:
    """Have the only worker be one whose clock is wrong."""
    assert topics is not None  # set up while the other worker runs
    service.end()
    folder = Path(next(iter(shifted_clock.__path__)))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("CLOCK_SHIFT_SECONDS", str(request.param.total_seconds()))
    worker = host.another(settings)
    try:
        yield worker
    finally:
        worker.stop()


async def test_a_worker_whose_clock_is_an_hour_wrong_decides_in_time(
    shifted: ServiceProcess, http: Http, topics: Topics, database: Database
) -> None:
    teacher = Http(http.session, shifted.port).teacher()
    roster = await teacher.new_roster(1)
    batches = [suggest(roster.class_id, [(roster.student_ids[0], 0.9)]) for _ in range(BATCHES)]
    for batch in batches:
        await topics.suggest(batch)
    for batch in batches:
        (event,) = await topics.expect(CONFIRMED, batch.batch_id)
        assert event.data["timeout_triggered"] is True
        assert await database.decided_early(batch.batch_id) == []
    lines = shifted.logged("decided by the clock")
    assert {line["found_by"] for line in lines} == {"timer"}
    wrong = datetime.fromisoformat(lines[-1]["timestamp"]) - datetime.now(UTC)
    assert abs(wrong) > SHIFT / 2, "the clock is not wrong at all"


async def test_another_timeout_holds_for_new_associations_only(
    host: Host, service: ServiceProcess, http: Http, topics: Topics
) -> None:
    assert service.pid is not None
    host.service({"TIMEOUT_HOURS": "5"})
    teacher = http.teacher()
    class_id = await teacher.new_class()
    old, new = suggest(class_id, []), suggest(class_id, [])
    await topics.suggest(old)
    (before,) = await teacher.stored(old.batch_id)

    host.service({"TIMEOUT_HOURS": "1"})
    await topics.suggest(new)
    (after,) = await teacher.stored(new.batch_id)
    (still,) = await teacher.stored(old.batch_id)
    assert still["confirm_by"] == before["confirm_by"]
    for found, hours in ((before, 5), (after, 1)):
        times = [datetime.fromisoformat(found[name]) for name in ("created_at", "confirm_by")]
        assert times[1] - times[0] == timedelta(hours=hours)

    async def entry() -> object:
        reply = await http.internal(f"/internal/v1/tables/pending-associations/{old.batch_id}")
        return reply.status == 200 and reply.json["confirm_by"]

    assert await until("the entry of the old batch", entry) == before["confirm_by"]
