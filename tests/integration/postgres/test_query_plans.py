"""Every read uses an index on filled tables: none looks at a big table from end to end."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from devstack.postgres import EmbeddedPostgres
from devstack.rig.database import connected
from store.postgres import sql
from store.postgres.database import PLANNING
from tests.support.statements import named

#: Those of imports, the feed and privacy have tests of their own.
STATEMENTS: Final = {
    name: text
    for subject in sql.__all__
    if subject not in {"feed", "imports", "privacy"}
    for name, text in named(subject).items()
}

#: Tables that grow with the platform. `classes` of one owner or a queue that is short are not
#: among the faults that this test is for.
BIG = (
    "association_history",
    "associations",
    "batches",
    "classes",
    "dead_letter_decisions",
    "deleted_classes",
    "enrollments",
    "idempotency_keys",
    "import_class_marks",
    "import_marks",
    "import_members",
    "import_parts",
    "import_rows",
    "imports",
    "inbox",
    "outbox_packs",
    "outbox_set_aside",
    "students",
)

FILL = """
-- Foreign keys are not checked, and the indexes of the largest table are made at the end: otherwise
-- they would take most of the time.
set session_replication_role = replica;
create temp table made_at_the_end as
    select indexname, indexdef from pg_indexes
    where tablename = 'associations' and indexname <> 'associations_pkey';
do $$ declare one record; begin
    for one in select * from made_at_the_end loop execute 'drop index ' || one.indexname; end loop;
end $$;
insert into classes (id, owner_id, name, course_code, external_id)
    select md5('c' || n)::uuid, 'teacher ' || n % 700, 'class ' || n, 'SV1',
        case when n % 2 = 0 then 'class ' || n end
    from generate_series(1, 7000) as n;
insert into students (id, owner_id, first_name, last_name, legal_full_name, email, email_key,
        keyed_email, external_id)
    select md5('s' || n)::uuid, 'teacher ' || n % 700, 'F', 'L' || n, 'F L' || n, n || '@x.example',
        case when n > 1000 then n || '@x.example' end, case when n > 500 then n || '@x.example' end,
        case when n % 2 = 0 then 'pupil ' || n end
    from generate_series(1, 100000) as n;
insert into students (id, owner_id, first_name, last_name, legal_full_name, email, is_placeholder)
    select md5('u' || n)::uuid, owner_id, 'UNKNOWN', 'STUDENT', 'UNKNOWN STUDENT',
        'unknown.' || id || '@huleedu.system', true
    from classes cross join lateral substr(name, 7) as n where n::integer % 3 = 0;
insert into enrollments (class_id, student_id, owner_id)
    select md5('c' || n)::uuid, md5('u' || n)::uuid, 'teacher ' || n % 700
    from generate_series(3, 7000, 3) as n;
insert into enrollments (class_id, student_id, owner_id)
    select md5('c' || (n % 700 + 700 * k))::uuid, md5('s' || n)::uuid, 'teacher ' || n % 700
    from generate_series(1, 100000) as n, generate_series(1, 2) as k;
insert into batches (id, class_id, correlation_id, closed_at)
    select md5('b' || n)::uuid, md5('c' || n % 7000 + 1)::uuid, md5('b')::uuid,
        case when n > 500 then now() end
    from generate_series(1, 100000) as n;
-- One class has had thousands of batches.
insert into batches (id, class_id, correlation_id, closed_at)
    select md5('l' || n)::uuid, md5('c2')::uuid, md5('b')::uuid, now() - n * interval '1 minute'
    from generate_series(1, 5000) as n;
insert into associations (essay_id, batch_id, suggested_student_id, student_id, confidence,
        match_reasons, status, method, validated_by, validated_at, confirm_by, suggestions)
    select md5('e' || n || '/' || k)::uuid, md5('b' || n)::uuid, md5('s' || n)::uuid,
        case when n > 500 then md5('s' || n)::uuid end, 0.5, '{}',
        case when n > 500 then 'confirmed' else 'pending_validation' end,
        case when n > 500 then 'human' end, case when n > 500 then 't' end,
        case when n > 500 then now() end, now() + n * interval '1 minute',
        jsonb_build_array(jsonb_build_object('student_id', md5('s' || n)::uuid,
            'confidence', 0.5, 'match_reasons', '[]'::jsonb))
    from generate_series(1, 34000) as n, generate_series(1, 30) as k;
insert into association_history (essay_id, number, status, method, student_id, validated_by,
        validated_at)
    select essay_id, k, status, method, student_id, validated_by, validated_at
    from (select * from associations where method is not null limit 200000) as decided,
        generate_series(1, 2) as k;
insert into dead_letter_decisions (letter, address, decision, replay_id)
    select md5('d' || n)::uuid, 'x.dlt/0/' || n, 'replayed', md5('r' || n)::uuid
    from generate_series(1, 50000) as n;
insert into deleted_classes (id, owner_id, course_code, deleted_by, correlation_id)
    select md5('x' || n)::uuid, 't', 'SV1', 't', md5('x')::uuid from generate_series(1, 50000) as n;
insert into idempotency_keys (owner_id, key, digest, status, headers, body, at)
    select 'teacher ' || n % 700, md5('k' || n), '', 201, '{}', '', now() - n * interval '1 second'
    from generate_series(1, 100000) as n;
insert into inbox (id) select md5('i' || n)::uuid from generate_series(1, 100000) as n;
insert into outbox_packs (shard, messages, content)
    select n % 16, 1, outbox_piece('topic', decode(md5('k' || n), 'hex'), null, '[]')
    from generate_series(1, 50000) as n;
insert into outbox_set_aside (shard, id, topic, key, headers, created_at, reason)
    select n % 16, 100000 + n, 'topic', decode(md5('k' || n), 'hex'), '[]', now(),
        case when n % 2 = 0 then 'too_large' end
    from generate_series(1, 50000) as n;
insert into imports (id, owner_id, state, mode, summary, rows_total, created_at, expires_at,
        ended_at, correlation_id)
    select md5('p' || n)::uuid, 'teacher ' || n % 700,
        case when n > 3990 then 'planned' when n > 3980 then 'applying' else 'applied' end, 'add',
        '{}', 25, now() - n * interval '1 minute', now() + n * interval '1 minute',
        case when n <= 3980 then now() - n * interval '1 minute' end, md5('p')::uuid
    from generate_series(1, 4000) as n;
update imports set next_at = now() where state = 'applying';
insert into import_parts (import_id, number, class_id, fingerprint, is_new, is_large, has_errors,
        taken_out, changed, size, row_count)
    select md5('p' || n)::uuid, k, md5('c' || n)::uuid, '', false, false, false, 0, 0, 5, 5
    from generate_series(1, 4000) as n, generate_series(1, 5) as k;
insert into import_rows (import_id, number, part, kind, entity, file, class_id, student_id, rests,
        kept)
    select md5('p' || n)::uuid, k, k / 5, 'updated', 'student', '', md5('c' || n)::uuid,
        md5('s' || n)::uuid, true, false
    from generate_series(1, 4000) as n, generate_series(1, 25) as k;
insert into import_marks (student_id, first_name, last_name, legal_full_name)
    select md5('s' || n)::uuid, 'F', 'L', 'F L' from generate_series(1, 50000) as n;
insert into import_class_marks (class_id, name)
    select md5('c' || n)::uuid, 'C' from generate_series(1, 6000) as n;
insert into import_members (class_id, student_id)
    select class_id, student_id from enrollments limit 100000;
do $$ declare one record; begin
    for one in select * from made_at_the_end loop execute one.indexdef; end loop;
end $$;
analyze;
"""

#: Of both sides of LONG_AGO.
MANY_CLASSES = """
insert into classes (id, owner_id, name, course_code, created_at)
    select md5('m' || n)::uuid, 'many', 'class ' || n, 'SV1',
        timestamptz '2026-01-01' + n * interval '30 minutes'
    from generate_series(1, 20000) as n;
analyze classes
"""

SOME = [UUID("c4ca4238-a0b9-2382-0dcc-509a6f75849b")]
ONE = SOME[0]
#: A batch of teacher 2 that is not closed.
PENDING = UUID("edbab45572c72a5d9440b40bcc0500c0")
NOW = datetime.now(UTC)
LONG_AGO = datetime(2026, 11, 20, 12, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)

#: Each statement that reads, with arguments of the size that it gets.
READS: dict[str, tuple[object, ...]] = {
    "KEPT_ANSWERS": (["teacher 1"], ["a-key"]),
    "CLASSES_BY_ID": (SOME,),
    "CLASS_DELETION": (ONE, "teacher 1"),
    "CLASS_CALLED": ("teacher 1", "class 701"),
    "CLASSES_CALLED": (SOME, ["teacher 1"], ["class 701"]),
    "DROP_CLASS_CLAIM": (ONE,),
    "LIST_CLASSES": ("teacher 1", 20, 0, None, None),
    "LOCK_CLASS": (ONE, "teacher 1"),
    "LOCK_CLASS_AND_ROSTER": (ONE, "teacher 1"),
    "LOCK_CLASS_TO_DELETE": (ONE, "teacher 1"),
    "SHARE_CLASSES": (SOME,),
    "NAME_CLASSES": (SOME,),
    "READ_CLASSES": (SOME,),
    "CLASS_SIZES": (SOME,),
    "STUDENTS_BY_ID": (SOME,),
    "FIND_STUDENTS": (
        "teacher 1",
        "L1",
        "F",
        ONE,
        NOW,
        False,
        "[lL]1",
        "1@x.example",
        ONE,
        21,
        "x",
    ),
    "STUDENT_CALLED": ("teacher 1", "pupil 701"),
    "EXTERNAL_ID_HOLDERS": (SOME, ["teacher 1"], ["pupil 701"]),
    "GET_STUDENT": (ONE, "teacher 1"),
    "LOCK_STUDENT": (ONE, "teacher 1"),
    "LOCK_STUDENTS": (SOME,),
    "LOCK_OWNED_STUDENTS": (SOME, ["teacher 1"]),
    "EMAIL_HOLDERS": (SOME, ["teacher 1"], ["1@x.example"], ["1@x.example"]),
    "JOIN_CLASSES": (SOME, SOME, ["teacher 1"], SOME, SOME, ["pupil 701"]),
    "CLASS_DOCUMENT": (ONE, "teacher 1"),
    "ROSTER_DOCUMENT": (ONE, "teacher 1"),
    "LOCK_BATCHES_SUGGESTING": (ONE, "teacher 1", SOME),
    "WITHDRAW_SUGGESTIONS": (ONE, None, "teacher 1", SOME, "teacher 1"),
    "CLAIM_EMAIL": (ONE, ONE, "teacher 1", "new@x.example", "new@x.example"),
    "UNKEYED_STUDENTS": (ONE, 200),
    "COLLIDING_STUDENTS": (ONE, 200),
    "COUNT_WITHOUT_KEY": (),
    "DROP_STALE_KEYS": (SOME,),
    "LOCK_FREE_STUDENTS": (SOME,),
    "EMAIL_KEY_HOLDERS": (["teacher 1"], ["1@x.example"]),
    "LOCK_EMAIL_KEY_HOLDERS": (["teacher 1"], ["1@x.example"]),
    "DROP_KEYS": (SOME,),
    "KEEP_KEYS": (SOME, ["1@x.example"]),
    "ADDRESS_HOLDERS": (SOME, ["teacher 1"], ["1@x.example"]),
    "ENROL_PLACEHOLDER": (ONE, ONE, "teacher 1"),
    "LOCK_OUT_OF_PLACE": (ONE, 50),
    "SETTLE_STUDENTS": (SOME, [True], [None], [2]),
    "SUGGESTED_PLACEHOLDERS": (50,),
    "LOCK_MERGED": (SOME, "teacher 1"),
    "CLASSES_OF_STUDENTS": (SOME, "teacher 1"),
    "LOCK_OPEN_BATCHES": (ONE, "teacher 1", SOME),
    "HANDLED_BEFORE": (SOME,),
    "FIRST_DELIVERIES": (SOME,),
    "ENTERED_BY_COMMANDS": (SOME,),
    "LEAVE_INBOX": (SOME,),
    "LOCK_BATCHES": (SOME,),
    "STUDENTS_IN_CLASSES": (SOME, SOME),
    "ASSOCIATED_ESSAYS": (SOME,),
    "BATCH_SIZES": (SOME,),
    "GET_BATCH": (ONE, "teacher 1", None, None, None),
    "GET_ASSOCIATION": (ONE, "teacher 1", ONE),
    "LIST_BATCHES": ("teacher 1", None, 20, True, None, None, True, None, None, 0.7),
    "VALIDATION_STATUS": (SOME,),
    "KEEP_CLASS_OF_BATCH": (ONE, "teacher 1"),
    "SHARE_DECIDED": (ONE, ONE, "teacher 1"),
    "CORRECT": (ONE, "confirmed", ONE, "teacher 1"),
    "NOTE_TIMEOUT": (ONE,),
    "ESSAY_HISTORY": (ONE,),
    "LOCK_REFERRING": (ONE, SOME),
    "MOVE_ASSOCIATIONS": (ONE, ONE, SOME),
    "MOVE_HISTORY": (ONE, ONE),
    "LOCK_OWNED_BATCH": (ONE, "teacher 1"),
    "ASSOCIATIONS": (SOME,),
    "MEMBERS_AMONG": (ONE, SOME),
    "COUNT_DUE": (SOME,),
    "LOCK_FREE_BATCHES": (SOME,),
    "ESSAYS_TO_JUDGE": (SOME, SOME),
    "BATCH_STATES": (SOME,),
    "DECIDE_BY_CLOCK": (SOME, SOME, SOME, "SYSTEM_TIMEOUT", SOME, ["teacher 1"], SOME, SOME),
    "DECIDE_BY_HUMAN": (SOME, ["confirmed"], [ONE], "teacher 1", ONE, SOME, ONE),
    "CLOSING_ASSOCIATIONS": (SOME,),
    "DELETE_PENDING": (SOME,),
    "LOCK_BATCHES_OF_CLASS": (ONE,),
    "LOCK_BATCHES_OF_DELETED_CLASS": (ONE,),
    "DETACH_BATCHES": (ONE,),
    "REJECT_PENDING": (ONE, "teacher 1", "teacher 1", ONE, SOME),
    "BATCHES_WITHOUT_CLASS": (50,),
    "IDLE_BATCHES": (50,),
    "DELETED_AMONG": (SOME,),
    "FIND_DELETED_CLASS": (ONE,),
    "LEFT_MEANWHILE": (SOME, SOME),
    "OVERDUE": (200, 2.0, SOME),
    "PENDING_BATCHES": (None, 1000),
    "STUDENT_NAMES": (ONE,),
    "ESSAY_STUDENT": (ONE,),
    "CLASS_INFO": (SOME,),
    "DELETE_CLASS": (ONE, SOME),
    "DELETE_STUDENT": (ONE, SOME),
    "DROP_CLAIMS": (SOME,),
    "UPDATE_CLASS": (ONE, "n", "SV1", SOME, "9A-2026"),
    "OVERVIEW": (10_000,),
    "OUTBOX_BY_SHARD": (1_000,),
    "DUE_BY_HOUR": (timedelta(seconds=10),),
    "LEASE_SHARDS": (list(range(16)), 16),
    "FETCH_PACKS": (0xFFFF,),
    "DELETE_PACKS": ([1, 2], [1, 2]),
    "HELD": ([1, 2], ["topic", "topic"], [b"1", None]),
    "SET_ASIDE": ([1], [1], [2], ["topic"], [b"1"], [None], [b"[]"], ["too_large"]),
    "DECISIONS": (SOME,),
    "SENT_REPLAYS": (SOME,),
    "NAMED_BATCH": (ONE,),
    "STORIES_OF_CLASS": (ONE, 100),
    "STORED_BATCH": (ONE,),
    "ESSAYS_OF_BATCH": (ONE,),
    "DECISIONS_OF_BATCH": (ONE,),
    "UNSENT_OF_BATCH": ([1, 2], b"1", b"2", "topic"),
    "NOTE_REPLAYS": (SOME, ["stored"], [None]),
}

#: The same of the statements of imports.
IMPORT_READS: dict[str, tuple[object, ...]] = {
    "OWNER_STATE": ("teacher 1",),
    "TOUCHED_STATE": ("teacher 1", SOME, SOME),
    "MEMBERS": (SOME, "teacher 1"),
    "GET_IMPORT": (ONE, "teacher 1"),
    "LOCK_IMPORT": (ONE, "teacher 1"),
    "LIST_IMPORTS": ("teacher 1", 20, None, None),
    "PARTS": (ONE,),
    "IMPORT_ROWS": (ONE, 100, 0, "error", None, False),
    "APPLIED_ROWS": (ONE, 0, 2000),
    "RESTING": (ONE,),
    "SKIP_PARTS": (ONE,),
    "START_APPLYING": (ONE, ONE, None),
    "NEXT_IMPORT": (),
    "NEXT_PARTS": (ONE,),
    "PART_ROWS": (ONE, 1),
    "CREATING_ROWS": (ONE, SOME),
    "TAKE_OVER": (ONE, 1, SOME, ["{}"]),
    "PART_OVER": (ONE, 1, "done", None),
    "GO_ON": (ONE,),
    "END_IMPORT": (ONE,),
    "PART_FAILED": (ONE, 1, 8),
    "WAITING_IMPORTS": (),
    "LOCK_BATCHES_SUGGESTING": (SOME, "teacher 1", SOME),
    "SUGGESTED_AMONG": (SOME, ONE),
    "FREE_VALUES": (SOME,),
    "CHANGE_STUDENTS": (SOME, ["F"], ["L"], ["F L"], [None], [None], [None]),
    "TAKE_OUT": (ONE, SOME),
    "UNMARK_MEMBERS": (ONE, SOME),
    "MARK_MEMBERS": (ONE, SOME),
    "MOVE_MARKS": (ONE, ONE),
    "EXPIRE_IMPORT": (),
    "FORGET_IMPORT": (),
}

#: Of these, those that only insert.
IMPORT_INSERTS = frozenset(
    {
        "CLAIM_VALUES",
        "INSERT_IMPORT",
        "INSERT_PARTS",
        "INSERT_ROWS",
        "MARK_CLASS",
        "MARK_STUDENTS",
        "PUT_IN",
    }
)

#: No plan to look at: they insert, look at the short tables `parked`, `workers` and
#: `consumer_progress`, count or purge everything, or a person waits for them.
OTHERS = frozenset(
    {
        "ANNOUNCE",
        "ANNOUNCE_COMMIT",
        "AWAIT_SHARDS",
        "BACKLOG",
        "BATCHES_OF_CORRELATION",
        "CHANGES_PARTITIONS",
        "CHANNEL",
        "CLAIM_CLASS_EXTERNAL_ID",
        "CLAIM_EMAIL_KEYS",
        "CLAIM_EXTERNAL_IDS",
        "CLOCK",
        "CLOSE_BATCHES",
        "COUNT_DECIDED",
        "COUNT_SET_ASIDE",
        "CURSOR_KEY",
        "DECIDE_LETTERS",
        "DROP_PARTITION",
        "DROP_REFUSED",
        "ENTER_COMMANDS",
        "ENTER_INBOX",
        "EVERY_TYPE",
        "FORGET_DECISIONS",
        "FORGET_PROGRESS",
        "HELD_BATCHES",
        "INSERT_ASSOCIATIONS",
        "INSERT_BATCHES",
        "INSERT_CLASSES",
        "INSERT_CHANGES",
        "INSERT_PACKS",
        "INSERT_STUDENTS",
        "KNOWN_WORKERS",
        "KEEP_ALIVE",
        "KEEP_ANSWERS",
        "KEEP_PROGRESS",
        "LEASE_EMAIL_KEYS",
        "LEASE_IDLE",
        "LOCK_KEYS",
        "LOCK_PARKED",
        "LOCK_PARTITIONS",
        "MAKE_PARTITION",
        "MAY_BE_IDLE",
        "PARK",
        "PARKED_OF_BATCH",
        "POSTPONE_PARKED",
        "PROGRESS",
        "PURGE_DELETED_CLASSES",
        "PURGE_CHANGES",
        "PURGE_INBOX",
        "PURGE_KEYS",
        "REMEMBER_DELETED_CLASS",
        "REPLACE_DELETED_CLASS",
        "REFUSED",
        "RETRY_REFUSED",
        "TRANSACTION_CLOCK",
        "UNPARK",
        "UPDATE_STUDENT",
        "WITHDRAW",
        "WRITE_CHECK",
    }
)


def test_no_statement_is_forgotten() -> None:
    assert STATEMENTS.keys() == READS.keys() | OTHERS
    assert named("imports").keys() == IMPORT_READS.keys() | IMPORT_INSERTS


#: As sessions plan that may read a table from end to end where it looks cheaper: what takes an
#: index all the same has one that fits.
BY_COST: Final = {**PLANNING, "enable_seqscan": "on"}

#: Of these tables are read as a whole while nothing is known of them; few merge students.
OF_NEW_TABLES: Final = {"LOCK_REFERRING"}
#: As well, when the first rows are there: those of addresses that wait for a key, which new ones do
#: not.
OF_YOUNG_TABLES: Final = {*OF_NEW_TABLES, "EMAIL_KEY_HOLDERS", "LOCK_EMAIL_KEY_HOLDERS"}

#: What a service has after its first minutes, in tables that nobody has analyzed.
BEGIN = """
insert into classes (id, owner_id, name, course_code)
    select md5('c' || n)::uuid, 'teacher ' || n % 7, 'class ' || n, 'SV1'
    from generate_series(1, 30) as n;
insert into students (id, owner_id, first_name, last_name, legal_full_name, email, email_key,
        keyed_email)
    select md5('s' || n)::uuid, 'teacher ' || n % 7, 'F', 'L' || n, 'F L' || n, n || '@x.example',
        n || '@x.example', n || '@x.example'
    from generate_series(1, 600) as n;
insert into enrollments (class_id, student_id, owner_id)
    select classes.id, students.id, owner_id from classes join students using (owner_id);
insert into batches (id, class_id, correlation_id) select md5('b' || n)::uuid, id, id
    from classes cross join lateral substr(name, 7) as n;
insert into associations (essay_id, batch_id, suggested_student_id, confidence, match_reasons,
        status, confirm_by)
    select md5('e' || n || '/' || k)::uuid, md5('b' || n)::uuid, md5('s' || n)::uuid, 0.5, '{}',
        'pending_validation', now()
    from generate_series(1, 12) as n, generate_series(1, 30) as k;
"""


@pytest.fixture(scope="module")
def new_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    yield postgres_server.create_database("new", template=postgres_server.database)
    postgres_server.drop_database("new")


@pytest.fixture(scope="module")
def young_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    database = postgres_server.create_database("young", template=postgres_server.database)
    unwatched = [f"alter table {table} set (autovacuum_enabled = off)" for table in BIG]
    postgres_server.execute(";".join([*unwatched, BEGIN]), "young")
    yield database
    postgres_server.drop_database("young")


@pytest.fixture(scope="module", params=["nothing", "the first rows"])
def vacuumed_database(
    request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres
) -> Iterator[str]:
    database = postgres_server.create_database("vacuumed", template=postgres_server.database)
    if request.param != "nothing":
        postgres_server.execute(BEGIN, "vacuumed")
    for table in BIG:
        postgres_server.execute(f"vacuum analyze {table}", "vacuumed")
    yield database
    postgres_server.drop_database("vacuumed")


@pytest.fixture(scope="module")
def filled_database(migrated_database: str) -> str:
    async def fill() -> None:
        async with connected(migrated_database) as connection:
            await connection.execute(FILL)
            await connection.execute("vacuum batches")  # as autovacuum does

    asyncio.run(fill())
    return migrated_database


@pytest.mark.parametrize("name", READS)
async def test_a_read_of_big_tables_uses_an_index(filled_database: str, name: str) -> None:
    await assert_uses_indexes(filled_database, STATEMENTS[name], READS[name])


@pytest.mark.parametrize("name", sorted(READS.keys() - OF_NEW_TABLES))
async def test_a_read_of_tables_that_have_just_begun_uses_an_index(
    new_database: str, name: str
) -> None:
    """Such a plan is kept until the tables are analyzed, when they may have grown."""
    await assert_uses_indexes(new_database, STATEMENTS[name], READS[name])


@pytest.mark.parametrize("name", sorted(READS.keys() - OF_YOUNG_TABLES))
async def test_a_read_of_tables_with_their_first_rows_uses_an_index(
    young_database: str, name: str
) -> None:
    await assert_uses_indexes(young_database, STATEMENTS[name], READS[name])


@pytest.mark.parametrize("name", READS)
async def test_a_read_of_tables_that_are_known_to_be_small_uses_an_index(
    vacuumed_database: str, name: str
) -> None:
    """Such a plan is kept, too: what is small may grow by a gigabyte before it is made anew."""
    await assert_uses_indexes(vacuumed_database, STATEMENTS[name], READS[name], PLANNING)


@pytest.mark.parametrize("name", IMPORT_READS)
async def test_a_read_of_imports_with_the_first_rows_uses_an_index(
    young_database: str, name: str
) -> None:
    await assert_uses_indexes(young_database, getattr(sql.imports, name), IMPORT_READS[name])


@pytest.mark.parametrize("name", IMPORT_READS)
async def test_a_read_of_imports_uses_an_index(filled_database: str, name: str) -> None:
    statement = getattr(sql.imports, name)
    await assert_uses_indexes(filled_database, statement, IMPORT_READS[name])


async def assert_uses_indexes(
    database: str,
    statement: str,
    values: tuple[object, ...],
    settings: dict[str, str] = BY_COST,
) -> None:
    async with connected(database, server_settings=settings) as connection:
        transaction = connection.transaction()
        await transaction.start()
        rows = await explained(connection, "", statement, values)
        await transaction.rollback()
    plan = "\n".join(row[0] for row in rows)
    scanned = set(re.findall(r"Seq Scan on (\w+)", plan))
    assert not scanned & set(BIG), plan


async def explained(
    connection: asyncpg.Connection, options: str, statement: str, values: tuple[object, ...]
) -> "list[asyncpg.Record]":
    """Return the plan that a session of the service would keep; `explain` alone makes another.

    Once for a connection.
    """
    prepared = await connection.prepare(statement, name="explained")
    values_sql = ", ".join(map(literal, values))
    arguments = f"({values_sql})" if values else ""
    return await connection.fetch(f"explain {options} execute {prepared.get_name()}{arguments}")


def literal(value: object) -> str:
    """Return a value as SQL of no type."""
    if value is None:
        return "null"
    text = f"{{{','.join(map(element, value))}}}" if isinstance(value, list) else text_of(value)
    return "'{}'".format(text.replace("'", "''"))


def element(value: object) -> str:
    """Return a value as an array's text has it."""
    return "null" if value is None else f'"{text_of(value)}"'.replace("\\", "\\\\")


def text_of(value: object) -> str:
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


Plan = dict[str, Any]


async def carried_out(database: str, name: str, *values: object) -> Plan:
    """Return the plan of a statement with what it really read."""
    async with connected(database, server_settings=PLANNING) as connection:
        ((text,),) = await explained(connection, "(analyze, format json)", STATEMENTS[name], values)
    plan: Plan = json.loads(text)[0]["Plan"]
    return plan


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def rows_read(plan: Plan, table: str) -> float:
    """Return how many rows of a table were looked at."""
    counted: list[float] = [
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(plan)
        if node.get("Relation Name") == table
    ]
    return sum(counted)


@pytest.mark.parametrize(
    "parts",
    [
        (True, None, None, True, None, None),
        (True, LONG_AGO, ONE, True, None, None),
        (False, None, None, True, YESTERDAY, ONE),
    ],
)
async def test_a_page_of_a_long_list_reads_little_more_than_the_page(
    filled_database: str, parts: tuple[object, ...]
) -> None:
    plan = await carried_out(filled_database, "LIST_BATCHES", "teacher 2", None, 20, *parts, 0.7)
    # Ten classes: of each the open ones, and a page of the closed ones.
    assert 0 < rows_read(plan, "batches") < 500
    # Those of the page, and the soonest of each open one.
    assert rows_read(plan, "associations") < 30 * 40


@pytest.mark.parametrize("place", [(None, None), (LONG_AGO, ONE)])
async def test_a_page_of_many_classes_reads_no_more_than_the_page(
    filled_database: str, place: tuple[object, object]
) -> None:
    async with (
        connected(filled_database, server_settings=PLANNING) as connection,
        connection.transaction(),
    ):
        await connection.execute(MANY_CLASSES)
        values = ("many", 20, 0, *place)
        ((text,),) = await explained(
            connection, "(analyze, format json)", sql.classes.LIST_CLASSES, values
        )
        await connection.execute("delete from classes where owner_id = 'many'")
    plan = json.loads(text)[0]["Plan"]
    assert plan["Actual Rows"] == 21
    assert rows_read(plan, "classes") == 21


async def test_a_batchs_students_are_looked_up_once(filled_database: str) -> None:
    plan = await carried_out(filled_database, "GET_BATCH", PENDING, "teacher 2", None, None, None)
    assert plan["Actual Rows"] == 30
    assert rows_read(plan, "associations") <= 2 * 30
    assert rows_read(plan, "enrollments") <= 1


async def test_who_has_an_address_is_not_looked_for_among_all(filled_database: str) -> None:
    email = "1@x.example"
    conditions = (None, None, None, None, None, None, email, None, 21, email)
    plan = await carried_out(filled_database, "FIND_STUDENTS", "teacher 1", *conditions)
    assert plan["Actual Rows"] == 1
    assert rows_read(plan, "students") == 1


async def test_the_students_of_a_class_are_not_looked_for_among_all(filled_database: str) -> None:
    """Teacher 3 has 143 students; in this class is UNKNOWN alone."""
    class_id = UUID(md5(b"c3", usedforsecurity=False).hexdigest())
    conditions = (None, None, None, NOW, False, None, None, class_id, 21, None)
    plan = await carried_out(filled_database, "FIND_STUDENTS", "teacher 3", *conditions)
    assert rows_read(plan, "students") == 1
    assert rows_read(plan, "enrollments") == 1


async def test_what_imports_left_of_other_owners_is_not_read(filled_database: str) -> None:
    """Also where reading all of it looks cheaper, as it does with statistics that are old."""
    settings = {**PLANNING, "enable_nestloop": "off"}
    async with connected(filled_database, server_settings=settings) as connection:
        ((text,),) = await explained(
            connection, "(analyze, format json)", sql.imports.OWNER_STATE, ("teacher 3",)
        )
    plan = json.loads(text)[0]["Plan"]
    assert 0 < rows_read(plan, "import_marks") <= 143
    assert 0 < rows_read(plan, "import_class_marks") <= 10
