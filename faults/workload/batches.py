"""The matching service, and the decisions of teachers on its suggestions."""

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from devstack.rig.envelopes import SUGGESTIONS, Json, suggestion
from faults.calls import Calls, Pace, pause
from faults.sender import Sender, enveloped
from faults.workload.roster import School, SchoolClass

#: The waits between polls for stored suggestions, which get longer.
LOOK_SECONDS: Final = (0.7, 1.5, 3.0, 6.0, 12.0)
#: The limit of decisions under way: while PostgreSQL is away all of them keep polling.
MOST_DECIDING: Final = 150
#: How often a message is repeated, and the longest delay of a repetition.
REPEATED: Final = 0.15
REPEATED_WITHIN_SECONDS: Final = 20.0

#: How often another service decides.
OVER_KAFKA: Final = 0.15
#: How often a batch has no essays, only those of an earlier batch, or a class that is then deleted.
EMPTY: Final = 0.04
OF_OTHERS: Final = 0.04
CLASS_DELETED: Final = 0.02
#: How many essays are remembered to be sent again for another batch.
REMEMBERED: Final = 50
#: How often all that is surely suggested is confirmed at once, and from which confidence.
SUGGESTED_ONLY: Final = 0.15
SURE: Final = 0.7
#: How often a decision of a teacher's batch is corrected, at once or after the clock's.
CORRECTED: Final = 0.3


@dataclass
class Matching:
    """Sends suggestions, some of them twice, out of order or in two parts."""

    sender: Sender
    calls: Calls
    school: School
    timeout_seconds: float
    pace: Pace
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _essays: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    async def work(self) -> None:
        """Work until cancelled; that also ends the decisions under way."""
        try:
            while True:
                await self.pace.turn()
                if klass := self._klass():
                    await self.one_batch(klass)
        finally:
            for task in self._tasks:
                task.cancel()

    def _klass(self) -> SchoolClass | None:
        """Return a class with students, if there is one."""
        classes = [c for c in self.school.classes if c.students]
        return self.calls.rng.choice(classes) if classes else None

    async def one_batch(self, klass: SchoolClass) -> None:
        """Send the suggestions of a batch, which its teacher or the clock decides."""
        rng = self.calls.rng
        parts = 2 if rng.random() < 0.15 else 1
        batch_id = str(uuid4())
        for _ in range(parts):
            results = self._results(klass)
            envelope = suggestions(batch_id, klass, results)
            await self.sender.message(SUGGESTIONS, batch_id, envelope)
            if rng.random() < REPEATED:
                self._later(self._again(batch_id, envelope))
        if not klass.over_kafka and rng.random() < CLASS_DELETED:
            self._later(self._delete(klass))
        elif rng.random() < 0.6 and len(self._tasks) < MOST_DECIDING:
            # Sometimes at the moment at which the clock decides.
            at_deadline = rng.random() < 0.2
            self._later(self._decide(batch_id, klass, self.timeout_seconds if at_deadline else 0))

    def _results(self, klass: SchoolClass) -> list[Json]:
        """Return match results, sometimes none, or those of essays that another batch has."""
        rng = self.calls.rng
        kind = rng.random()
        if kind < EMPTY:
            return []
        if kind < EMPTY + OF_OTHERS and self._essays:
            return [_result(klass.students, rng) | {"essay_id": rng.choice(self._essays)}]
        results = [_result(klass.students, rng) for _ in range(rng.randint(1, 4))]
        self._essays.extend(result["essay_id"] for result in results)
        return results

    async def _delete(self, klass: SchoolClass) -> None:
        """Delete a class, about when its batch is stored."""
        await asyncio.sleep(self.calls.rng.uniform(0, 2))
        self.school.forget(klass)
        await self.calls.do("class.delete", klass.owner, klass.id, {})

    async def _again(self, batch_id: str, envelope: Json) -> None:
        """Repeat a message once or twice, as another producer might."""
        rng = self.calls.rng
        for _ in range(rng.choice((1, 2))):
            await asyncio.sleep(rng.uniform(0, REPEATED_WITHIN_SECONDS))
            await self.sender.message(
                SUGGESTIONS,
                batch_id,
                {**envelope, "priority": None, "x-unknown": {"nested": [1, "två", None]}},
                headers=(("producer", b"another"),),
            )

    async def _decide(self, batch_id: str, klass: SchoolClass, delay: float) -> None:
        """Decide a batch's essays with two concurrent requests, each for some of them."""
        essays = await self._stored(batch_id, klass)
        if not essays:
            return
        await asyncio.sleep(delay)
        rng = self.calls.rng
        decisions = [_decision(essay, klass, rng) for essay in essays]
        middle = rng.randint(0, len(decisions))
        halves = [half for half in (decisions[:middle], decisions[middle:]) if half]
        if rng.random() < SUGGESTED_ONLY:
            halves = [[]]
        bodies: list[Json] = [{"associations": half} for half in halves]
        if not bodies[0]["associations"]:
            bodies[0]["confirm_suggested"] = {"min_confidence": SURE}
        await asyncio.gather(*(self._ask("confirm", klass, batch_id, body) for body in bodies))
        if rng.random() < CORRECTED:
            await self._correct(batch_id, klass, rng.choice(essays)["essay_id"])

    async def _correct(self, batch_id: str, klass: SchoolClass, essay_id: str) -> None:
        """Correct a decision once or twice, or at once in two ways; it may be pending still."""
        rng = self.calls.rng
        at_once = 2 if rng.random() < 0.3 else 1
        for _ in range(rng.choice((1, 1, 2))):
            chosen = rng.choices([*klass.students, None], k=at_once)
            bodies = [{"essay_id": essay_id, "student_id": student} for student in chosen]
            await asyncio.gather(*(self._ask("correct", klass, batch_id, b) for b in bodies))
            await asyncio.sleep(rng.uniform(0, self.timeout_seconds))

    async def _ask(self, what: str, klass: SchoolClass, batch_id: str, body: Json) -> None:
        """Request something of a batch, mostly over HTTP."""
        kind = f"associations.{what}"
        if self.calls.rng.random() < OVER_KAFKA:
            members = body | {"batch_id": batch_id}
            await self.sender.command(kind, klass.owner, members, batch_id)
        else:
            await self.calls.do(kind, klass.owner, batch_id, body)

    async def _stored(self, batch_id: str, klass: SchoolClass) -> list[Json]:
        for seconds in LOOK_SECONDS:
            await pause(self.calls.rng, seconds)
            path = f"/v1/batches/{batch_id}/student-associations"
            status, answer = await self.calls.read(klass.owner, path)
            if status == 200 and answer["associations"]:
                return list(answer["associations"])
        return []

    def _later(self, work: Any) -> None:  # noqa: ANN401  # a coroutine
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def suggestions(batch_id: str, klass: SchoolClass, results: Sequence[Json]) -> Json:
    """Return a message for a batch of a class."""
    return enveloped(
        SUGGESTIONS,
        {
            "event_name": "batch.author.matches.suggested",
            "batch_id": batch_id,
            "class_id": klass.id,
            "course_code": "SV1",
            "match_results": results,
            "processing_summary": {},
            "processing_metadata": {},
        },
    )


def _result(students: Sequence[str], rng: random.Random) -> Json:
    """Return what is suggested for an essay: sure, unsure, nobody, or an unknown student."""
    kind = rng.random()
    proposals: list[Json] = []
    if students and kind < 0.85:
        confidence = 0.9 if kind < 0.6 else 0.4
        proposals = [suggestion(rng.choice(students), confidence, name="Någon", email=None)]
    elif kind > 0.98:
        proposals = [suggestion(str(uuid4()), 0.8, name="Någon", email=None)]
    return {"essay_id": str(uuid4()), "filename": "uppsats.docx", "suggestions": proposals}


def _decision(essay: Json, klass: SchoolClass, rng: random.Random) -> Json:
    decision = {"essay_id": essay["essay_id"], "confirmed": rng.random() < 0.8}
    unmatched = essay["suggested_student_id"] is None
    # Nobody named is UNKNOWN.
    if unmatched and decision["confirmed"] and klass.students and rng.random() < 0.5:
        decision["student_id"] = rng.choice(klass.students)
    return decision
