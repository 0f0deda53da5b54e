"""Looking into the stream table of pending associations, over HTTP and on the command line."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import orjson
import pytest

from devstack.rig.http import MARK, Http, Teacher, no
from devstack.rig.kafka import PARTITIONS, Topics
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import Suggested, suggest
from devstack.rig.waiting import until
from devstack.rig.workers import both_hold_partitions, partitions_of
from tests.support.command_line import call

TABLES: Final = "/internal/v1/tables"
PENDING: Final = f"{TABLES}/pending-associations"
DRIFT: Final = f"{PENDING}/drift"
BATCHES: Final = 16
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
    # A worker that an earlier test has killed is not forgotten at once.
    await whole(http, workers=1)
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
        page = await http.internal_json(f"{PENDING}?limit=1&class_id={class_id}&cursor={cursor}")
        assert page["complete"] is True
        paged += [entry["batch_id"] for entry in page["entries"]]
        cursor = page["next_cursor"]
    assert (paged, cursor) == ([batch.batch_id for batch in batches], None)

    before_last = quote(deadlines[-1], safe="")
    soon = await http.internal_json(f"{PENDING}?class_id={class_id}&due_before={before_last}")
    assert [entry["batch_id"] for entry in soon["entries"]] == paged[:-1]

    for batch in batches:
        shown = await http.internal_json(f"{PENDING}/{batch.batch_id}")
        assert shown.pop("database") == {
            "pending_count": 2,
            "confirm_by": shown["confirm_by"],
            "closed_at": None,
        }
        assert shown in entries

    # The changelog is written a moment after the table.
    table = await overview(
        http,
        lambda table: [w["changelog_lag"] for w in table["workers"]] == [0],
        "one worker with all of its changelog",
    )
    assert (table["name"], table["partitions"]) == ("pending-associations", PARTITIONS)
    assert (table["complete"], table["entries"] >= len(batches) + 1) == (True, True)
    (worker,) = table["workers"]
    assert (worker["recovered"], worker["reachable"]) == (True, True)
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
    for path in (TABLES, PENDING, DRIFT, f"{PENDING}/{MARK}"):
        assert (await teacher.send("GET", path)).status == 401


# --- several workers ------------------------------------------------------------------------------


@pytest.mark.timeout(300)
async def test_any_worker_answers_for_all_and_says_so_while_one_is_missing(
    second: ServiceProcess, http: Http, teacher: Teacher, topics: Topics
) -> None:
    await both_hold_partitions(http, second)
    there = Http(http.session, second.port)
    class_id, batch_ids = await armed_batches(teacher, topics)
    for asked in (http, there):
        await whole(asked, workers=2)
        assert await all_pages(asked, class_id) == batch_ids
        for batch_id in batch_ids:
            assert (await asked.internal(f"{PENDING}/{batch_id}")).status == 200
    shown = (await http.internal_json(f"{PENDING}?class_id={class_id}"))["entries"]
    assert len({entry["worker"] for entry in shown}) == 2

    second.kill()
    await without(http, second, class_id, batch_ids)
    await taken_over(http, class_id, batch_ids)


@pytest.mark.timeout(300)
async def test_a_frozen_worker_holds_up_no_answer(
    second: ServiceProcess, http: Http, teacher: Teacher, topics: Topics
) -> None:
    await both_hold_partitions(http, second)
    class_id, batch_ids = await armed_batches(teacher, topics)
    await whole(http, workers=2)
    second.pause()
    try:
        await without(http, second, class_id, batch_ids)
        await taken_over(http, class_id, batch_ids)
    finally:
        second.resume()
    # It is back in the list with its next announcement, whoever holds the partitions by then.
    await whole(http, workers=2)
    assert await all_pages(http, class_id) == batch_ids


async def test_a_worker_that_stops_is_gone_from_the_list(
    second: ServiceProcess, http: Http
) -> None:
    await both_hold_partitions(http, second)
    await whole(http, workers=2)
    second.end()
    await whole(http, workers=1)


async def armed_batches(teacher: Teacher, topics: Topics) -> tuple[str, list[str]]:
    """Have batches of a class waiting in the table; return them by their deadlines."""
    class_id = (await teacher.new_roster(0)).class_id
    batches = [suggest(class_id, []) for _ in range(BATCHES)]
    for batch in batches:
        await topics.suggest(batch)
    entries = await listed(teacher.http, class_id, BATCHES)
    return class_id, [entry["batch_id"] for entry in entries]


async def all_pages(http: Http, class_id: str) -> list[str]:
    """Follow the cursors; every page is complete."""
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await http.internal_json(f"{PENDING}?limit=3&class_id={class_id}&cursor={cursor}")
        assert page["complete"] is True
        seen += [entry["batch_id"] for entry in page["entries"]]
        cursor = page["next_cursor"]
    return seen


async def overview(http: Http, fits: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    """Wait until the overview is as it should be; return it."""
    table: dict[str, Any] = {}

    async def look() -> bool:
        (found,) = (await http.internal_json(TABLES))["tables"]
        table.update(found)
        return fits(found)

    await until(what, look, lambda: table)
    return table


async def whole(http: Http, workers: int) -> None:
    """Wait until an overview shows so many workers, and all of the table."""
    await overview(
        http,
        lambda table: table["complete"] is True and len(table["workers"]) == workers,
        f"{workers} workers with all of the table",
    )


async def without(
    http: Http, missing: ServiceProcess, class_id: str, batch_ids: Sequence[str]
) -> None:
    """See that the rest is shown, and marked, while a worker does not answer."""

    def alone(table: dict[str, Any]) -> bool:
        reachable = {w["worker"].rpartition(":")[2]: w["reachable"] for w in table["workers"]}
        return reachable == {str(http.port): True, str(missing.port): False}

    await overview(
        http, lambda table: alone(table) and table["complete"] is False, "a missing worker"
    )
    page = await http.internal_json(f"{PENDING}?class_id={class_id}")
    found = {entry["batch_id"] for entry in page["entries"]}
    # Others may have taken its place by now.
    assert found == set(batch_ids) if page["complete"] else found <= set(batch_ids)
    for batch_id in batch_ids:
        # Not 404: whoever could say so is away, or has just come into its place.
        assert (await http.internal(f"{PENDING}/{batch_id}")).status in {200, 503}


async def taken_over(http: Http, class_id: str, batch_ids: Sequence[str]) -> None:
    """Wait until the worker that is left has everything, and the other one is forgotten."""

    async def alone() -> bool:
        return await partitions_of(http) == PARTITIONS

    await until("the worker that is left to hold all partitions", alone)
    await whole(http, workers=1)
    assert await all_pages(http, class_id) == batch_ids
    assert (await http.internal(f"{PENDING}/{uuid4()}")).status == 404


# --- drift, on the command line -------------------------------------------------------------------


async def test_drift_is_found_and_repaired_on_the_command_line(
    host: Host, http: Http, teacher: Teacher, topics: Topics
) -> None:
    class_id, batch_ids = await armed_batches(teacher, topics)
    lost, wrong, *_ = batch_ids
    stale = str(uuid4())
    later = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    timer = {"event": "armed", "class_id": class_id, "pending_count": 7}
    await topics.send_timer(lost, event="cleared")
    await topics.send_timer(wrong, confirm_by=later, armed_at=later, **timer)
    await topics.send_timer(stale, confirm_by=later, armed_at=later, **timer)

    async def found() -> dict[str, int]:
        drift = orjson.loads((await tables(host, "check", "--json", code=None))[0])
        counts = {kind: drift[kind] for kind in ("missing", "different", "stale")}
        return counts if counts == {"missing": 1, "different": 1, "stale": 1} else {}

    await until("the drift that this test made", found)
    out, _ = await tables(host, "check", code=1)
    assert {lost, wrong, stale} <= set(out.split())
    assert "3 differ" in out
    out, _ = await tables(host, "show", stale, code=1)
    assert "the entry is stale" in out
    out, _ = await tables(host, "show", wrong, code=1)
    assert "Table and PostgreSQL differ" in out

    out, _ = await tables(host, "repair", code=0)
    assert "3 mended" in out

    async def agreed() -> bool:
        return "agree" in (await tables(host, "check", code=None))[0]

    await until("table and database to agree", agreed)
    await listed(http, class_id, BATCHES)
    out, _ = await tables(host, "show", lost, code=0)
    assert "Table and PostgreSQL agree" in out
    out, _ = await tables(host, "list", "--class-id", class_id, code=0)
    assert [word for word in out.split() if word in batch_ids] == batch_ids
    shown, told = await tables(host, code=0)
    assert "8 partitions, 1 worker" in shown
    assert (MARK in shown, told) == (False, "")


async def tables(host: Host, *arguments: str, code: int | None) -> tuple[str, str]:
    """Run `class-management tables`; return what it wrote."""
    done = await call("tables", *arguments, environ=host.command_environ())
    assert code is None or done.code == code, done
    return done.out, done.err


# --- waiting --------------------------------------------------------------------------------------


async def listed(http: Http, class_id: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many entries of a class are in the table; return them."""
    entries: list[dict[str, Any]] = []

    async def look() -> bool:
        entries[:] = (await http.internal_json(f"{PENDING}?class_id={class_id}"))["entries"]
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
        entry = await http.internal_json(f"{PENDING}/{batch.batch_id}")
        return bool(entry["pending_count"] == entry["database"]["pending_count"] == pending)

    await until(f"{pending} pending essays in the entry of {batch.batch_id}", look)
