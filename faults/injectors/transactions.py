"""Kafka's transactions: aborted ones are nothing, and each committed record is one."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaProducer

from devstack.rig.envelopes import COMMANDS, SUGGESTIONS
from devstack.rig.kafka import PARTITIONS
from faults.injectors.scene import Fault, Scene
from faults.injectors.senders import own_producer, own_sender
from faults.sender import enveloped
from faults.workload.roster import new_class, new_student

ABORTED: Final = 12
#: Committed transactions of one record each.
COMMITTED: Final = 60
OPEN_SECONDS: Final = 3.0


class AbortedError(Exception):
    """Ends a transaction."""


async def aborted(scene: Scene) -> int:
    """Abort transactions with readable messages, among committed ones of one record each."""
    scene.sender.history.transactions = True
    async with own_producer(scene, transactional_id=f"fault-{uuid4()}") as producer:
        for number in range(ABORTED):
            with suppress(AbortedError):
                async with producer.transaction():
                    await _send_all(producer, _unwanted(scene), number % PARTITIONS)
                    # One stays open for a while: its partition waits, and no other.
                    await asyncio.sleep(OPEN_SECONDS if number == 0 else 0)
                    raise AbortedError
    await _committed(scene)
    return ABORTED + COMMITTED


async def _committed(scene: Scene) -> None:
    async with own_sender(scene, transactional_id=f"fault-{uuid4()}") as sender:
        for number in range(COMMITTED):
            student = str(uuid4())
            body = new_student() | {"student_id": student}
            async with sender.producer.transaction():
                await sender.command(
                    *("student.create", scene.health.user, body, student),
                    partition=number % PARTITIONS,
                )


def _unwanted(scene: Scene) -> Sequence[tuple[str, bytes, bytes]]:
    """Return a command and suggestions that nobody has recorded: no effect of them may be found."""
    class_id, batch_id, user = str(uuid4()), str(uuid4()), scene.health.user
    command = {"command": "class.create", "user_id": user, "class_id": class_id} | new_class()
    suggested = {
        "batch_id": batch_id,
        "class_id": scene.health.class_id,
        "match_results": [{"essay_id": str(uuid4()), "suggestions": []}],
    }
    return [
        (COMMANDS, user.encode(), orjson.dumps(enveloped(COMMANDS, command))),
        (SUGGESTIONS, batch_id.encode(), orjson.dumps(enveloped(SUGGESTIONS, suggested))),
    ]


async def _send_all(
    producer: AIOKafkaProducer, records: Sequence[tuple[str, bytes, bytes]], partition: int
) -> None:
    for topic, key, value in records:
        await producer.send_and_wait(topic, value, key=key, partition=partition)


FAULTS = {"messages_aborted": Fault("messages", aborted, alone=True)}
