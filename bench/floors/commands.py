"""aiokafka and asyncpg alone: students from commands, as in `bench.floors.pipeline`.

`python -m bench.floors.commands PORT BOOTSTRAP_SERVERS TOPIC EVENTS_TOPIC`
"""

import os
import sys
from collections.abc import Sequence
from uuid import UUID

import uvloop

from bench.database import Connection
from bench.floors import storing
from bench.floors.pipeline import Read, Work, main
from bench.floors.server import FLOOR_DSN
from bench.floors.students import command, messages, rows


class Commands(Work):
    """Creates students, whose messages and results go to topics of its own."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def read(self, value: bytes, delivery: UUID) -> Read:
        """Read a command."""
        there = command(value)
        sent = [*messages(there, self._topic)]
        return Read(UUID(there.event_id), delivery, [*rows(there)], sent)

    async def store(self, connection: Connection, read: Sequence[Read]) -> None:
        """Store the students."""
        columns = storing.transposed(row for one in read for row in one.rows)
        await connection.execute(storing.STORE_STUDENTS, *columns)


if __name__ == "__main__":
    uvloop.run(
        main(
            int(sys.argv[1]),
            sys.argv[2],
            sys.argv[3],
            os.environ[FLOOR_DSN],
            Commands(sys.argv[4]),
        )
    )
