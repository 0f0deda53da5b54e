"""Whatever happens to the table's files and its changelog, it heals by itself and says so."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from devstack.rig.database import Database
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import CONFIRMED, PARTITIONS, Topics
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import Json, Suggested, suggest
from devstack.rig.waiting import until
from tables.layout import MARKER
from tables.names import changelog_topic

PENDING: Final = "/internal/v1/tables/pending-associations"
CHANGELOG: Final = changelog_topic("class-management-service")
BATCHES: Final = 20

RECONCILED: Final = "reconciled"
RESTORED: Final = "table restored from its changelog"
DAMAGED: Final = "table partition is damaged, built anew from its changelog"
OTHER_LAYOUT: Final = "tables have another layout, built anew"
NEW_CHANGELOG: Final = "the table's changelog was missing, made anew"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def settings() -> Mapping[str, str]:
    return {"RECONCILE_INTERVAL_SECONDS": "3600"}


@pytest.fixture
async def waiting(
    service: ServiceProcess, teacher: Teacher, topics: Topics
) -> AsyncIterator[list[Json]]:
    """Have batches in the table; at the end of the test none of them may have been decided."""
    assert service.pid is not None
    roster = await teacher.new_roster(1)
    batches = [suggest(roster.class_id, [(roster.student_ids[0], 0.9)]) for _ in range(BATCHES)]
    for batch in batches:
        await topics.suggest(batch)
    yield [await entry_of(teacher.http, batch) for batch in batches]
    for batch in batches:
        (found,) = await teacher.stored(batch.batch_id)
        assert found["validation_status"] == "pending_validation"


async def entry_of(http: Http, batch: Suggested) -> Json:
    """Wait until a batch has an entry; return it."""

    async def look() -> Json:
        reply = await http.internal(f"{PENDING}/{batch.batch_id}")
        return dict(reply.json) if reply.status == 200 else {}

    return await until(f"an entry of {batch.batch_id}", look)


async def as_before(http: Http, entries: list[Json]) -> None:
    """Wait until the table says the same as before of each of these batches."""

    async def all_alike() -> bool:
        for entry in entries:
            reply = await http.internal(f"{PENDING}/{entry['batch_id']}")
            wanted = {name: entry[name] for name in ("pending_count", "confirm_by", "class_id")}
            if reply.status != 200 or not wanted.items() <= reply.json.items():
                return False
        return True

    await until("the entries to be as before", all_alike)


def tables(host: Host) -> Path:
    """Return the folder of the table's files."""
    return host.stack.data_dir / "v1" / "tables"


def said(service: ServiceProcess, event: str) -> int:
    """Return how many lines of a kind the worker has logged."""
    return len(service.logged(event))


async def without_changelog(host: Host) -> None:
    """Delete the changelog topic."""
    assert host.stack.broker is not None
    admin = AIOKafkaAdminClient(bootstrap_servers=host.stack.broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([CHANGELOG])

        async def gone() -> bool:
            return CHANGELOG not in await admin.list_topics()

        await until("the changelog to be gone", gone)
    finally:
        await admin.close()


async def changelog_keys(host: Host) -> int:
    """Return how many keys the changelog holds."""
    assert host.stack.broker is not None
    consumer = AIOKafkaConsumer(
        bootstrap_servers=host.stack.broker.bootstrap_servers, fetch_max_wait_ms=100
    )
    await consumer.start()
    try:
        places = [TopicPartition(CHANGELOG, p) for p in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        keys: dict[bytes, bool] = {}
        while found := await consumer.getmany(timeout_ms=1000):
            keys |= {r.key: r.value is not None for rs in found.values() for r in rs}
        return sum(keys.values())
    finally:
        await consumer.stop()


async def test_a_lost_directory_comes_back_from_the_changelog(
    host: Host, service: ServiceProcess, http: Http, waiting: list[Json]
) -> None:
    service.end()
    shutil.rmtree(tables(host))
    before = said(service, RESTORED)
    await asyncio.to_thread(service.start)
    await as_before(http, waiting)
    assert said(service, RESTORED) == before + 1
    (*_, line) = service.logged(RESTORED)
    assert line["records"] >= BATCHES
    assert line["unfinished"] == []
    # From the changelog, not armed anew by the reconciler.
    for entry in waiting:
        now = (await http.internal(f"{PENDING}/{entry['batch_id']}")).json
        assert now["armed_at"] == entry["armed_at"]


async def test_with_its_directory_the_changelog_is_not_read_again(
    service: ServiceProcess, http: Http, waiting: list[Json]
) -> None:
    before = said(service, RESTORED)
    await asyncio.to_thread(service.again)
    await as_before(http, waiting)
    assert said(service, RESTORED) == before


async def test_a_lost_changelog_is_made_anew_and_filled(
    host: Host, service: ServiceProcess, http: Http, waiting: list[Json]
) -> None:
    service.end()
    await without_changelog(host)
    await asyncio.to_thread(service.start)
    await as_before(http, waiting)
    assert said(service, NEW_CHANGELOG) >= 1


async def test_a_lost_directory_and_changelog_come_back_from_postgresql(
    host: Host, service: ServiceProcess, http: Http, waiting: list[Json]
) -> None:
    service.end()
    shutil.rmtree(tables(host))
    await without_changelog(host)
    before = said(service, RECONCILED)
    await asyncio.to_thread(service.start)
    await as_before(http, waiting)

    async def mended() -> bool:
        # A rebalance begins another comparison, which finds the rest, or nothing.
        lines = service.logged(RECONCILED)[before:]
        return bool(sum(line["mended"] for line in lines) >= BATCHES)

    await until("the reconciler to say what it mended", mended)

    async def written() -> bool:
        return await changelog_keys(host) >= BATCHES

    await until("all entries in the changelog", written)


async def test_a_directory_of_another_layout_is_built_anew(
    host: Host, service: ServiceProcess, http: Http, waiting: list[Json]
) -> None:
    service.end()
    (tables(host) / MARKER).write_text('{"format": 2, "partitions": 3}')
    before = said(service, OTHER_LAYOUT), said(service, RESTORED)
    await asyncio.to_thread(service.start)
    await as_before(http, waiting)
    assert (said(service, OTHER_LAYOUT), said(service, RESTORED)) == (before[0] + 1, before[1] + 1)


def garble(file: Path) -> None:
    """Change what stands at the beginning of a file, which RocksDB sees only when it reads that."""
    with file.open("r+b") as out:
        out.write(b"nonsense")


@pytest.mark.parametrize(
    ("pattern", "harm"),
    [
        ("*.sst", garble),
        ("MANIFEST-*", Path.unlink),
        ("CURRENT", lambda file: file.write_bytes(b"nonsense")),
    ],
    ids=["garbled data", "no manifest", "garbled pointer"],
)
async def test_damaged_files_are_built_anew(
    host: Host,
    service: ServiceProcess,
    http: Http,
    waiting: list[Json],
    pattern: str,
    harm: Callable[[Path], object],
) -> None:
    await asyncio.to_thread(service.again)  # RocksDB writes its log into files of data
    service.end()
    harmed = [file for folder in tables(host).glob("*.db") for file in folder.glob(pattern)]
    for file in harmed:
        harm(file)
    before = said(service, RESTORED), said(service, DAMAGED)
    await asyncio.to_thread(service.start)
    await as_before(http, waiting)
    assert said(service, RESTORED) == before[0] + 1
    assert said(service, DAMAGED) == before[1] + len({file.parent for file in harmed})


async def test_a_lost_log_of_rocksdb_is_made_up_for(
    host: Host, service: ServiceProcess, http: Http, waiting: list[Json]
) -> None:
    service.kill()
    for file in tables(host).glob("*.db/*.log"):
        file.unlink()
    before = said(service, RESTORED)
    await asyncio.to_thread(service.start)
    await as_before(http, waiting)
    assert said(service, RESTORED) == before + 1


async def test_a_start_after_a_crash_is_not_held_up_by_a_lock(
    service: ServiceProcess, http: Http, waiting: list[Json]
) -> None:
    service.kill()
    await asyncio.to_thread(service.start)
    await as_before(http, waiting)
    assert "locked! Retry" not in service.log


async def test_what_heals_is_decided_once_and_in_time(
    host: Host,
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    database: Database,
) -> None:
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    await topics.suggest(batch)
    entry = await entry_of(teacher.http, batch)
    assert datetime.fromisoformat(entry["confirm_by"]) > datetime.now(UTC) + timedelta(hours=1)
    service.end()
    shutil.rmtree(tables(host))
    await without_changelog(host)
    await asyncio.to_thread(service.start)
    await entry_of(teacher.http, batch)
    await database.elapse(batch.batch_id)
    event = await topics.expect_one(CONFIRMED, batch.batch_id)
    assert event.data["timeout_triggered"] is True
    assert await database.decided_early(batch.batch_id) == []
    assert len(await topics.all_of(CONFIRMED, batch.batch_id)) == 1
