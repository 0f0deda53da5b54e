"""Looking into the stream table of pending associations."""

from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from tests.support.http import MARK, Http, Teacher, no
from tests.support.kafka import PARTITIONS, Topics
from tests.support.suggestions import Suggested, suggest
from tests.support.waiting import until

TABLES: Final = "/internal/v1/tables"
PENDING: Final = f"{TABLES}/pending-associations"
ENTRY: Final = {
    "batch_id",
    "class_id",
    "pending_count",
    "confirm_by",
    "armed_at",
    "partition",
    "worker",
}


async def test_the_table_shows_what_waits_until_it_is_decided(
    http: Http, teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(2)
    class_id = roster.class_id
    proposals = [[(student, 0.9)] for student in roster.student_ids]
    batches = [suggest(class_id, *proposals) for _ in range(3)]
    for batch in batches:
        await topics.suggest(batch)
        await teacher.stored(batch.batch_id)
    other = suggest((await teacher.new_roster(0)).class_id, [])
    await topics.suggest(other)
    await teacher.stored(other.batch_id)
    entries = await listed(http, class_id, len(batches))
    await armed(http, other)

    assert [entry["batch_id"] for entry in entries] == [batch.batch_id for batch in batches]
    for entry in entries:
        assert entry.keys() == ENTRY
        assert (entry["class_id"], entry["pending_count"]) == (class_id, 2)
        assert 0 <= entry["partition"] < PARTITIONS
        deadline = datetime.fromisoformat(entry["confirm_by"])
        assert deadline.utcoffset() == timedelta(0)
    deadlines = [entry["confirm_by"] for entry in entries]
    assert deadlines == sorted(deadlines)

    paged: list[str] = []
    cursor: str | None = ""
    for _ in batches:
        page = await http.told(f"{PENDING}?limit=1&class_id={class_id}&cursor={cursor}")
        assert page["complete"] is True
        paged += [entry["batch_id"] for entry in page["entries"]]
        cursor = page["next_cursor"]
    assert (paged, cursor) == ([batch.batch_id for batch in batches], None)

    before_last = quote(deadlines[-1], safe="")
    soon = await http.told(f"{PENDING}?class_id={class_id}&due_before={before_last}")
    assert [entry["batch_id"] for entry in soon["entries"]] == paged[:-1]

    for batch in batches:
        shown = await http.told(f"{PENDING}/{batch.batch_id}")
        assert shown.pop("database") == {
            "pending_count": 2,
            "confirm_by": shown["confirm_by"],
            "closed_at": None,
        }
        assert shown in entries

    (table,) = (await http.told(TABLES))["tables"]
    assert (table["name"], table["partitions"]) == ("pending-associations", PARTITIONS)
    assert (table["complete"], table["entries"] >= len(batches) + 1) == (True, True)
    (worker,) = table["workers"]
    assert (worker["recovered"], worker["reachable"]) == (True, True)
    assert worker["changelog_lag"] == 0
    assert worker["partitions"] == list(range(PARTITIONS))

    for path in (TABLES, PENDING, f"{PENDING}/{other.batch_id}"):
        shown_text = (await http.internal(path)).body.decode()
        assert MARK not in shown_text
        assert teacher.id not in shown_text

    one, *_ = batches
    assert (await teacher.confirm(one.batch_id, no(one.essay_ids[0]))).status == 200
    await counted(http, one, 1)
    for batch in batches:
        reply = await teacher.confirm(batch.batch_id, *map(no, batch.essay_ids))
        assert reply.json["status"] == "confirmed"
    assert await listed(http, class_id, 0) == []
    reply = await http.internal(f"{PENDING}/{one.batch_id}")
    assert (reply.status, reply.json["error_code"]) == (404, "BATCH_NOT_FOUND")


async def test_the_tables_are_for_services_only(teacher: Teacher, topics: Topics) -> None:
    await topics.settle([])
    for path in (TABLES, PENDING, f"{PENDING}/{MARK}"):
        assert (await teacher.send("GET", path)).status == 401


async def listed(http: Http, class_id: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many entries of a class are in the table; return them."""
    entries: list[dict[str, Any]] = []

    async def look() -> bool:
        entries[:] = (await http.told(f"{PENDING}?class_id={class_id}"))["entries"]
        return len(entries) == count

    await until(f"{count} entries of class {class_id}", look)
    return entries


async def armed(http: Http, batch: Suggested) -> None:
    """Wait until a batch is in the table."""

    async def look() -> bool:
        return (await http.internal(f"{PENDING}/{batch.batch_id}")).status == 200

    await until(f"an entry of batch {batch.batch_id}", look)


async def counted(http: Http, batch: Suggested, pending: int) -> None:
    """Wait until the table knows how many essays of a batch wait."""

    async def look() -> bool:
        entry = await http.told(f"{PENDING}/{batch.batch_id}")
        return bool(entry["pending_count"] == entry["database"]["pending_count"] == pending)

    await until(f"{pending} pending essays in the entry of {batch.batch_id}", look)
