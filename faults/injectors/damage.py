"""Record batches that nobody can decode: damaged on the broker's disk, as a bad disk leaves them.

A broker checks what producers send, so damage is done to its files while it is stopped. The batch's
checksum is made right again where the codec is to be what fails.
"""

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

from aiokafka.record.util import calc_crc32c

from devstack.process import DevstackError
from devstack.rig.envelopes import COMMANDS, SUGGESTIONS
from devstack.rig.kafka import PARTITIONS
from faults.history import Undecodable
from faults.injectors.codecs import CHANGELOG
from faults.injectors.scene import Fault, Scene
from faults.injectors.senders import own_producer
from faults.injectors.servers import START_SECONDS, STOP_SECONDS
from faults.injectors.workers import without_table
from rules.topics import TIMERS

Damage = Callable[[bytearray], None]

#: Of a record batch, by Kafka's format 2: where its parts begin.
LENGTH_AT: Final = 8
CRC_AT: Final = 17
ATTRIBUTES_AT: Final = 21
RECORDS_AT: Final = 61
HEAD: Final = struct.Struct(">qi")
CODECS: Final = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
UNKNOWN_CODEC: Final = 7


def wrong_checksum(batch: bytearray) -> None:
    """Flip a bit of the records and leave the checksum."""
    batch[RECORDS_AT + 1] ^= 0x10


def unknown_codec(batch: bytearray) -> None:
    """Say that the records are compressed by what does not exist."""
    batch[ATTRIBUTES_AT + 1] = batch[ATTRIBUTES_AT + 1] & ~7 | UNKNOWN_CODEC
    _checksum(batch)


def corrupt(codec: int) -> Damage:
    """Return the damage that makes records garbage to a codec."""

    def damage(batch: bytearray) -> None:
        batch[ATTRIBUTES_AT + 1] = batch[ATTRIBUTES_AT + 1] & ~7 | codec
        batch[RECORDS_AT:] = b"\xa5" * len(batch[RECORDS_AT:])
        _checksum(batch)

    return damage


def _checksum(batch: bytearray) -> None:
    struct.pack_into(">I", batch, CRC_AT, calc_crc32c(bytes(batch[ATTRIBUTES_AT:])))


DAMAGES: Final[tuple[Damage, ...]] = (
    wrong_checksum,
    unknown_codec,
    *(corrupt(number) for number in CODECS.values()),
)


async def damaged(scene: Scene) -> int:
    """Damage batches on every topic while the broker is stopped.

    No worker runs meanwhile, which would read them before, and none has a table afterwards: it is
    read from the changelog.
    """
    places = [
        (topic, scene.rng.randrange(PARTITIONS), damage)
        for topic in (SUGGESTIONS, COMMANDS, TIMERS, CHANGELOG)
        for damage in DAMAGES
    ]
    for worker in scene.rig.workers:
        await asyncio.to_thread(worker.kill)
    offsets = await _write(scene, [(topic, partition) for topic, partition, _ in places])
    await asyncio.to_thread(scene.rig.kafka.stop, STOP_SECONDS)
    try:
        for (topic, partition, damage), offset in zip(places, offsets, strict=True):
            await asyncio.to_thread(_damage, scene, (topic, partition, offset), damage)
    finally:
        await asyncio.to_thread(scene.rig.kafka.start, START_SECONDS)
    for worker in scene.rig.workers:
        await without_table(worker)
    return len(places)


async def _write(scene: Scene, places: list[tuple[str, int]]) -> list[int]:
    """Write a record, in a batch of its own, to each place; return their offsets."""
    history, clock = scene.sender.history, scene.sender.clock
    offsets = []
    async with own_producer(scene) as producer:
        for topic, partition in places:
            value, key = b"to be damaged " + uuid4().bytes * 8, uuid4().hex.encode()
            done = await producer.send_and_wait(topic, value, key=key, partition=partition)
            history.undecodable.append(Undecodable(topic, partition, done.offset, clock()))
            offsets.append(done.offset)
    return offsets


def _damage(scene: Scene, place: tuple[str, int, int], damage: Damage) -> None:
    """Change a batch in the broker's file. Raises `DevstackError` if it is not there."""
    topic, partition, offset = place
    folder = scene.rig.kafka.data_dir / "logs" / f"{topic}-{partition}"
    for path in sorted(folder.glob("*.log")):
        if _change(path, offset, damage):
            return
    raise DevstackError(f"no record batch at {topic}/{partition}/{offset}")


def _change(path: Path, offset: int, damage: Damage) -> bool:
    content = bytearray(path.read_bytes())
    begin = 0
    while begin + RECORDS_AT <= len(content):
        base, length = HEAD.unpack_from(content, begin)
        end = begin + HEAD.size + length
        if base == offset:
            batch = content[begin:end]
            damage(batch)
            content[begin:end] = batch
            path.write_bytes(content)
            return True
        if length <= 0:
            break
        begin = end
    return False


FAULTS = {
    "messages_damaged": Fault(
        "kafka", damaged, seconds=60.0, well_seconds=150.0, alone=True, damages_logs=True
    )
}
