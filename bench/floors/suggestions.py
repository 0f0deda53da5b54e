"""aiokafka and asyncpg alone: suggestions of the matching service, as in `bench.floors.pipeline`.

`python -m bench.floors.suggestions PORT BOOTSTRAP_SERVERS TOPIC`

Its timers and notifications go to the topics TOPIC.timers and TOPIC.notified.
"""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
import uvloop

from bench import seed
from bench.database import Connection
from bench.floors import storing
from bench.floors.pipeline import Read, Work, main
from bench.floors.server import FLOOR_DSN
from bench.floors.students import message, now

ARMED: Final = (
    '{{"event":"armed","batch_id":"{batch_id}","class_id":"{class_id}","pending_count":{essays},'
    '"confirm_by":"{confirm_by}","armed_at":"{at}"}}'
)
TOLD: Final = (
    '{{"teacher_id":"{owner}","notification_type":"student_matches_suggested",'
    '"category":"student_workflow","priority":"high","payload":{{"batch_id":"{batch_id}",'
    '"class_id":"{class_id}","suggested_count":{essays},"unmatched_count":0,'
    '"message":"{essays} essays have a suggested student, 0 have none."}},"action_required":true,'
    '"deadline_timestamp":"{confirm_by}","correlation_id":"{correlation_id}",'
    '"batch_id":"{batch_id}","class_id":"{class_id}","timestamp":"{at}"}}'
)
PENDING: Final = timedelta(hours=24)


class Suggestions(Work):
    """Stores batches with their associations, and sends timers and notifications."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def read(self, value: bytes, delivery: UUID) -> Read:
        """Read the suggestions of a batch."""
        envelope = orjson.loads(value)
        data = envelope["data"]
        at, confirm_by = now(), datetime.now(UTC) + PENDING
        essays = [_essay(result, data, envelope, confirm_by) for result in data["match_results"]]
        told = {
            "owner": seed.OWNER,
            "batch_id": data["batch_id"],
            "class_id": data["class_id"],
            "correlation_id": envelope["correlation_id"],
            "essays": len(essays),
            "confirm_by": confirm_by.isoformat(),
            "at": at,
        }
        correlation_id, key = envelope["correlation_id"], data["batch_id"].encode()
        timer, owner = ARMED.format(**told), seed.OWNER.encode()
        messages = [
            message(f"{self._topic}.timers", key, timer, correlation_id, at),
            message(f"{self._topic}.notified", owner, TOLD.format(**told), correlation_id, at),
        ]
        return Read(UUID(envelope["event_id"]), delivery, essays, messages)

    async def store(self, connection: Connection, read: Sequence[Read]) -> None:
        """Store the batches."""
        columns = storing.transposed(row for one in read for row in one.rows)
        await connection.execute(storing.STORE_SUGGESTIONS, *columns)


def _essay(
    result: dict[str, Any], data: dict[str, Any], envelope: dict[str, Any], confirm_by: datetime
) -> tuple[Any, ...]:
    """Return the columns of `storing.STORE_SUGGESTIONS`."""
    first = result["suggestions"][0]
    kept = [
        {
            "student_id": one["student_id"],
            "confidence": one["confidence_score"],
            "match_reasons": one["match_reasons"],
        }
        for one in result["suggestions"]
    ]
    return (
        UUID(result["essay_id"]),
        UUID(data["batch_id"]),
        UUID(data["class_id"]),
        UUID(envelope["correlation_id"]),
        seed.OWNER,
        UUID(first["student_id"]),
        first["confidence_score"],
        first["match_reasons"][0],
        confirm_by,
        result["filename"],
        orjson.dumps(kept).decode(),
    )


if __name__ == "__main__":
    topic = sys.argv[3]
    uvloop.run(
        main(int(sys.argv[1]), sys.argv[2], topic, os.environ[FLOOR_DSN], Suggestions(topic))
    )
