"""Changes are numbered after their commit: none is skipped, and an entity's are in their order."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack.rig.database import connected
from rules import weeks
from rules.changes import NewClassRequest
from rules.errors import ResyncRequiredError
from rules.feed import FeedPage, FeedQuery, Position, ToldChange
from rules.ids import new_id
from rules.models import Caller, ClassChange, NewClass, Policy
from store.postgres.classes import PostgresClassRepository
from store.postgres.database import Database
from store.postgres.feed import PostgresFeed
from store.postgres.maintenance import PostgresMaintenance
from tests.integration.postgres.test_failover import opened
from tests.integration.postgres.test_partitions import Table, name
from tests.integration.store.builders import caller
from tests.support.stores import EMPTY

OWNER: Final = "teacher"
MONTH: Final = timedelta(days=30)
PUT: Final = """
insert into changes (at, owner_id, entity, entity_id, kind, version, by_user, correlation_id)
values (now() - $4::interval, $1, 'class', $2, 'updated', $3, $1, gen_random_uuid())
"""
AT_ONCE: Final = 7


class Writer:
    """A connection that remembers changes past the store, in transactions of its own."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def begin(self) -> None:
        await self.connection.execute("begin")

    async def put(
        self, version: int = 1, *, owner: str = OWNER, ago: timedelta = timedelta(0)
    ) -> UUID:
        entity = new_id()
        await self.connection.execute(PUT, owner, entity, version, ago)
        return entity

    async def commit(self) -> None:
        await self.connection.execute("commit")

    async def roll_back(self) -> None:
        await self.connection.execute("rollback")


class Feed:
    """The feed of a database, and the readers of it."""

    def __init__(self, database: Database, dsn: str) -> None:
        self.database = database
        self.dsn = dsn
        self.store = PostgresFeed(database)
        self.store.at_once = AT_ONCE
        self.stack = AsyncExitStack()

    async def writer(self) -> Writer:
        return Writer(await self.stack.enter_async_context(connected(self.dsn)))

    async def number(self) -> int:
        """Give numbers to all that can have one."""
        numbered = 0
        while piece := await self.store.number():
            numbered += piece
        return numbered

    async def page(
        self, after: Position | None = None, limit: int = 100, owner: str | None = None
    ) -> FeedPage:
        return await self.store.changes(FeedQuery(limit, owner, after))

    async def told(self, owner: str | None = None, limit: int = 100) -> list[ToldChange]:
        """Read all that has a number, page by page."""
        page = await self.page(None, limit, owner)
        found = [*page.changes]
        while page.more:
            page = await self.page(page.next, limit, owner)
            found += page.changes
        return found

    async def ids(self, owner: str | None = None, limit: int = 100) -> list[UUID]:
        return [told.change.id for told in await self.told(owner, limit)]


@asynccontextmanager
async def feeding(dsn: str) -> AsyncIterator[Feed]:
    async with opened(dsn) as database:
        async with database.acquire() as connection:
            await connection.execute(EMPTY)
        feed = Feed(database, dsn)
        await feed.store.number()
        async with feed.stack:
            yield feed


@pytest.fixture
async def feed(migrated_database: str) -> AsyncIterator[Feed]:
    async with feeding(migrated_database) as feed:
        yield feed


# --- what commits late ---------------------------------------------------------------------------


async def test_what_commits_late_is_told_late_and_holds_nobody_up(feed: Feed) -> None:
    slow, quick = await feed.writer(), await feed.writer()
    await slow.begin()
    late = await slow.put()
    early = [await quick.put() for _ in range(3)]
    assert await feed.number() == 3
    early.append(await quick.put())
    assert await feed.number() == 1
    first = await feed.page()
    await slow.commit()
    assert await feed.store.waiting_seconds() is not None
    assert await feed.number() == 1
    assert await feed.ids() == [*early, late]
    assert [told.change.id for told in (await feed.page(first.next)).changes] == [late]
    assert await feed.store.waiting_seconds() is None


async def test_what_is_rolled_back_leaves_no_hole(feed: Feed) -> None:
    writer, other = await feed.writer(), await feed.writer()
    await other.begin()
    await other.put()
    first = await writer.put()
    await feed.number()
    await other.roll_back()
    second = await writer.put()
    await feed.number()
    assert [(told.sequence, told.change.id) for told in await feed.told()] == [
        (1, first),
        (2, second),
    ]


async def test_a_savepoint_is_part_of_its_transaction(feed: Feed) -> None:
    slow, quick = await feed.writer(), await feed.writer()
    await slow.begin()
    before = await slow.put()
    await slow.connection.execute("savepoint one")
    within = await slow.put()
    early = await quick.put()
    await feed.number()
    await slow.connection.execute("release one; savepoint two")
    after = await slow.put()
    await slow.connection.execute("rollback to two")
    await feed.number()
    await slow.commit()
    await feed.number()
    assert await feed.ids() == [early, before, within]
    assert after not in await feed.ids()


async def test_a_large_transaction_is_told_page_by_page(feed: Feed) -> None:
    one, other = await feed.writer(), await feed.writer()
    await one.begin()
    many = [await one.put() for _ in range(2 * AT_ONCE + 3)]
    between = await other.put(owner="another")
    await one.commit()
    assert await feed.store.number() == AT_ONCE
    late = await other.put()
    assert await feed.number() == AT_ONCE + 4 + 1
    told = await feed.told(limit=4)
    assert [one.sequence for one in told] == [*range(1, len(told) + 1)]
    assert [one.change.id for one in told] == [*many, between, late]
    assert await feed.ids(OWNER, limit=3) == [*many, late]
    assert await feed.ids("another", limit=1) == [between]


async def test_what_older_workers_remember_is_told_but_not_what_was_there_before(
    feed: Feed,
) -> None:
    writer = await feed.writer()
    old = await writer.put()
    await writer.connection.execute("update changes set xact = null")
    new = await writer.put()
    await feed.number()
    assert await feed.ids() == [new]
    assert old not in await feed.ids()


async def test_one_process_at_a_time_numbers(feed: Feed) -> None:
    writer = await feed.writer()
    await writer.put()
    async with feed.database.acquire() as connection, connection.transaction():
        assert await connection.fetchval("select pg_try_advisory_xact_lock(5002006)")
        assert await feed.store.number() == 0
        assert await feed.store.waiting_seconds() is not None
    assert await feed.store.number() == 1


# --- any order of commits ------------------------------------------------------------------------

WRITERS: Final = 3
ENTITIES: Final = [UUID(int=number) for number in range(3)]
steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "commit", "roll back", "number", "read"]),
        st.integers(0, WRITERS - 1),
        st.integers(0, len(ENTITIES) - 1),
    ),
    max_size=60,
)


class Schedule:
    """Writers whose transactions overlap, a process that numbers, and one that reads along.

    A writer that has changed an entity keeps it locked until its end, as the store does.
    """

    def __init__(self, feed: Feed, writers: Sequence[Writer]) -> None:
        self.feed = feed
        self.writers = writers
        self.locked: dict[int, dict[int, int]] = {number: {} for number in range(len(writers))}
        self.versions = dict.fromkeys(range(len(ENTITIES)), 0)
        self.position: Position | None = None
        self.read: list[ToldChange] = []

    async def do(self, what: str, writer: int, entity: int) -> None:
        if what == "put":
            await self.put(writer, entity)
        elif what in {"commit", "roll back"}:
            await self.end(writer, commits=what == "commit")
        elif what == "number":
            await self.feed.store.number()
        else:
            await self.read_on(limit=entity + 1)

    async def put(self, writer: int, entity: int) -> None:
        own = self.locked[writer]
        if any(entity in others for n, others in self.locked.items() if n != writer):
            return
        connection = self.writers[writer].connection
        if not own:
            await connection.execute("begin")
        own[entity] = own.get(entity, self.versions[entity]) + 1
        await connection.execute(PUT, OWNER, ENTITIES[entity], own[entity], timedelta(0))

    async def end(self, writer: int, *, commits: bool) -> None:
        own = self.locked[writer]
        if not own:
            return
        await self.writers[writer].connection.execute("commit" if commits else "rollback")
        if commits:
            self.versions |= own
        self.locked[writer] = {}

    async def read_on(self, limit: int) -> None:
        page = await self.feed.page(self.position, limit)
        self.read += page.changes
        self.position = page.next


async def _played(dsn: str, wanted: Sequence[tuple[str, int, int]]) -> Schedule:
    async with feeding(dsn) as feed:
        writers = [await feed.writer() for _ in range(WRITERS)]
        schedule = Schedule(feed, writers)
        for step in wanted:
            await schedule.do(*step)
        for number in range(WRITERS):
            await schedule.end(number, commits=True)
        await feed.number()
        for _ in range(2 * len(wanted) + 1):
            await schedule.read_on(limit=100)
        assert [one.sequence for one in schedule.read] == [
            one.sequence for one in await feed.told()
        ]
        return schedule


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wanted=steps)
def test_in_whatever_order_transactions_commit_nothing_is_skipped_and_versions_rise(
    migrated_database: str, wanted: list[tuple[str, int, int]]
) -> None:
    played = asyncio.run(_played(migrated_database, wanted))
    assert [told.sequence for told in played.read] == [*range(1, len(played.read) + 1)]
    versions = defaultdict[UUID, list[int | None]](list)
    for told in played.read:
        versions[told.change.id].append(told.change.version)
    assert versions == {
        ENTITIES[entity]: [*range(1, last + 1)] for entity, last in played.versions.items() if last
    }


async def test_who_reads_along_under_load_gets_every_change_in_its_order(feed: Feed) -> None:
    teacher = caller()
    repository = PostgresClassRepository(feed.database, Policy())
    classes = [NewClass(new_id(), "9A", "SV1") for _ in range(4)]
    await repository.create_classes([NewClassRequest(teacher, new) for new in classes])
    stop = asyncio.Event()

    async def number() -> None:
        while not stop.is_set():
            await feed.store.number()
            await asyncio.sleep(0)

    read: list[ToldChange] = []

    async def read_along(after: Position | None) -> Position:
        page = await feed.page(after, limit=5)
        read.extend(page.changes)
        while not stop.is_set() or page.more:
            page = await feed.page(page.next, limit=5)
            read.extend(page.changes)
            await asyncio.sleep(0)
        return page.next

    async with asyncio.TaskGroup() as group:
        numbering = [group.create_task(number()) for _ in range(2)]
        reading = group.create_task(read_along(None))
        async with asyncio.TaskGroup() as writers:
            for writer in range(6):
                writers.create_task(_rename(repository, teacher, classes, writer))
        stop.set()
        await asyncio.gather(*numbering, reading)
    await feed.number()
    await read_along(reading.result())
    versions = defaultdict[UUID, list[int | None]](list)
    for told in read:
        versions[told.change.id].append(told.change.version)
    assert [one.sequence for one in read] == [*range(1, len(read) + 1)]
    assert len(read) == len(classes) + 6 * 20
    assert all(found == [*range(1, len(found) + 1)] for found in versions.values())


async def _rename(
    repository: PostgresClassRepository, teacher: Caller, classes: Sequence[NewClass], writer: int
) -> None:
    for number in range(20):
        one = classes[(writer + number) % len(classes)]
        await repository.update_class(teacher, one.id, ClassChange(name=f"{writer}/{number}"))


# --- what is not told any more -------------------------------------------------------------------


async def test_a_cursor_older_than_what_is_kept_is_refused_and_never_a_hole(feed: Feed) -> None:
    writer = await feed.writer()
    table = Table(writer.connection)
    monday = await table.this_week()
    old = monday - 10 * weeks.A_WEEK
    begin, end = weeks.bounds(old)
    for kind in ("changes", "feed"):
        await writer.connection.execute(
            f"create table {kind}_{old:%Y%m%d} partition of {kind} "
            f"for values from ('{begin}') to ('{end}')"
        )
    beginning = (await feed.page()).next
    await writer.put(ago=timedelta(days=70))
    await feed.number()
    middle = (await feed.page()).next
    # In a week without a partition, and told before a younger one.
    await writer.put(ago=timedelta(days=40))
    new = await writer.put()
    await feed.number()
    assert len(await feed.told()) == 3
    turnover = await PostgresMaintenance(feed.database).turn_over_changes(MONTH)
    assert turnover.dropped == 1
    assert name(old) not in await table.names()
    assert await feed.ids() == [new]
    for position in (beginning, middle):
        with pytest.raises(ResyncRequiredError):
            await feed.page(position)


async def test_a_week_goes_from_both_tables_or_from_none(feed: Feed) -> None:
    writer, reader = await feed.writer(), await feed.writer()
    old = await Table(writer.connection).this_week() - 10 * weeks.A_WEEK
    begin, end = weeks.bounds(old)
    for kind in ("changes", "feed"):
        await writer.connection.execute(
            f"create table {kind}_{old:%Y%m%d} partition of {kind} "
            f"for values from ('{begin}') to ('{end}')"
        )
    await writer.put(ago=timedelta(days=70))
    await feed.number()
    maintenance = PostgresMaintenance(feed.database)
    await reader.begin()
    await reader.connection.fetch(f"select from changes_{old:%Y%m%d}")
    assert (await maintenance.turn_over_changes(MONTH)).dropped == 0
    assert len(await feed.told()) == 1
    await reader.roll_back()
    assert (await maintenance.turn_over_changes(MONTH)).dropped == 1
    assert await feed.told() == []


async def test_the_feed_has_the_weeks_of_the_changes(feed: Feed) -> None:
    writer = await feed.writer()
    table = Table(writer.connection)
    coming = [await table.this_week() + number * weeks.A_WEEK for number in (3, 4)]
    await writer.connection.execute(f"drop table feed_{coming[0]:%Y%m%d}")
    await writer.connection.execute(f"drop table feed_{coming[1]:%Y%m%d}, {name(coming[1])}")
    turnover = await PostgresMaintenance(feed.database).turn_over_changes(MONTH)
    assert turnover.made == 2
    for week in coming:
        assert await writer.connection.fetchval(f"select count(*) from feed_{week:%Y%m%d}") == 0


async def test_who_has_few_changes_does_not_age(feed: Feed) -> None:
    writer = await feed.writer()
    await writer.put(ago=timedelta(days=40))
    await feed.number()
    quiet = await feed.page(owner="nobody")
    assert (quiet.changes, quiet.more) == ([], False)
    await PostgresMaintenance(feed.database).turn_over_changes(MONTH)
    assert (await feed.page(quiet.next, owner="nobody")).changes == []


@pytest.mark.parametrize("column", ["system", "relation", "timeline"])
async def test_cursors_of_another_database_or_past_are_refused(feed: Feed, column: str) -> None:
    writer = await feed.writer()
    before = await writer.put()
    await feed.number()
    known = (await feed.page()).next
    await writer.connection.execute(f"update feed_state set {column} = 'another'")
    assert (await feed.page(known)).changes == []
    await writer.put()
    await feed.number()
    with pytest.raises(ResyncRequiredError):
        await feed.page(known)
    here = await feed.store.end()
    assert here.epoch != known.epoch
    after = await writer.put()
    await feed.number()
    assert [told.change.id for told in (await feed.page(here)).changes] == [after]
    # A cluster that only has another past goes on with what it has told.
    assert (before in await feed.ids()) == (column == "timeline")


async def test_a_number_that_was_not_given_yet_is_of_a_database_that_lost_it(feed: Feed) -> None:
    end = await feed.store.end()
    with pytest.raises(ResyncRequiredError):
        await feed.page(Position(end.epoch, end.sequence + 1))


async def test_changes_that_were_brought_from_elsewhere_are_not_told_again_and_again(
    feed: Feed,
) -> None:
    writer = await feed.writer()
    await writer.put()
    # Another cluster had many more transactions, or fewer.
    await writer.connection.execute(
        "update changes set xact = (xact::text::bigint + 3)::text::xid8"
    )
    await writer.put()
    await writer.connection.execute(
        "update feed_state set relation = 'former/1', done = '1:1:'::pg_snapshot"
    )
    await feed.number()
    assert await feed.ids() == []
    new = [await writer.put() for _ in range(6)]
    await feed.number()
    assert await feed.ids() == new


async def test_without_the_right_to_ask_for_the_cluster_it_goes_on(feed: Feed) -> None:
    writer = await feed.writer()
    await writer.connection.execute(
        "create role stranger login password 'stranger';"
        "grant insert, select on changes, feed to stranger;"
        "grant select, update on feed_state to stranger;"
        "revoke execute on function pg_control_system() from public"
    )
    try:
        server = feed.dsn.partition("@")[2]
        async with opened(f"postgresql://stranger:stranger@{server}") as database:
            one = await writer.put()
            epoch = (await feed.store.end()).epoch
            assert await PostgresFeed(database).number() == 1
            assert await feed.ids() == [one]
            # Who may ask and who may not are at the same place.
            await writer.put()
            assert await feed.number() == 1
            assert (await feed.store.end()).epoch == epoch
            await writer.connection.execute("update feed_state set relation = 'former/1'")
            await writer.put()
            await PostgresFeed(database).number()
            assert (await feed.store.end()).epoch != epoch
    finally:
        await writer.connection.execute(
            "grant execute on function pg_control_system() to public;"
            "drop owned by stranger; drop role stranger"
        )
