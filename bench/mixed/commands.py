"""Commands over Kafka, each with its expected result."""

import itertools
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench import seed
from bench.mixed.tally import Tally
from rules import topics
from rules.events.envelopes import publish
from rules.models import Trace

#: Commands with the same one of these as key take effect in order.
USERS: Final = 8
APPLIED: Final = "applied"
CONFLICT: Final = "BATCH_CONFLICT"


class Commands:
    """Sends commands, and compares their results with the expected ones."""

    def __init__(self, producer: AIOKafkaProducer, results: AIOKafkaConsumer, tally: Tally) -> None:
        """`results` reads the topic of results from its end on."""
        self._producer = producer
        self._results = results
        self._tally = tally
        self._stories = [_story(f"commander-{n}") for n in range(USERS)]
        self.waiting: dict[UUID, tuple[str, float]] = {}
        """Commands without a result, by event id: name, and from when on they may be too late."""
        self.sent = 0

    async def act(self, number: int) -> None:
        """Send the next command."""
        user, members = next(self._stories[number % USERS])
        await self.send(user, members)

    async def send(self, user: str, members: dict[str, Any], until: float = math.inf) -> None:
        """Send a command of a user; from `until` on (`time.monotonic`) the clock may decide."""
        data = {"user_id": user, **members}
        event_id = uuid4()
        message = publish(topics.COMMANDS, user, data, Trace(event_id), datetime.now(UTC), event_id)
        self.waiting[event_id] = members["command"], until
        self.sent += 1
        headers = list(message.headers)
        await self._producer.send(message.topic, message.value, message.key, headers=headers)

    async def read_results(self) -> None:
        """Read until cancelled."""
        async for record in self._results:
            data = orjson.loads(record.value)["data"]
            name, until = self.waiting.pop(UUID(data["command_id"]), (None, 0.0))
            if name is None or data["status"] == APPLIED:
                continue
            if data["error_code"] != CONFLICT or time.monotonic() < until:
                self._tally.fault(f"{name}: {data['status']}, {data['detail']} {data['errors']}")


def _story(user: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a user's commands, class by class; each needs the one before."""
    for number in itertools.count():
        cls, student = uuid4(), uuid4()
        name = {"first_name": "Đorđe", "last_name": "Åkerblom"}
        roster = [{"person_name": name} for _ in range(seed.CLASS_SIZE)]
        member = {"student_id": student, "person_name": name, "class_ids": [cls]}
        steps: list[dict[str, Any]] = [
            {"command": "class.create", "class_id": cls, "name": "8B", "course_codes": ["SV1"]},
            {"command": "roster.register", "class_id": cls, "students": roster},
            {"command": "student.create", "email": f"{uuid4().hex}@skola.example", **member},
            {"command": "student.update", "student_id": student, "email": None},
            {"command": "student.delete", "student_id": student},
            {"command": "class.update", "class_id": cls, "name": f"8B {number}"},
            {"command": "class.delete", "class_id": cls},
        ]
        yield from ((user, step) for step in steps)
