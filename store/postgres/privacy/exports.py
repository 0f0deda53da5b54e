"""What is stored of a subject, row by row, all of one moment."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

import orjson

from rules.personal import redaction
from rules.personal.redaction import Traces
from rules.personal.subjects import Kind, Subject
from store.postgres import rows, sql
from store.postgres.database import Connection, Database

_PARAMETER: Final = re.compile(r"\$(\d+)")


def statements(subject: Subject) -> Mapping[str, str]:
    """Return what finds the rows of a subject, by table."""
    return sql.privacy.OF_USER if subject.kind is Kind.USER else sql.privacy.OF_STUDENT


async def counts(connection: Connection, subject: Subject) -> dict[str, int]:
    """Return how many rows have something of a subject, by table; only those with any."""
    found: dict[str, int] = {}
    for table, statement in statements(subject).items():
        values = _values(subject, statement)
        number = await connection.fetchval(sql.privacy.counted(statement), *values)
        if number:
            found[table] = number
    return found


async def export(
    database: Database, subject: Subject
) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
    """Yield the rows of a subject, each with its table."""
    async with (
        database.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(sql.sessions.MAY_BE_IDLE)
        for table, statement in statements(subject).items():
            async for row in connection.cursor(statement, *_values(subject, statement)):
                yield table, _shown(row, subject)


def _values(subject: Subject, statement: str) -> Sequence[object]:
    every = subject.id, subject.id.encode(), orjson.dumps(subject.id)
    used = max(int(number) for number in _PARAMETER.findall(statement))
    return every[:used]


def _shown(row: rows.Row, subject: Subject) -> dict[str, Any]:
    """Return a row as JSON; of what is told of many students that of this one."""
    shown: dict[str, Any] = orjson.loads(row["row"])
    if "raw" not in row.keys():  # noqa: SIM118  # a record's members are its values
        return shown
    value = redaction.read(row["raw"])
    if subject.kind is Kind.STUDENT:
        value = list(redaction.about(value, Traces(subject.id)))
    return {**shown, "content": value}
