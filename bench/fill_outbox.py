"""Events of new students in the outbox, put there by the code that the worker has, too.

`python -P bench/fill_outbox.py COUNT`, with PYTHONPATH: a checkout, whose schema and form of the
outbox may be others than ours. Says `ready` before it commits, which it does when its input ends.
"""

import asyncio
import os
import sys
from dataclasses import replace
from typing import Any

import asyncpg

from rules.events import roster
from rules.ids import new_id
from rules.models import Caller, NewStudent, OutboxMessage, PersonName, Trace
from store.clock import utc_now
from store.postgres import outbox

AT_ONCE = 1_000
FILL_SECONDS = 300.0


def events(count: int) -> list[OutboxMessage]:
    """Return as many StudentCreatedV1, which differ in their keys alone."""
    name = PersonName("Đorđe", "Åkerblom", "Đorđe Åkerblom")
    new = NewStudent(new_id(), name, "elev@skola.example", ())
    [event] = roster.student_created(Caller("bench", Trace(new_id())), new, (), utc_now())
    return [replace(event, key=str(new_id()).encode()) for _ in range(count)]


async def main(dsn: str, count: int) -> None:
    """Put them there in one transaction."""
    # Without a pool: of a connection in one the statements use nothing else.
    connection: Any = await asyncpg.connect(dsn, command_timeout=FILL_SECONDS)
    async with connection.transaction():
        for start in range(0, count, AT_ONCE):
            await outbox.put(connection, events(min(AT_ONCE, count - start)))
        print("ready", flush=True)
        sys.stdin.read()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(os.environ["CLASS_MANAGEMENT_SERVICE_DATABASE_URL"], int(sys.argv[1])))
