"""Match suggestions, and the teachers who decide some of them before the clock does."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaProducer

from bench import seed
from bench.mixed.commands import Commands
from bench.mixed.teachers import Teachers
from bench.suggestions import SURE, TOPIC, Batch

LOOK_SECONDS: Final = 0.5
#: Of each ten batches, how many are confirmed over HTTP, and how many by a command; the others are
#: left to the clock.
ROUND: Final = 10
BY_REQUEST: Final = 4
BY_COMMAND: Final = 1
#: One in this many essays has a wrong suggestion.
REJECTED: Final = 10
#: One in this many batches is doubtful: the clock gives its essays to the unknown student.
DOUBTFUL: Final = 5
UNSURE: Final = 0.5
#: With less than this share of the time left, a teacher leaves the batch to the clock: no race.
LATE: Final = 1 / 3

_STORED: Final = """
select batches.id, extract(epoch from min(confirm_by) - clock_timestamp())::float8 as ahead
from batches join associations on associations.batch_id = batches.id
where batches.id = any($1::uuid[]) group by batches.id
"""

Start = Callable[[Coroutine[Any, Any, None]], object]


class Suggestions:
    """Sends batches, and lets teachers decide them once they are stored."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        connection: "asyncpg.Connection[asyncpg.Record]",
        teachers: Teachers,
        commands: Commands,
        timeout_seconds: float,
    ) -> None:
        """Take a connection that nothing else uses, and the service's timeout."""
        self._producer = producer
        self._connection = connection
        self._teachers = teachers
        self._commands = commands
        self._latest = timeout_seconds * LATE
        self.waiting: dict[UUID, int] = {}
        """Batches that are not stored yet, with their numbers."""
        self.sent = 0

    async def act(self, number: int) -> None:
        """Send the next batch."""
        confidence = UNSURE if number % DOUBTFUL == 0 else SURE
        batch = Batch(number, seed.CLASS_SIZE, confidence)
        self.waiting[batch.id] = number
        self.sent += 1
        await self._producer.send(TOPIC, batch.value, key=batch.key)

    async def decide(self, start: Start) -> None:
        """Look for stored batches until cancelled, and start their decisions."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for row in await self._connection.fetch(_STORED, list(self.waiting)):
                place = self.waiting.pop(row["id"]) % ROUND
                until = time.monotonic() + row["ahead"]
                if row["ahead"] > self._latest and place < BY_REQUEST + BY_COMMAND:
                    start(self._confirm(row["id"], until, by_request=place < BY_REQUEST))

    async def _confirm(self, batch_id: UUID, until: float, *, by_request: bool) -> None:
        """Decide a whole batch; a request served after the deadline comes after the clock."""
        path = f"/v1/batches/{batch_id}/student-associations"
        if (shown := await self._teachers.ask("GET", path)) is None:
            return
        decisions = [
            {"essay_id": one["essay_id"], "confirmed": number % REJECTED != 0}
            for number, one in enumerate(shown["associations"])
        ]
        if not by_request:
            members = {"command": "associations.confirm", "batch_id": batch_id}
            await self._commands.send(seed.OWNER, {**members, "associations": decisions}, until)
            return
        path += "/confirm"
        status, text = await self._teachers.send("POST", path, {"associations": decisions})
        is_late = status == HTTPStatus.CONFLICT and time.monotonic() >= until
        if status not in {0, HTTPStatus.OK} and not is_late:
            self._teachers.fault("POST", path, status, text)
