"""Messages in compressed record batches, and poison in them, on every topic that is read."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

import orjson

from devstack.rig.envelopes import COMMANDS, SUGGESTIONS
from devstack.rig.kafka import PARTITIONS
from faults.history import Sent
from faults.injectors.records import UNREADABLE
from faults.injectors.scene import Fault, Scene
from faults.injectors.senders import own_sender
from faults.injectors.topics import GROUP
from faults.injectors.workers import without_table
from faults.sender import Sender, enveloped
from faults.workload.roster import new_student
from rules.topics import TIMERS
from tables.names import changelog_topic

CODECS: Final = ("gzip", "snappy", "lz4", "zstd")
CHANGELOG: Final = changelog_topic(GROUP)
#: Unreadable as a timer, whatever its key.
BAD_TIMERS: Final = (b"", b"\xff{", b"null", b"[]", b'{"data": {}}')
BAD_ENTRIES: Final = (b"", b"\x00", b"\xff" * 40, b'{"a": 1}')
#: A compacted topic takes none without a key.
BAD_KEYS: Final = (b"", b"k", b"\xff" * 17, b"\x00" * 200)


async def codecs(scene: Scene) -> int:
    """Send commands and suggestions with each codec, to every partition."""
    struck = 0
    for codec in CODECS:
        async with own_sender(scene, compression_type=codec) as sender:
            for number in range(PARTITIONS):
                await _suggestion(scene, sender, number)
                await _command(scene, sender, number)
                struck += 2
    return struck


async def poison(scene: Scene) -> int:
    """Send poison with each codec to all four topics, and restart workers without their tables."""
    struck = 0
    for codec in CODECS:
        async with own_sender(scene, compression_type=codec) as sender:
            struck += await _unreadable(sender)
            struck += await _timers(sender)
            struck += await _entries(sender)
    for worker in scene.rig.workers:
        await without_table(worker)
    return struck


async def _suggestion(scene: Scene, sender: Sender, partition: int) -> None:
    batch_id = str(uuid4())
    results = [{"essay_id": str(uuid4()), "suggestions": []}]
    data = {"batch_id": batch_id, "class_id": scene.health.class_id, "match_results": results}
    envelope = enveloped(SUGGESTIONS, data)
    await sender.message(SUGGESTIONS, batch_id, envelope, partition=partition)


async def _command(scene: Scene, sender: Sender, partition: int) -> None:
    student = str(uuid4())
    body = new_student() | {"student_id": student}
    await sender.command("student.create", scene.health.user, body, student, partition=partition)


async def _unreadable(sender: Sender) -> int:
    """Send what the consumed topics cannot have."""
    for topic in (SUGGESTIONS, COMMANDS):
        for make in UNREADABLE:
            await _write(sender, topic, uuid4().hex.encode(), make(topic))
    return 2 * len(UNREADABLE)


async def _timers(sender: Sender) -> int:
    """Send timers that cannot be read, and one that can and is absurd."""
    for value in BAD_TIMERS:
        await _write(sender, TIMERS, uuid4().hex.encode(), value)
    for absurd in _absurd_timers():
        batch_id = str(uuid4())
        envelope = enveloped(TIMERS, absurd | {"event": "armed", "batch_id": batch_id})
        await _write(sender, TIMERS, batch_id.encode(), orjson.dumps(envelope), readable=True)
    return len(BAD_TIMERS) + len(_absurd_timers())


def _absurd_timers() -> Sequence[dict[str, Any]]:
    """Return timers at the ends of the calendar, which UTC cannot express."""
    common = {"class_id": str(uuid4()), "pending_count": 1, "armed_at": "2026-11-20T08:15:30Z"}
    return [
        common | {"confirm_by": "9999-12-31T23:59:59-23:59"},
        common | {"confirm_by": "0001-01-01T00:00:00+23:59"},
        common | {"confirm_by": "9999-12-31T23:59:59Z", "pending_count": 2**31},
    ]


async def _entries(sender: Sender) -> int:
    """Write into the table's changelog what it never has; the checker asks for nothing there."""
    for key in BAD_KEYS:
        for value in BAD_ENTRIES:
            await sender.producer.send_and_wait(CHANGELOG, value, key=key)
    return len(BAD_KEYS) * len(BAD_ENTRIES)


async def _write(
    sender: Sender, topic: str, key: bytes, value: bytes | None, *, readable: bool = False
) -> None:
    sent = Sent(topic, key, value, (), sender.clock(), readable=readable)
    await sender.write(sender.history.send(sent))


FAULTS = {
    "messages_codecs": Fault("messages", codecs, alone=True),
    "messages_poison_codecs": Fault("messages", poison, seconds=35.0, alone=True),
}
