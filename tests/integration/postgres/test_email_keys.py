"""The keys of addresses come into a database that earlier versions filled, and go on filling."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack.postgres import EmbeddedPostgres
from devstack.rig.database import connected
from rules.changes import NewStudentRequest
from rules.emails import key_of
from rules.errors import EmailConflictError, ServiceError
from rules.ids import new_id
from rules.models import EmailChange, PersonName, Policy, StudentChange, StudentRecord
from store.protocols.email_keys import Lacking, WithoutKey
from tests.integration.postgres.test_server_log import MARK, ServerLog, assert_nobody_in
from tests.integration.store.builders import Stores, caller, make_student, new_student, person
from tests.support.stores import EMPTY, postgres_stores
from tests.unit.rules.strategies import addresses, ascii_addresses

TEACHER: Final = caller(f"{MARK}-lärare")
BEGIN: Final = datetime(2026, 8, 20, tzinfo=UTC)
FIRST: Final = UUID(int=0)

#: As a worker of the version before writes them: it knows no keys.
OLD_INSERT: Final = """
insert into students (id, owner_id, first_name, last_name, legal_full_name, email, created_at)
values ($1, $2, 'F', 'L', 'F L', $3, $4)
"""
OLD_UPDATE: Final = "update students set email = $2 where id = $1"

Rows: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def stores(migrated_database: str) -> AsyncIterator[Stores]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield stores


@pytest.fixture
async def rows(migrated_database: str) -> AsyncIterator[Rows]:
    async with connected(migrated_database) as connection:
        yield connection


@pytest.fixture
def log(postgres_server: EmbeddedPostgres) -> ServerLog:
    assert postgres_server.log_path is not None
    return ServerLog(postgres_server.log_path)


async def add_old(
    rows: Rows, email: str | None, minute: int = 0, owner: str = TEACHER.user_id
) -> UUID:
    student_id = UUID(str(new_id()))
    at = BEGIN + timedelta(minutes=minute)
    await rows.execute(OLD_INSERT, student_id, owner, email, at)
    return student_id


async def fill(stores: Stores, limit: int = 3, *of: Lacking) -> None:
    for lacking in of or (Lacking.UNKEYED,):
        begin: UUID | None = FIRST
        while begin is not None:
            begin = await stores.email_keys.fill(lacking, begin, limit)


async def keys_of(rows: Rows, *ids: UUID) -> list[str | None]:
    found = await rows.fetch("select id, email_key from students where id = any($1::uuid[])", ids)
    keys = {row["id"]: row["email_key"] for row in found}
    return [keys[student_id] for student_id in ids]


async def create(stores: Stores, email: str) -> StudentRecord | ServiceError:
    wanted = NewStudentRequest(TEACHER, new_student(email=email))
    [made] = await stores.classes.create_students([wanted])
    return made


async def change(
    stores: Stores, student_id: UUID, email: str | None, name: PersonName | None = None
) -> StudentRecord | ServiceError:
    wanted = StudentChange(name, EmailChange(email))
    try:
        return await stores.classes.update_student(TEACHER, student_id, wanted)
    except ServiceError as refusal:
        return refusal


async def count(stores: Stores) -> tuple[int, int]:
    counted = await stores.email_keys.count()
    return counted.unkeyed, counted.colliding


def mail(local: str, domain: str = "skola.example") -> str:
    return f"{local}{MARK}@{domain}"


async def test_what_earlier_versions_stored_gets_its_keys(stores: Stores, rows: Rows) -> None:
    emails = [mail("åsa"), mail("STRAUSS"), mail("a", "bücher.example"), "no address@x", None]
    ids = [await add_old(rows, email, minute) for minute, email in enumerate(emails)]
    assert await count(stores) == (4, 0)
    await fill(stores)
    assert await count(stores) == (0, 0)
    assert await keys_of(rows, *ids) == [email and key_of(email) for email in emails]
    for other in (mail("A\u030aSA"), mail("strauß"), mail("A", "xn--bcher-kva.example")):
        assert isinstance(await create(stores, other), EmailConflictError)


async def test_of_those_who_collide_the_oldest_gets_the_key(stores: Stores, rows: Rows) -> None:
    late, first, middle = [
        await add_old(rows, mail(local), minute)
        for local, minute in (("straß", 9), ("STRASS", 1), ("\u017ftrass", 5))
    ]
    alone = await add_old(rows, mail("strass"), owner="other")
    await fill(stores, 1)
    assert await keys_of(rows, late, first, middle) == [None, mail("strass").lower(), None]
    assert await keys_of(rows, alone) == [mail("strass").lower()]
    assert await count(stores) == (0, 2)
    [collision] = await stores.email_keys.collisions()
    assert collision.owner_id == TEACHER.user_id
    assert [one.id for one in collision.students] == [first, middle, late]


async def test_who_collides_keeps_the_address_and_can_be_changed(
    stores: Stores, rows: Rows, log: ServerLog
) -> None:
    first, second = await add_old(rows, mail("straß")), await add_old(rows, mail("STRASS"), 1)
    await fill(stores)
    named = await change(stores, second, mail("STRASS"), person("Bo", "Ek"))
    assert isinstance(named, StudentRecord)
    assert (named.email, named.name.first_name) == (mail("STRASS"), "Bo")
    assert await count(stores) == (0, 1)
    # Another spelling of what somebody else has is an addition.
    for email in (mail("strass"), mail("\u017ftrass"), mail("straß")):
        refused = await change(stores, second, email)
        assert isinstance(refused, EmailConflictError)
    # The first may not take the text that the second has, which the old index keeps.
    refused = await change(stores, first, mail("Strass"))
    assert isinstance(refused, EmailConflictError)
    moved = await change(stores, second, mail("other"))
    assert isinstance(moved, StudentRecord)
    assert await keys_of(rows, second) == [mail("other").lower()]
    assert (await count(stores), await stores.email_keys.collisions()) == ((0, 0), [])
    assert_nobody_in(log)


@pytest.mark.parametrize("how", ["deleted", "changed", "cleared"])
async def test_a_key_that_became_free_is_given_to_who_collided(
    stores: Stores, rows: Rows, how: str
) -> None:
    first, second = await add_old(rows, mail("straß")), await add_old(rows, mail("STRASS"), 1)
    await fill(stores)
    if how == "deleted":
        await stores.classes.delete_student(TEACHER, first)
    else:
        email = mail("other") if how == "changed" else None
        assert isinstance(await change(stores, first, email), StudentRecord)
    assert await stores.email_keys.collisions() == []
    await fill(stores, 3, Lacking.COLLIDING)
    assert await keys_of(rows, second) == [mail("strass").lower()]
    assert await count(stores) == (0, 0)


async def test_looking_at_those_who_collide_ends_and_writes_nothing(
    stores: Stores, rows: Rows
) -> None:
    for number in range(7):
        for minute, local in enumerate(("straß", "STRASS", "\u017ftrass")):
            await add_old(rows, mail(f"{number}{local}"), minute)
    await fill(stores, 4)
    assert await count(stores) == (0, 14)
    before = await rows.fetch("select id, xmin from students order by id")
    await fill(stores, 4, Lacking.UNKEYED, Lacking.COLLIDING)
    assert await rows.fetch("select id, xmin from students order by id") == before


async def test_a_student_made_before_an_older_one_has_its_key_gives_way(
    stores: Stores, rows: Rows
) -> None:
    old = await add_old(rows, mail("straß"))
    # The same text is refused without a key, by the old index.
    assert isinstance(await create(stores, mail("STRAß")), EmailConflictError)
    made = await create(stores, mail("STRASS"))
    assert isinstance(made, StudentRecord)
    await fill(stores)
    assert await keys_of(rows, old, made.id) == [mail("strass").lower(), None]
    [collision] = await stores.email_keys.collisions()
    assert [one.id for one in collision.students] == [old, made.id]
    assert isinstance(await create(stores, mail("\u017ftrass")), EmailConflictError)


async def test_what_an_older_worker_changes_is_looked_at_again(stores: Stores, rows: Rows) -> None:
    moved = await make_student(stores, TEACHER, new_student(email=mail("straß")))
    cleared = await make_student(stores, TEACHER, new_student(email=mail("åsa")))
    same = await make_student(stores, TEACHER, new_student(email=mail("bo")))
    await rows.execute(OLD_UPDATE, moved.id, mail("nils"))
    await rows.execute(OLD_UPDATE, cleared.id, None)
    await rows.execute(OLD_UPDATE, same.id, mail("BO"))
    taking = await add_old(rows, mail("STRASS"))
    assert await count(stores) == (4, 0)
    await fill(stores, 10)
    keys = await keys_of(rows, moved.id, cleared.id, same.id, taking)
    assert keys == [mail("nils").lower(), None, mail("bo").lower(), mail("strass").lower()]
    assert await count(stores) == (0, 0)


async def test_two_older_workers_swap_addresses(stores: Stores, rows: Rows, log: ServerLog) -> None:
    emails = [mail("a"), mail("b"), mail("c")]
    made = [await make_student(stores, TEACHER, new_student(email=email)) for email in emails]
    await rows.execute(OLD_UPDATE, made[0].id, None)
    for one, email in ((made[1], emails[0]), (made[2], emails[1]), (made[0], emails[2])):
        await rows.execute(OLD_UPDATE, one.id, email)
    for limit in (1, 10):
        await fill(stores, limit, Lacking.UNKEYED, Lacking.COLLIDING)
    found = await keys_of(rows, *(one.id for one in made))
    assert found == [emails[2].lower(), emails[0].lower(), emails[1].lower()]
    assert_nobody_in(log)


async def test_two_workers_fill_at_once_while_teachers_work(
    stores: Stores, rows: Rows, log: ServerLog
) -> None:
    old = [await add_old(rows, mail(f"{n}straß"), n) for n in range(60)]

    async def teach() -> list[StudentRecord | ServiceError]:
        made = [await create(stores, mail(f"{n}STRASS")) for n in range(0, 60, 3)]
        changed = [await change(stores, old[n], mail(f"{n}new")) for n in range(1, 60, 3)]
        return made + changed

    _, _, made = await asyncio.gather(fill(stores, 5), fill(stores, 7), teach())
    await fill(stores, 50, Lacking.UNKEYED, Lacking.COLLIDING)
    assert (await stores.email_keys.count()).unkeyed == 0
    assert all(isinstance(one, StudentRecord) for one in made[20:])
    expected = [mail(f"{n}new" if n % 3 == 1 else f"{n}strass").lower() for n in range(60)]
    assert await keys_of(rows, *old) == expected
    slipped = [one.id for one in made[:20] if isinstance(one, StudentRecord)]
    assert await count(stores) == (0, len(slipped))
    assert {c.students[1].id for c in await stores.email_keys.collisions()} == set(slipped)
    assert_nobody_in(log)


async def test_a_student_that_is_being_changed_is_left_for_another_time(
    stores: Stores, rows: Rows
) -> None:
    busy, free = await add_old(rows, mail("a")), await add_old(rows, mail("b"))
    async with rows.transaction():
        await rows.execute("select from students where id = $1 for update", busy)
        await fill(stores)
        assert await keys_of(rows, busy, free) == [None, mail("b").lower()]
    await fill(stores)
    assert await keys_of(rows, busy) == [mail("a").lower()]


async def test_a_key_whose_holder_is_being_changed_is_left_for_another_time(
    stores: Stores, rows: Rows
) -> None:
    made = await make_student(stores, TEACHER, new_student(email=mail("straß")))
    old = await add_old(rows, mail("STRASS"))
    async with rows.transaction():
        await rows.execute("select from students where id = $1 for update", made.id)
        await fill(stores)
        assert await count(stores) == (1, 0)
    await fill(stores)
    assert await keys_of(rows, made.id, old) == [None, mail("strass").lower()]


Step: TypeAlias = tuple[str, int, str]
_steps = st.lists(
    st.tuples(
        st.sampled_from(["old insert", "old update", "create", "change", "delete", "fill"]),
        st.integers(0, 5),
        ascii_addresses | addresses,
    ),
    max_size=20,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps)
def test_whatever_old_and_new_workers_do_every_key_ends_with_the_oldest(
    migrated_database: str, steps: Sequence[Step]
) -> None:
    async def play() -> None:
        async with (
            connected(migrated_database) as connection,
            postgres_stores(migrated_database, Policy()) as stores,
        ):
            ids: list[UUID] = []
            for number, step in enumerate(steps):
                await _take(stores, connection, ids, number, step)
            for _ in range(2):
                await fill(stores, 3, Lacking.UNKEYED, Lacking.COLLIDING)
            await _check(stores, connection)
            await connection.execute(EMPTY)

    asyncio.run(play())


async def _take(stores: Stores, rows: Rows, ids: list[UUID], number: int, step: Step) -> None:
    what, place, email = step
    chosen = ids[place % len(ids)] if ids else None
    try:
        if what == "old insert":
            ids.append(await add_old(rows, email, number))
        elif what == "create":
            if isinstance(made := await create(stores, email), StudentRecord):
                ids.append(UUID(str(made.id)))
        elif what == "fill":
            await fill(stores, 2)
        elif chosen is not None and what == "old update":
            await rows.execute(OLD_UPDATE, chosen, email)
        elif chosen is not None and what == "change":
            await change(stores, chosen, email)
        elif chosen is not None:
            await stores.classes.delete_student(TEACHER, chosen)
            ids.remove(chosen)
    except asyncpg.UniqueViolationError as refused:
        assert what.startswith("old"), refused  # noqa: PT017  # those of a new worker would be faults


async def _check(stores: Stores, rows: Rows) -> None:
    assert (await stores.email_keys.count()).unkeyed == 0
    oldest: dict[str, UUID] = {}
    found = await rows.fetch("select id, email, email_key from students order by created_at, id")
    for row in found:
        if row["email"] is not None:
            oldest.setdefault(key_of(row["email"]), row["id"])
    assert {row["id"]: row["email_key"] for row in found} == {
        row["id"]: None
        if row["email"] is None or oldest[key_of(row["email"])] != row["id"]
        else key_of(row["email"])
        for row in found
    }


async def test_what_the_old_index_holds_for_one_has_one_key(rows: Rows) -> None:
    """Else the two would refuse different students while both are there."""
    found = await rows.fetch("""
        select array_agg(chr(code)) as letters
        from generate_series(1, 1114111) as code
        where code not between 55296 and 57343 group by lower(chr(code)) having count(*) > 1
    """)
    # PostgreSQL may know letters of a later Unicode. No address has them before Python does.
    letters = [[c for c in row["letters"] if unicodedata.category(c) != "Cn"] for row in found]
    assert len(letters) > 1000
    for same in letters:
        assert len({key_of(f"{letter}@skola.example") for letter in same}) <= 1


async def test_in_memory_there_is_nothing_to_fill() -> None:
    from store.memory.email_keys import MemoryEmailKeys  # noqa: PLC0415

    keys = MemoryEmailKeys()
    assert await keys.fill(Lacking.UNKEYED, FIRST, 5) is None
    assert (await keys.count(), await keys.collisions()) == (WithoutKey(0, 0), [])
