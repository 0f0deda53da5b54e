"""No room: PostgreSQL's disk is full, or its outbox has as many rows as after a long outage."""

import asyncio
import contextlib
from pathlib import Path
from typing import Final
from uuid import uuid4

from faults.history import Op, Outcome
from faults.injectors.database import beside
from faults.injectors.scene import Fault, Scene
from faults.sender import FLOOD, FLOOD_TOPIC
from rules.shards import shard_of

BALLAST: Final = "ballast"
CHUNK_BYTES: Final = 256 * 1024
FLOOD_MESSAGES: Final = 1_000_000
FLOOD_KEYS: Final = 1_000

#: Messages like the service's, each with its own event id, in packs of about 16.
INSERT: Final = """
insert into outbox_packs (shard, messages, content)
select shard, count(*), string_agg(outbox_piece($1, convert_to(key, 'UTF8'),
    convert_to(json_build_object('event_id', event_id, 'event_type', $1::text,
        'correlation_id', $2::text, 'data', json_build_object('sequence', number))::text, 'UTF8'),
    convert_to(json_build_array(json_build_array('event_id', event_id))::text, 'UTF8')
), '' order by number)
from (
    select number, gen_random_uuid() as event_id, keys.key, keys.shard
    from generate_series(0, $3::integer - 1) as number
    join unnest($4::text[], $5::smallint[]) with ordinality as keys (key, shard, position)
        on position = number % $6::integer + 1
) as messages
group by number / 256, shard order by number / 256
"""


async def disk_full(scene: Scene) -> int:
    """Fill the disk of PostgreSQL's data, then free it again; not where a failover has moved it."""
    if not scene.rig.on_small_disk:
        return 0
    ballast = scene.rig.postgres.data_dir / BALLAST
    try:
        await asyncio.to_thread(_fill, ballast)
        await scene.hold(10, 30)
    finally:
        ballast.unlink(missing_ok=True)
    if scene.rig.postgres.pid is None:
        # Without room for its log it exits, and is restarted as by a supervisor.
        await asyncio.to_thread(scene.rig.postgres.start, 90.0)
    return 1


def _fill(ballast: Path) -> None:
    """Write until nothing more fits; PostgreSQL uses the same disk during that."""
    chunk = bytes(CHUNK_BYTES)
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(chunk) == CHUNK_BYTES:
            pass


async def outbox_flood(scene: Scene) -> int:
    """Put as many messages into the outbox as hours without Kafka would leave."""
    op = Op(str(uuid4()), FLOOD, "", None, {"rows": FLOOD_MESSAGES}, scene.sender.clock())
    scene.sender.history.op(op)
    keys = [f"flood-{number}" for number in range(FLOOD_KEYS)]
    await asyncio.to_thread(scene.rig.kafka.stop)
    async with beside(scene) as connection:
        await connection.execute(
            INSERT,
            *(FLOOD_TOPIC, op.id, FLOOD_MESSAGES, keys),
            [shard_of(key.encode()) for key in keys],
            FLOOD_KEYS,
            timeout=600,
        )
    op.outcome, op.ended = Outcome.ACKED, scene.sender.clock()
    await asyncio.to_thread(scene.rig.kafka.start, 90.0)
    return FLOOD_MESSAGES


FAULTS = {
    "postgres_disk_full": Fault("postgres", disk_full, needs_small_disk=True, seconds=40.0),
    "outbox_flood": Fault("kafka", outbox_flood, seconds=180.0, well_seconds=480.0),
}
