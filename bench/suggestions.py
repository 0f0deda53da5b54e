"""Batches of match suggestions, as the matching service writes them, and how they get stored."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaProducer

from bench import seed
from bench.polling import until
from rules import topics

TOPIC: Final = topics.MATCHES_SUGGESTED
POLL_SECONDS: Final = 0.02
LOOK_SECONDS: Final = 0.5
STORED_SECONDS: Final = 120.0
DECIDED_SECONDS: Final = 60.0
#: Enough for the clock to keep the suggested student.
SURE: Final = 0.92

_STORED: Final = "select count(*) from batches where id = any($1::uuid[])"
_DECIDED: Final = """
select count(*) from associations
where batch_id = any($1::uuid[]) and status <> 'pending_validation'
"""
_LATENESS: Final = """
select extract(epoch from validated_at - confirm_by)::float8 as seconds
from associations where batch_id = any($1::uuid[]) order by 1
"""


@dataclass(frozen=True)
class SuggestionsLoad:
    """Batches to produce, and the database in which they should arrive."""

    bootstrap_servers: str
    topic: str
    dsn: str
    batches: int
    essays: int
    """Essays in each batch, at most as many as a class has students."""
    spread_seconds: float = 0.0
    """Over which time they are sent, evenly; 0: as fast as Kafka takes them."""


def store(load: SuggestionsLoad) -> float:
    """Produce batches; return the seconds from the first one sent to the last one stored."""
    return uvloop.run(_store(load))


def await_decisions(load: SuggestionsLoad) -> list[float]:
    """Produce batches and wait for the clock; return how late each essay was, in seconds."""
    return uvloop.run(_await_decisions(load))


def send(load: SuggestionsLoad) -> None:
    """Produce batches."""
    uvloop.run(_produce(load, _batches(load)))


async def _store(load: SuggestionsLoad) -> float:
    batches = _batches(load)
    ids = [batch.id for batch in batches]
    connection = await asyncpg.connect(load.dsn)

    async def stored() -> bool:
        return bool(await connection.fetchval(_STORED, ids) == len(ids))

    try:
        began = await _produce(load, batches)
        await until(stored, pause_seconds=POLL_SECONDS, limit_seconds=STORED_SECONDS)
        return time.perf_counter() - began
    finally:
        await connection.close()


async def _await_decisions(load: SuggestionsLoad) -> list[float]:
    batches = _batches(load)
    ids = [batch.id for batch in batches]
    connection = await asyncpg.connect(load.dsn)

    async def decided() -> bool:
        return bool(await connection.fetchval(_DECIDED, ids) == len(ids) * load.essays)

    try:
        await _produce(load, batches)
        await until(decided, pause_seconds=LOOK_SECONDS, limit_seconds=DECIDED_SECONDS)
        return [row["seconds"] for row in await connection.fetch(_LATENESS, ids)]
    finally:
        await connection.close()


def _batches(load: SuggestionsLoad) -> list["Batch"]:
    return [Batch(n, load.essays) for n in range(load.batches)]


async def _produce(load: SuggestionsLoad, batches: Sequence["Batch"]) -> float:
    """Send everything; return when the first was sent."""
    producer = AIOKafkaProducer(
        bootstrap_servers=load.bootstrap_servers, linger_ms=2, max_batch_size=256 * 1024
    )
    await producer.start()
    try:
        await producer.partitions_for(load.topic)
        began = time.perf_counter()
        sent = []
        for number, batch in enumerate(batches):
            due = began + load.spread_seconds * number / len(batches)
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            sent.append(await producer.send(load.topic, batch.value, key=batch.key))
        await asyncio.gather(*sent)
        return began
    finally:
        await producer.stop()


class Batch:
    """A batch of one of the classes, with a suggestion for every essay."""

    def __init__(self, number: int, essays: int, confidence: float = SURE) -> None:
        self.id = uuid4()
        self.key = str(self.id).encode()
        of_class = number % seed.CLASSES
        first = of_class * seed.CLASS_SIZE
        results = [_result(n, first, confidence) for n in range(essays)]
        self.value = orjson.dumps(_envelope(self.id, seed.class_id(of_class), results))


def _envelope(batch_id: UUID, class_id: UUID, results: Sequence[Any]) -> dict[str, Any]:
    at = datetime.now(UTC)
    return {
        "event_id": uuid4(),
        "event_type": TOPIC,
        "event_timestamp": at,
        "source_service": "nlp_service",
        "schema_version": 1,
        "correlation_id": uuid4(),
        "data_schema_uri": None,
        "data": {
            "event_name": topics.MATCHES_SUGGESTED_EVENT,
            "entity_id": batch_id,
            "entity_type": "batch",
            "parent_id": None,
            "timestamp": at,
            "correlation_id": None,
            "batch_id": batch_id,
            "class_id": class_id,
            "course_code": "SV1",
            "match_results": results,
            "processing_summary": {"total_essays": len(results), "matched": len(results)},
            "processing_metadata": {},
        },
        "metadata": None,
    }


def _result(number: int, first: int, confidence: float) -> dict[str, Any]:
    """Return two suggestions, the first with this confidence."""
    other = first + (number + 1) % seed.CLASS_SIZE
    return {
        "essay_id": uuid4(),
        "text_storage_id": f"text-storage-{number:04}",
        "filename": f"Elevtext {number}.docx",
        "suggestions": [
            _suggestion(first + number, confidence, "email_exact"),
            _suggestion(other, confidence - 0.2, "name_partial"),
        ],
        "no_match_reason": None,
        "extraction_metadata": {"match_status": "HIGH_CONFIDENCE"},
    }


def _suggestion(student: int, confidence: float, reason: str) -> dict[str, Any]:
    return {
        "student_id": seed.student_id(student),
        "student_name": f"Đorđe{student} Åkerblom",
        "student_email": f"elev{student}@skola.example",
        "confidence_score": confidence,
        "match_reasons": [reason],
        "extraction_metadata": {},
    }
