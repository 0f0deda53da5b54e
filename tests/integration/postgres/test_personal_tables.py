"""Every table, column and topic is declared: whose data it has, and what becomes of it."""

from typing import Final

from devstack.rig.database import connected
from rules import topics
from rules.personal.declarations import TABLES, TOPICS, Erasing, Whose
from store.postgres import sql

#: A partition is its table, and a view has what tables have.
COLUMNS: Final = """
select coalesce(
        (select inhparent from pg_inherits where inhrelid = attrelid), attrelid
    )::regclass::text as of_table,
    array_agg(distinct attname::text) as columns
from pg_attribute join pg_class on pg_class.oid = attrelid
where relkind in ('r', 'p', 'm', 'f') and attnum > 0 and not attisdropped
    and relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    and relnamespace::regnamespace::text not like 'pg_toast%'
group by 1
"""


async def test_every_column_of_the_schema_is_declared(migrated_database: str) -> None:
    async with connected(migrated_database) as connection:
        stored = {r["of_table"]: set(r["columns"]) for r in await connection.fetch(COLUMNS)}
    assert stored == {name: set(table.columns) for name, table in TABLES.items()}


def test_what_has_personal_data_is_exported() -> None:
    personal = {name for name, table in TABLES.items() if table.is_personal}
    assert sql.privacy.OF_USER.keys() == personal
    of_students = {
        name
        for name, table in TABLES.items()
        if any(column.whose is not Whose.TEACHER for column in table.personal.values())
    }
    assert of_students <= sql.privacy.OF_STUDENT.keys()


def test_who_decided_is_a_pseudonym_and_not_nobody() -> None:
    by = TABLES["associations"].personal["validated_by"]
    assert by.erasing is Erasing.PSEUDONYM


def test_every_topic_is_declared_with_how_long_its_messages_stay() -> None:
    assert {topic.name for topic in TOPICS} == set(topics.ALL)
    days = {topic.name: topic.days for topic in TOPICS}
    assert days[topics.STUDENT_CREATED] == 7
    assert days[topics.dead_letter_topic(topics.MATCHES_SUGGESTED)] == 30
