"""Inspection of the stream tables."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID

import pytest

from rules.ids import new_id
from tests.integration.web.api import Api
from tests.integration.web.fakes import START, FakeTables, entry

PENDING = "/internal/v1/tables/pending-associations"
MEMBERS = {
    "batch_id",
    "class_id",
    "pending_count",
    "confirm_by",
    "armed_at",
    "partition",
    "worker",
}


@pytest.fixture
def tables(api: Api) -> FakeTables:
    api.setup.tables.entries = [entry(number) for number in range(7)]
    return api.setup.tables


async def test_tables_are_listed_with_their_workers(api: Api, tables: FakeTables) -> None:
    tables.partitions = (0, 3)
    [table] = (await api.internal("/internal/v1/tables")).json["tables"]
    worker = {
        "worker": "w1",
        "partitions": [0, 3],
        "entries": 7,
        "recovered": True,
        "changelog_lag": 0,
        "reachable": True,
    }
    assert table == {
        "name": "pending-associations",
        "entries": 7,
        "partitions": 8,
        "complete": False,
        "workers": [worker],
    }


async def test_entries_come_in_pages_soonest_first(api: Api, tables: FakeTables) -> None:
    seen: list[dict[str, object]] = []
    cursor: str | None = ""
    for size in (3, 3, 1):
        page = (await api.internal(f"{PENDING}?limit=3&cursor={cursor}")).json
        assert len(page["entries"]) == size
        assert page["complete"] is True
        seen += page["entries"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert all(one.keys() == MEMBERS for one in seen)
    order = sorted(tables.entries, key=lambda one: (one.confirm_by, one.batch_id))
    assert [one["batch_id"] for one in seen] == [str(one.batch_id) for one in order]


async def test_entries_are_a_hundred_by_default(api: Api, tables: FakeTables) -> None:
    assert (await api.internal(PENDING)).status == 200
    assert tables.queries[-1].limit == 100


async def test_entries_are_filtered(api: Api, tables: FakeTables) -> None:
    class_id = new_id()
    tables.entries[5] = replace(tables.entries[5], class_id=class_id)
    found = (await api.internal(f"{PENDING}?class_id={class_id}")).json["entries"]
    assert [UUID(one["batch_id"]) for one in found] == [tables.entries[5].batch_id]
    assert found[0]["confirm_by"] == "2026-03-01T12:02:00.000001Z"

    due = START + timedelta(minutes=1)
    for text in (due.isoformat(), "2026-03-01T13:01:00+01:00", "2026-03-01t12:01:00.000z"):
        for sent in (quote(text), text):  # a "+" is often left as it is
            await api.internal(f"{PENDING}?due_before={sent}")
            assert tables.queries[-1].due_before == due
    found = (await api.internal(f"{PENDING}?due_before={quote(due.isoformat())}")).json["entries"]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("cursor=x", "/cursor"),
        ("cursor=" + "A" * 31, "/cursor"),
        ("cursor=" + "A" * 33, "/cursor"),
        ("cursor=" + "_" * 31 + "%2F", "/cursor"),
        ("cursor=f" + "_" * 31, "/cursor"),  # an instant beyond the calendar
        ("class_id=x", "/class_id"),
        ("due_before=tomorrow", "/due_before"),
        ("due_before=2026-03-01", "/due_before"),
        ("due_before=2026-03-01T12:00:00", "/due_before"),
        ("due_before=2026-02-30T12:00:00Z", "/due_before"),
        ("due_before=0001-01-01T00:00:00%2B01:00", "/due_before"),
    ],
)
async def test_bad_query_is_refused_with_a_pointer(api: Api, query: str, pointer: str) -> None:
    reply = await api.internal(f"{PENDING}?{query}")
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == [pointer]


async def test_entry_stands_beside_what_the_database_says(api: Api, tables: FakeTables) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student(class_ids=(class_id,))
    batch_id, _ = await api.new_batch(class_id, student_id, None)
    tables.entries[0] = replace(tables.entries[0], batch_id=UUID(batch_id))
    shown = (await api.internal(f"{PENDING}/{batch_id}")).json
    assert shown.keys() == {*MEMBERS, "database"}
    own = tables.entries[0]
    assert (shown["batch_id"], shown["worker"]) == (batch_id, "w1")
    assert shown["partition"] == own.partition
    confirm_by = (await api.get(f"/v1/batches/{batch_id}/student-associations")).json["confirm_by"]
    database = {"pending_count": 2, "confirm_by": confirm_by, "closed_at": None}
    assert shown["database"] == database


async def test_entry_that_the_database_does_not_know_is_shown(api: Api, tables: FakeTables) -> None:
    shown = await api.internal(f"{PENDING}/{tables.entries[0].batch_id}")
    assert (shown.status, shown.json["database"]) == (200, None)


async def test_entry_that_is_not_there_is_404(api: Api) -> None:
    (await api.internal(f"{PENDING}/{new_id()}")).problem(404, "BATCH_NOT_FOUND")
