"""Sends match suggestions, as the service that compares names with essays does.

    python docs/examples/suggest.py CLASS_ID STUDENT_ID:0.93 STUDENT_ID:0.55 nobody

One essay for each word: the student suggested for it and how certain that is, or `nobody`. It takes
Kafka's address from the environment, or from what `make run` has written to .run/stack.env.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from aiokafka import AIOKafkaProducer

TOPIC = "huleedu.batch.author.matches.suggested.v1"
SERVERS = "CLASS_MANAGEMENT_SERVICE_KAFKA_BOOTSTRAP_SERVERS"
STACK = Path(".run/stack.env")


async def send_suggestions(
    servers: str, class_id: UUID, students: Sequence[tuple[UUID, float] | None]
) -> UUID:
    """Send a batch with an essay for each of the suggestions; return the batch's id."""
    batch_id = uuid4()
    # Essays of one batch are listed in the order of their ids.
    ids = sorted(uuid4() for _ in students)
    essays = [_essay(*one) for one in zip(ids, students, strict=True)]
    message = _envelope(_batch(batch_id, class_id, essays))
    async with AIOKafkaProducer(bootstrap_servers=servers, acks="all") as producer:
        key = str(batch_id).encode()
        await producer.send_and_wait(TOPIC, json.dumps(message).encode(), key=key)
    return batch_id


def servers() -> str:
    """Return where Kafka is."""
    if SERVERS in os.environ:
        return os.environ[SERVERS]
    lines = STACK.read_text(encoding="utf-8").splitlines()
    (found,) = (line.partition("=")[2] for line in lines if line.startswith(f"{SERVERS}="))
    return found.strip("'\"")


def _essay(essay_id: UUID, suggested: tuple[UUID, float] | None) -> dict[str, Any]:
    return {
        "essay_id": str(essay_id),
        "text_storage_id": f"text-of-{essay_id}",
        "filename": "essay.docx",
        "suggestions": [_suggestion(*suggested)] if suggested else [],
        "no_match_reason": None if suggested else "No name was found.",
        "extraction_metadata": {},
    }


def _suggestion(student_id: UUID, confidence: float) -> dict[str, Any]:
    return {
        "student_id": str(student_id),
        "student_name": "as the essay has it",
        "student_email": None,
        "confidence_score": confidence,
        "match_reasons": ["name_fuzzy"],
        "extraction_metadata": {},
    }


def _batch(batch_id: UUID, class_id: UUID, essays: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "event_name": "batch.author.matches.suggested",
        "entity_id": str(batch_id),
        "entity_type": "batch",
        "parent_id": None,
        "batch_id": str(batch_id),
        "class_id": str(class_id),
        "course_code": "SV1",
        "match_results": essays,
        "processing_summary": {"total_essays": len(essays)},
        "processing_metadata": {},
    }


def _envelope(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": str(uuid4()),
        "event_type": TOPIC,
        "event_timestamp": datetime.now(UTC).isoformat(),
        "source_service": "suggest.py",
        "schema_version": 1,
        "correlation_id": str(uuid4()),
        "data_schema_uri": None,
        "data": data,
        "metadata": None,
    }


def _read(word: str) -> tuple[UUID, float] | None:
    student_id, _, confidence = word.partition(":")
    return None if word == "nobody" else (UUID(student_id), float(confidence))


if __name__ == "__main__":
    students = [_read(word) for word in sys.argv[2:]]
    print(asyncio.run(send_suggestions(servers(), UUID(sys.argv[1]), students)))
