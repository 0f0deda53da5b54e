"""Batches of match suggestions like the matching service's, and how fast they are stored."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import orjson
import uvloop

from bench import seed
from bench.database import is_true
from bench.kafka import producing
from devstack.rig.database import connected
from devstack.rig.envelopes import Json, match_result, matches_suggested, suggestion
from devstack.rig.waiting import until
from rules import topics

TOPIC: Final = topics.MATCHES_SUGGESTED
POLL_SECONDS: Final = 0.02
LOOK_SECONDS: Final = 0.5
STORED_SECONDS: Final = 120.0
DECIDED_SECONDS: Final = 60.0
#: Enough for the clock to keep the suggested student.
SURE: Final = 0.92

_STORED: Final = "select count(*) = cardinality($1::uuid[]) from batches where id = any($1)"
_DECIDED: Final = """
select count(*) = $2 from associations
where batch_id = any($1::uuid[]) and status <> 'pending_validation'
"""
_LATENESS: Final = """
select extract(epoch from validated_at - confirm_by)::float8 as seconds
from associations where batch_id = any($1::uuid[]) order by 1
"""


@dataclass(frozen=True)
class SuggestionsLoad:
    """Batches to produce, and the database that stores them."""

    bootstrap_servers: str
    topic: str
    dsn: str
    batches: int
    essays: int
    """Essays in each batch, at most as many as a class has students."""
    spread_seconds: float = 0.0
    """The time over which they are sent evenly; 0: as fast as Kafka accepts them."""


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
    async with connected(load.dsn) as connection:
        began = await _produce(load, batches)
        await until(
            "all batches to be stored",
            is_true(connection, _STORED, ids),
            pause_seconds=POLL_SECONDS,
            limit_seconds=STORED_SECONDS,
        )
        return time.perf_counter() - began


async def _await_decisions(load: SuggestionsLoad) -> list[float]:
    batches = _batches(load)
    ids = [batch.id for batch in batches]
    async with connected(load.dsn) as connection:
        await _produce(load, batches)
        await until(
            "all essays to be decided",
            is_true(connection, _DECIDED, ids, len(ids) * load.essays),
            pause_seconds=LOOK_SECONDS,
            limit_seconds=DECIDED_SECONDS,
        )
        return [row["seconds"] for row in await connection.fetch(_LATENESS, ids)]


def _batches(load: SuggestionsLoad) -> list["Batch"]:
    return [Batch(n, load.essays) for n in range(load.batches)]


async def _produce(load: SuggestionsLoad, batches: Sequence["Batch"]) -> float:
    """Send everything; return the time of the first."""
    async with producing(load.bootstrap_servers, load.topic) as producer:
        began = time.perf_counter()
        sent = []
        for number, batch in enumerate(batches):
            due = began + load.spread_seconds * number / len(batches)
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            sent.append(await producer.send(load.topic, batch.value, key=batch.key))
        await asyncio.gather(*sent)
        return began


class Batch:
    """A batch of one of the classes, with a suggestion for every essay."""

    def __init__(self, number: int, essays: int, confidence: float = SURE) -> None:
        self.id = uuid4()
        self.key = str(self.id).encode()
        of_class = number % seed.CLASSES
        first = of_class * seed.CLASS_SIZE
        results = [_result(n, first, confidence) for n in range(essays)]
        summary = {"matched": essays}
        message = matches_suggested(str(self.id), str(seed.class_id(of_class)), results, summary)
        self.value = orjson.dumps(message)


def _result(number: int, first: int, confidence: float) -> Json:
    """Return two suggestions, the first with this confidence."""
    other = first + (number + 1) % seed.CLASS_SIZE
    return match_result(
        [
            _suggestion(first + number, confidence, "email_exact"),
            _suggestion(other, confidence - 0.2, "name_partial"),
        ],
        text_id=f"{number:04}",
        filename=f"Elevtext {number}.docx",
        metadata={"match_status": "HIGH_CONFIDENCE"},
    )


def _suggestion(student: int, confidence: float, reason: str) -> Json:
    name, email = f"Đorđe{student} Åkerblom", f"elev{student}@skola.example"
    student_id = str(seed.student_id(student))
    return suggestion(student_id, confidence, name=name, email=email, reason=reason)
