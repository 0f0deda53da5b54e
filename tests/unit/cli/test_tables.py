"""`class-management tables`, against the service's own views with workers that a test makes up."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from class_management.settings import PREFIX
from rules.ids import new_id
from rules.models import Policy
from store.protocols.workers import WorkerRecord
from tables.entries import Reconciliation, TableEntry
from tests.integration.store.builders import Stores
from tests.integration.web.api import INTERNAL_KEY, Api, Setup, serving
from tests.integration.web.fakes import PARTITIONS, FakeReconciler, FakeTables, entry, partition_of
from tests.support.command_line import Done, call, environ, nowhere
from tests.support.stores import memory_stores

NO, TROUBLE = 1, 2


async def command(*arguments: str, **settings: str | None) -> Done:
    """Run `class-management tables ...`."""
    own = environ({"INTERNAL_API_KEY": INTERNAL_KEY, **settings})
    return await call("tables", *arguments, environ=own)


class Comparing(FakeReconciler):
    """Finds the same in each comparison; begins a little after it was asked, and takes a moment."""

    def __init__(self, **counts: int) -> None:
        super().__init__()
        self.counts = counts
        self.examples: tuple[UUID, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()

    def request(self, *, repair: bool) -> None:
        super().request(repair=repair)
        task = asyncio.create_task(self._compare(repair=repair))
        self._tasks.add(task)

    async def _compare(self, *, repair: bool) -> None:
        await asyncio.sleep(0.3)
        figures = {"checked": 0, "missing": 0, "stale": 0, "different": 0, "mended": 0}
        now = datetime.now(UTC)
        self.last = Reconciliation(
            running=True, repair=repair, started_at=now, finished_at=None, examples=(), **figures
        )
        await asyncio.sleep(0.6)
        found = sum(count for kind, count in self.counts.items() if kind != "checked")
        done = {**figures, **self.counts, "mended": found if repair else 0}
        self.last = Reconciliation(
            running=False,
            repair=repair,
            started_at=now,
            finished_at=datetime.now(UTC),
            examples=self.examples,
            **done,
        )


@dataclass
class Cluster:
    a: Api
    b: Api
    stores: Stores

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.a.port}"

    async def run(self, *arguments: str) -> Done:
        return await command(*arguments, "--url", self.url)

    @property
    def entries(self) -> list[TableEntry]:
        return [entry for api in (self.a, self.b) for entry in api.setup.tables.entries]

    def lose_b(self) -> None:
        self.a.setup.peers.records = [
            replace(self.a.setup.peers.records[0], url=f"http://{nowhere()}")
        ]


def known(api: Api) -> list[WorkerRecord]:
    """Return the worker as it has announced itself."""
    tables = api.setup.tables
    held = tuple(tables.partitions)
    url = f"http://127.0.0.1:{api.port}"
    own = WorkerRecord(tables.worker, url, held, "1", "all", datetime.now(UTC))
    api.setup.peers.own = own
    return [own]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Have 234 batches on two workers, due from a minute ago on."""
    begin = datetime.now(UTC) - timedelta(minutes=1)
    entries = [
        replace(entry(n), confirm_by=begin + timedelta(minutes=n), pending_count=2)
        for n in range(234)
    ]
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(memory_stores(Policy()))
        apis = []
        for name, held in (("a:5002", range(5)), ("b:5002", range(5, PARTITIONS))):
            own = [replace(e, worker=name) for e in entries if e.partition in held]
            setup = Setup(
                stores,
                tables=FakeTables(own, name, held),
                reconciler=Comparing(checked=len(own)),
            )
            directory = tmp_path / name
            apis.append(await stack.enter_async_context(serving(setup, directory)))
        a, b = apis
        a.setup.peers.records, b.setup.peers.records = known(b), known(a)
        yield Cluster(a, b, stores)


def reconcilers(cluster: Cluster) -> Sequence[Comparing]:
    found = [api.setup.reconciler for api in (cluster.a, cluster.b)]
    assert isinstance(found[0], Comparing)
    assert isinstance(found[1], Comparing)
    return found[0], found[1]


# --- the overview ---------------------------------------------------------------------------------


async def test_the_overview_shows_who_holds_what(cluster: Cluster) -> None:
    done = await cluster.run()
    assert (done.code, done.err) == (0, "")
    first, head, a, b = done.out.splitlines()
    assert first == "pending-associations: 234 entries in 8 partitions, 2 workers"
    assert head.split() == ["worker", "partitions", "entries", "lag", "state"]
    on_a, on_b = (len(api.setup.tables.entries) for api in (cluster.a, cluster.b))
    assert a.split() == ["a:5002", "0-4", str(on_a), "0", "recovered"]
    assert b.split() == ["b:5002", "5-7", str(on_b), "0", "recovered"]


async def test_the_overview_says_who_does_not_answer(cluster: Cluster) -> None:
    cluster.lose_b()
    done = await cluster.run()
    assert done.code == 0
    assert done.err == "class-management: not complete: no answer from b:5002\n"
    assert done.out.splitlines()[-1].split()[:3] == ["b:5002", "5-7", "?"]
    assert done.out.rstrip().endswith("does not answer")
    as_json = await cluster.run("--json")
    assert as_json.json["tables"][0]["complete"] is False
    assert as_json.err == done.err


# --- entries --------------------------------------------------------------------------------------


async def test_entries_are_listed_soonest_first(cluster: Cluster) -> None:
    done = await cluster.run("list", "--limit", "3")
    assert (done.code, done.err) == (0, "")
    head, *lines, end = done.out.splitlines()
    assert head.split() == ["due", "in", "essays", "batch", "class", "part", "worker"]
    assert end == "3 entries; there are more: --limit or --all"
    ordered = sorted(
        (e for api in (cluster.a, cluster.b) for e in api.setup.tables.entries),
        key=lambda e: e.confirm_by,
    )
    for line, one in zip(lines, ordered, strict=False):
        assert f"{one.confirm_by:%Y-%m-%d %H:%M:%S}Z" in line
        assert f" {one.batch_id} " in line
        assert line.endswith(f" {one.partition}  {one.worker}")
    assert " ago " in lines[0]
    assert re.search(r"Z +\d+ s ", lines[2])


async def test_all_entries_come_page_by_page(cluster: Cluster) -> None:
    done = await cluster.run("list", "--all", "--json")
    assert (done.code, done.err, len(done.lines)) == (0, "", 234)
    deadlines = [one["confirm_by"] for one in done.lines]
    assert deadlines == sorted(deadlines)
    assert {one["worker"] for one in done.lines} == {"a:5002", "b:5002"}
    assert len({one["batch_id"] for one in done.lines}) == 234
    assert (await cluster.run("--json", "list")).out.count("\n") == 100
    assert (await cluster.run("list", "--all")).out.endswith("\n234 entries.\n")


async def test_entries_are_filtered(cluster: Cluster) -> None:
    one = cluster.b.setup.tables.entries[0]
    done = await cluster.run("list", "--json", "--class-id", str(one.class_id))
    assert [line["batch_id"] for line in done.lines] == [str(one.batch_id)]
    sixth = sorted(entry.confirm_by for entry in cluster.entries)[5]
    done = await cluster.run("list", "--due-before", sixth.isoformat())
    assert done.out.splitlines()[-1] == "5 entries."
    done = await cluster.run("list", "--class-id", str(new_id()))
    assert (done.code, done.out) == (0, "No entries.\n")


async def test_a_list_with_gaps_says_so(cluster: Cluster) -> None:
    cluster.lose_b()
    done = await cluster.run("list", "--all")
    assert (done.code, done.err) == (
        0,
        "class-management: not all workers answered: entries are missing\n",
    )
    assert "b:5002" not in done.out


async def test_bad_arguments_are_refused_in_the_services_own_words(cluster: Cluster) -> None:
    done = await cluster.run("list", "--due-before", "tomorrow")
    assert done.code == TROUBLE
    assert done.err == (
        f"class-management: {cluster.url} answers 400: "
        "due_before: Must be an RFC 3339 instant with an offset.\n"
    )


# --- one batch ------------------------------------------------------------------------------------


async def test_a_batch_is_shown_beside_the_database(cluster: Cluster) -> None:
    class_id = await cluster.a.new_class()
    tables = cluster.a.setup.tables
    batch_id, _ = await cluster.a.new_batch(class_id, None, None)
    while partition_of(UUID(batch_id)) not in tables.partitions:
        batch_id, _ = await cluster.a.new_batch(class_id, None, None)
    stored = await cluster.stores.timers.batch_states([UUID(batch_id)])
    confirm_by = stored[0].confirm_by
    assert confirm_by is not None
    tables.entries[0] = replace(tables.entries[0], batch_id=UUID(batch_id), confirm_by=confirm_by)
    done = await cluster.run("show", batch_id)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"batch {batch_id} of class {tables.entries[0].class_id}\n")
    assert done.out.endswith("\nTable and PostgreSQL agree.\n")
    assert re.search(r"pending essays +2 +2 *\n", done.out)
    assert re.search(rf"confirm by +({confirm_by:%Y-%m-%d %H:%M:%S}Z) +\1", done.out)
    assert (await cluster.run("show", batch_id, "--json")).json["database"]["pending_count"] == 2

    tables.entries[0] = replace(tables.entries[0], pending_count=7)
    done = await cluster.run("show", batch_id)
    assert done.code == NO
    assert "Table and PostgreSQL differ." in done.out
    assert done.out.endswith("class-management tables repair\n")


async def test_a_batch_that_the_database_does_not_know_is_stale(cluster: Cluster) -> None:
    done = await cluster.run("show", str(cluster.b.setup.tables.entries[0].batch_id))
    assert done.code == NO
    assert "PostgreSQL has no such batch: the entry is stale." in done.out


async def test_a_batch_that_is_not_there(cluster: Cluster) -> None:
    batch_id = new_id()
    done = await cluster.run("show", str(batch_id))
    assert (done.code, done.out) == (NO, "")
    assert done.err.startswith(f"class-management: the table has no batch {batch_id};")
    assert (await cluster.run("show", "x")).code == TROUBLE


async def test_a_batch_whose_worker_is_away_is_not_said_to_be_missing(cluster: Cluster) -> None:
    on_b = cluster.b.setup.tables.entries[0]
    cluster.lose_b()
    done = await cluster.run("show", str(on_b.batch_id))
    assert (done.code, done.out) == (TROUBLE, "")
    assert "answers 503: The worker that holds this part of the table does not answer" in done.err


# --- drift ----------------------------------------------------------------------------------------


async def test_a_check_waits_for_all_workers_and_finds_nothing(cluster: Cluster) -> None:
    done = await cluster.run("check")
    assert (done.code, done.err) == (0, "")
    assert done.out == "234 batches compared on 2 workers: table and PostgreSQL agree.\n"
    assert [one.requests for one in reconcilers(cluster)] == [[False], [False]]
    # A second one is not answered with the figures of the first.
    as_json = await cluster.run("check", "--json")
    assert (as_json.code, as_json.json["checked"], as_json.json["running"]) == (0, 234, False)
    assert [one.requests for one in reconcilers(cluster)] == [[False] * 2, [False] * 2]


async def test_a_check_that_finds_drift_says_how_to_mend_it(cluster: Cluster) -> None:
    a, b = reconcilers(cluster)
    a.counts, b.counts = {"checked": 9, "missing": 3}, {"checked": 9, "stale": 1, "different": 2}
    a.examples = (new_id(),)
    done = await cluster.run("check")
    assert (done.code, done.err) == (NO, "")
    assert done.out.startswith("18 batches compared on 2 workers: 6 differ.\n")
    for kind, count in (("missing", 3), ("stale", 1), ("different", 2)):
        assert re.search(rf"^{kind} +{count} ", done.out, re.MULTILINE)
    assert f"  {a.examples[0]}\n" in done.out
    assert done.out.endswith("To mend them: class-management tables repair\n")

    done = await cluster.run("repair")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith("6 mended")
    assert [one.requests for one in (a, b)] == [[False, True]] * 2


async def test_a_check_without_all_workers_proves_nothing(cluster: Cluster) -> None:
    cluster.lose_b()
    done = await cluster.run("check")
    assert done.code == TROUBLE
    assert done.err == "class-management: not complete: no answer from b:5002\n"
    assert "compared on 1 worker: table and PostgreSQL agree there." in done.out


# --- trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("list",), ("show", str(new_id())), ("check",)])
async def test_nobody_there_is_said_in_one_line(arguments: tuple[str, ...]) -> None:
    url = f"http://{nowhere()}"
    done = await command(*arguments, "--url", url)
    assert (done.code, done.out) == (TROUBLE, "")
    assert done.err == f"class-management: {url} cannot be reached: Connection refused\n"


async def test_without_a_key_nothing_is_asked() -> None:
    done = await command(INTERNAL_API_KEY=None)
    assert (done.code, done.out) == (TROUBLE, "")
    (line,) = done.err.splitlines()
    assert line.startswith(f"class-management: set {PREFIX}INTERNAL_API_KEY")


async def test_a_wrong_key_is_named_but_not_shown(cluster: Cluster) -> None:
    done = await command("--url", cluster.url, INTERNAL_API_KEY="hemlighet")
    assert (done.code, done.out) == (TROUBLE, "")
    (line,) = done.err.splitlines()
    assert "refuses the key" in line
    assert "hemlighet" not in line


async def test_a_bad_setting_is_said_in_one_line() -> None:
    done = await command(ADVERTISED_URL="worker-1:5002")
    assert (done.code, done.out) == (TROUBLE, "")
    assert done.err == f"class-management: {PREFIX}ADVERTISED_URL: must start with http://\n"


@pytest.mark.parametrize("url", ["nowhere", "http://", "http://127.0.0.1:port"])
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    done = await command("--url", url)
    assert (done.code, done.out) == (TROUBLE, "")
    assert len(done.err.splitlines()) == 1


async def test_somebody_else_is_recognised() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(text="<html>")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        done = await command("list", "--url", f"http://127.0.0.1:{server.port}")
    assert (done.code, done.out) == (TROUBLE, "")
    assert done.err.endswith("is not this service\n")


async def test_the_address_comes_from_the_settings(cluster: Cluster) -> None:
    port = str(cluster.a.port)
    for settings in ({"PORT": port}, {"HOST": "127.0.0.1", "PORT": port}):
        assert (await command("--json", **settings)).json["tables"][0]["complete"] is True
    assert (await command("--json", ADVERTISED_URL=f"{cluster.url}/")).code == 0


@pytest.mark.parametrize("arguments", [(), ("list",), ("show",), ("check",), ("repair",)])
async def test_every_command_has_help(arguments: tuple[str, ...]) -> None:
    done = await command(*arguments, "--help", INTERNAL_API_KEY=None)
    assert done.code == 0
    assert done.out.startswith("Usage: class-management tables")
