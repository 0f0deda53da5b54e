"""The teacher's day, act by act."""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaProducer

from devstack.demo.arrivals import Arrivals
from devstack.demo.calls import Calls
from devstack.demo.errors import HOW_TO_SEE_THE_CLOCK, DemoError
from devstack.demo.events import Event, check, grouped, short
from devstack.demo.roster import (
    AT_THRESHOLD,
    BELOW_THRESHOLD,
    CHOICES_OF_TWO,
    CONFIRMED_FROM,
    EXACT,
    FAILED,
    GIVEN_TO_THE_SECOND,
    NAMED_BY_THE_TEACHER,
    NOBODYS,
    REJECTED,
    ROSTER,
    UNMATCHED,
    Student,
)
from devstack.demo.stage import BROWSER, MATCHER, NOBODY, OTHERS, TEACHER, Stage
from devstack.demo.suggestions import result_of, suggested_event
from devstack.demo.text import clock, listed, side_by_side
from devstack.rig.envelopes import SUGGESTIONS, Json
from devstack.rig.kafka import (
    CLASS_CREATED,
    CONFIRMED,
    DEAD_SUGGESTIONS,
    STUDENT_CREATED,
    TIMED_OUT,
)

CLOCK_SECONDS: Final = 120.0  # the demo does not wait for a later deadline


class Day:
    """The teacher's day."""

    def __init__(
        self, stage: Stage, calls: Calls, producer: AIOKafkaProducer, teacher_id: str
    ) -> None:
        """`browser` and `others` are filled during the day."""
        self.teacher_id = teacher_id
        self.batch_id = str(uuid4())
        self.browser = Arrivals(BROWSER)
        self.others = Arrivals(OTHERS)
        self._stage = stage
        self._calls = calls
        self._producer = producer
        self._class_id = ""
        self._students: list[Student] = []
        self._essays = [str(uuid4()) for _ in ROSTER]

    @property
    def _associations_path(self) -> str:
        return f"/v1/batches/{self.batch_id}/student-associations"

    async def play(self) -> None:
        """Play it from beginning to end. Raises `DemoError`."""
        self._stage.act("1. A new class")
        await self._make_class()
        await self._enrol()
        self._stage.act("2. Essays come in, and the matching service knows most of the authors")
        await self._suggest()
        self._stage.act("3. The teacher looks and decides some of it")
        confirm_by = await self._look()
        await self._decide(confirm_by)
        waiting = (confirm_by - datetime.now(UTC)).total_seconds()
        if waiting <= CLOCK_SECONDS:
            self._stage.act("4. The clock decides the rest")
            await self._await_clock(max(waiting, 0.0))
        else:
            self._stage.act("4. The clock would decide the rest")
            self._say_how_to_see_the_clock(waiting)
        self._stage.act("5. What other services have read from Kafka")
        await self._show_events(decided=waiting <= CLOCK_SECONDS)
        self._stage.act("6. Whose essays they are, as the result service asks for it")
        await self._show_names(decided=waiting <= CLOCK_SECONDS)

    async def hear_browser(self, message: Json) -> None:
        """Handle a message from Redis. Joining students are counted, not printed."""
        kind = message["event"]
        if kind != "student_added_to_class":
            data = message["data"]
            deadline = f", by {clock(data['deadline'])}" if data.get("deadline") else ""
            action = f"; action required{deadline}" if data.get("action_required") else ""
            said = data.get("message", "").removesuffix(".")
            text = f"{kind} ({data['priority']}): {said}{action}"
            self._stage.say(BROWSER, text)
        await self.browser.add(message)

    # --- the acts -----------------------------------------------------------------------------

    async def _make_class(self) -> None:
        body = {"name": "Svenska 1, SA26b", "course_codes": ["SV1"]}
        made = await self._calls.post("/v1/classes", body)
        self._class_id = made["id"]
        self._stage.say(TEACHER, f"makes the class {made['name']!r} ({made['course_code']})")
        if await self._calls.again() != made:
            raise DemoError("the repeated request has another answer")
        there = (await self._calls.get("/v1/classes"))["classes"]
        text = "sends it again with its key, as if the answer had been lost"
        self._stage.say(TEACHER, f"{text}: the same answer, {len(there)} class")
        await self._pushed("class_created")

    async def _enrol(self) -> None:
        began = time.monotonic()
        self._students = [await self._make_student(*person) for person in ROSTER]
        took = time.monotonic() - began
        text = f"enrols {len(self._students)} students, one POST each, in {took:.2f} s:"
        self._stage.say(TEACHER, text)
        for first in range(0, len(self._students), 6):
            self._stage.say(NOBODY, ", ".join(s.name for s in self._students[first : first + 6]))
        pushed = await self._pushed("student_added_to_class", len(ROSTER))
        last = pushed[-1]["data"].get("message", "")
        self._stage.say(BROWSER, f"student_added_to_class, {len(pushed)} times; the last: {last}")
        seen = await self._calls.get(f"/v1/classes/{self._class_id}")
        if seen["student_count"] != len(ROSTER):
            raise DemoError(f"the class has {seen['student_count']} students, not {len(ROSTER)}")
        self._stage.say(TEACHER, f"reads the class back: {seen['student_count']} students")

    async def _make_student(self, first: str, last: str, mailbox: str | None) -> Student:
        email = f"{mailbox}@skola.example" if mailbox else None
        body = {
            "person_name": {"first_name": first, "last_name": last},
            "email": email,
            "class_ids": [self._class_id],
        }
        made = await self._calls.post("/v1/classes/students", body)
        return Student(made["id"], made["full_name"], email)

    async def _suggest(self) -> None:
        results = [
            result_of(essay, place, self._students) for place, essay in enumerate(self._essays)
        ]
        message = suggested_event(self.batch_id, self._class_id, results)
        key, value = self.batch_id.encode(), orjson.dumps(message)
        await self._producer.send_and_wait(SUGGESTIONS, value, key=key)
        text = (
            f"writes a batch of {len(results)} essays ({len(value):,} bytes): "
            f"{CHOICES_OF_TWO.start} exact, {len(CHOICES_OF_TWO)} with a choice of two, "
            f"{len(AT_THRESHOLD)} at 0.70, {len(BELOW_THRESHOLD)} at 0.69, "
            f"{len(UNMATCHED)} without a match, {len(FAILED)} failed"
        )
        self._stage.say(MATCHER, text)
        await self._pushed("student_matches_suggested")

    async def _look(self) -> datetime:
        """Show the teacher the batch; return the instant at which the clock will decide."""
        await self._see_what_waits()
        batch = await self._calls.get(self._associations_path)
        found = batch["associations"]
        if len(found) != len(ROSTER):
            raise DemoError(f"the batch has {len(found)} associations, not {len(ROSTER)}")
        text = f"sees {len(found)} essays, to be decided by {clock(batch['confirm_by'])}:"
        self._stage.say(TEACHER, text)
        self._show_associations(found)
        return datetime.fromisoformat(batch["confirm_by"])

    async def _see_what_waits(self) -> None:
        """List the batches that wait for the teacher: by when, on the service's clock."""
        waiting = await self._calls.get("/v1/batches?state=pending")
        if [batch["batch_id"] for batch in waiting["batches"]] != [self.batch_id]:
            raise DemoError(f"{len(waiting['batches'])} batches wait, not this one")
        [batch] = waiting["batches"]
        text = (
            f"has one batch waiting, of {batch['class_name']!r}: {batch['associations_pending']} "
            f"essays, {batch['associations_unmatched']} unmatched; it is "
            f"{clock(waiting['server_time'])} for the service"
        )
        self._stage.say(TEACHER, text)

    async def _decide(self, confirm_by: datetime) -> None:
        """Give two to others, one to UNKNOWN, reject one, confirm what is surely suggested."""
        decisions: list[Json] = [{"essay_id": self._essays[NOBODYS], "confirmed": True}]
        for place in (GIVEN_TO_THE_SECOND, NAMED_BY_THE_TEACHER):
            student = self._students[place].id
            decision = {"essay_id": self._essays[place], "student_id": student, "confirmed": True}
            decisions.append(decision)
        decisions.append({"essay_id": self._essays[REJECTED], "confirmed": False})
        path = f"{self._associations_path}/confirm"
        body = {
            "associations": decisions,
            "confirm_suggested": {"min_confidence": CONFIRMED_FROM},
        }
        try:
            answer = await self._calls.post(path, body, http_ok=200)
        except DemoError as error:
            if datetime.now(UTC) < confirm_by:
                raise
            raise DemoError(
                f"the clock was faster than the teacher: {HOW_TO_SEE_THE_CLOCK}"
            ) from error
        text = (
            f"gives essay {GIVEN_TO_THE_SECOND + 1} to the second choice, names the author of "
            f"essay {NAMED_BY_THE_TEACHER + 1}, leaves essay {NOBODYS + 1} to UNKNOWN, rejects "
            f"essay {REJECTED + 1}, confirms all that is suggested with {CONFIRMED_FROM} or more"
        )
        self._stage.say(TEACHER, text)
        counts = {n: answer[f"associations_{n}"] for n in ("confirmed", "rejected", "pending")}
        self._stage.say(TEACHER, f"is told: {answer['status']}, {listed(counts)}")

    async def _await_clock(self, waiting: float) -> None:
        text = f"does something else; {waiting:.0f} s until the clock decides"
        self._stage.say(TEACHER, text)
        await self._pushed("validation_timeout_processed", seconds=waiting)
        await self._pushed("student_associations_confirmed")
        batch = await self._calls.get(self._associations_path)
        self._stage.say(TEACHER, "looks again:")
        self._show_associations(batch["associations"])
        counts = Counter(a["validation_status"] for a in batch["associations"])
        if counts["pending_validation"]:
            raise DemoError(f"the batch closed with {listed(counts)}")

    def _say_how_to_see_the_clock(self, waiting: float) -> None:
        text = f"decides in {waiting / 3600:.1f} hours, which this demo does not wait for."
        self._stage.say("the clock", text)
        text = f"To see it: stop the service, {HOW_TO_SEE_THE_CLOCK}, and run this again."
        self._stage.say(NOBODY, text)

    async def _show_events(self, *, decided: bool) -> None:
        expected = {CLASS_CREATED: 1, STUDENT_CREATED: len(ROSTER)}
        if decided:
            expected |= {CONFIRMED: 1, TIMED_OUT: 1}
        for topic, count in expected.items():
            await self._published(topic, count)
        events: list[Event] = self.others.items
        for event in events:
            check(event)
        for first, more in grouped(events):
            self._stage.say(OTHERS, f"{first.topic}, key {first.key}")
            self._stage.say(NOBODY, short(first) + (f", and {more} more of these" if more else ""))
        shown = next((e for e in events if e.topic == CONFIRMED), events[0])
        self._stage.say(OTHERS, f"the headers of {shown.topic}:")
        self._stage.show(("header", "value"), shown.headers.items())

    async def _show_names(self, *, decided: bool) -> None:
        path = f"/internal/v1/batches/{self.batch_id}/student-names"
        found = await self._calls.get_internal(path)
        names = {f["essay_id"]: f["student_person_name"]["legal_full_name"] for f in found}
        # All except the rejected one; without the clock, those that the teacher decided.
        expected = len(ROSTER) - 1 if decided else len(EXACT) + 3
        self._stage.say(OTHERS, f"GET .../student-names: {len(names)} decided essays")
        essays = enumerate(self._essays, start=1)
        named = [(f"essay {n}", names[essay]) for n, essay in essays if essay in names]
        self._stage.show(("essay", "student") * 2, side_by_side(named))
        if len(found) != expected:
            raise DemoError(f"student-names has {len(found)} essays, not {expected}")

    # --- what they share ----------------------------------------------------------------------

    async def _pushed(self, kind: str, count: int = 1, seconds: float = 0.0) -> list[Any]:
        """Wait for a message in the browser. Raises `DemoError`, with a dead letter if any."""
        try:
            return await self.browser.wait(
                kind, lambda message: message["event"] == kind, count, seconds
            )
        except DemoError as error:
            buried = [event for event in self.others.items if event.topic == DEAD_SUGGESTIONS]
            reasons = [event.headers.get("dlt-reason", "?") for event in buried]
            raise DemoError(f"{error}; dead letters: {listed(Counter(reasons))}") from None

    async def _published(self, topic: str, count: int) -> None:
        await self.others.wait(topic, lambda event: event.topic == topic, count)

    def _show_associations(self, associations: Iterable[Json]) -> None:
        number = {essay: str(n) for n, essay in enumerate(self._essays, start=1)}
        columns = ("essay", "student", "confidence", "reasons", "status", "by")
        shown = sorted(associations, key=lambda a: int(number[a["essay_id"]]))
        rows = [
            (
                number[a["essay_id"]],
                a["student_name"] or "-",
                f"{a['confidence_score']:.2f}",
                ", ".join(a["match_reasons"]),
                a["validation_status"],
                a["validation_method"] or "",
            )
            for a in shown
        ]
        self._stage.show(columns, rows)
