"""The rest of the teacher's day: what comes after the first essays."""

from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import orjson

from devstack.demo.day import Day
from devstack.demo.errors import DemoError
from devstack.demo.events import Event, check
from devstack.demo.roster import GIVEN_TO_THE_SECOND, PUPILS_TWICE, ROSTER, Student
from devstack.demo.stage import MATCHER, NOBODY, OTHERS, REGISTER, TEACHER
from devstack.demo.suggestions import result_of, suggested_event
from devstack.demo.text import clock, listed
from devstack.rig.envelopes import COMMANDS, SUGGESTIONS, Json, envelope
from devstack.rig.kafka import ASSOCIATION_UPDATED, CONFIRMED, STUDENT_DELETED, STUDENT_UPDATED

#: Essays that wait when their class is deleted.
WAITING: Final = 2


class WholeDay(Day):
    """The teacher's day, with what happens after the first essays."""

    async def play(self) -> None:
        """Play it from beginning to end. Raises `DemoError`."""
        await super().play()
        self._stage.act("7. A mistake is mended")
        await self._mend()
        self._stage.act("8. The same pupils in a second class, one of them twice")
        second = await self._second_class()
        await self._merge()
        self._stage.act("9. A class is deleted while its essays wait")
        await self._delete(second)

    # --- a mistake ------------------------------------------------------------------------------

    async def _mend(self) -> None:
        essay, number = self._essays[GIVEN_TO_THE_SECOND], GIVEN_TO_THE_SECOND + 1
        path = f"{self._associations_path}/{essay}"
        shown = await self._calls.get(path)
        # The first suggestion was the right one after all.
        right = shown["suggestions"][0]
        await self._calls.put(path, {"student_id": right["student_id"]})
        self._stage.say(TEACHER, f"gives essay {number} to {right['student_name']} after all")
        history = (await self._calls.get(f"{path}/history"))["history"]
        names = {student.id: student.name for student in self._students}
        rows = [
            (clock(h["at"]), h["method"], h["validation_status"], names.get(h["student_id"], "-"))
            for h in history
        ]
        self._stage.show(("at", "by", "status", "student"), rows)
        if [h["student_id"] for h in history] != [shown["student_id"], right["student_id"]]:
            raise DemoError(f"the history has {len(rows)} decisions, not the two")
        [event] = await self._read(ASSOCIATION_UPDATED, 1)
        name = f"{event.data['first_name']} {event.data['last_name']}"
        self._stage.say(OTHERS, f"{event.topic}: essay {number} is {name}'s")

    # --- pupils ---------------------------------------------------------------------------------

    async def _second_class(self) -> str:
        """Have pupils of the first class registered for another one; return that class."""
        made = await self._calls.post(
            "/v1/classes", {"name": "Mentor SA26b", "course_codes": ["SV1"]}
        )
        rows = [_row(place) for place in PUPILS_TWICE]
        data = {"command": "roster.register", "user_id": self.teacher_id, "class_id": made["id"]}
        command = envelope(COMMANDS, data | {"students": rows}, "school_register")
        key, value = self.teacher_id.encode(), orjson.dumps(command)
        await self._producer.send_and_wait(COMMANDS, value, key=key)
        text = f"registers {len(rows)} of them for {made['name']!r}, as it knows them: by address"
        self._stage.say(REGISTER, text)
        joined = await self._read(STUDENT_UPDATED, len(rows))
        self._stage.say(OTHERS, f"{joined[0].topic}, {len(joined)} times: nobody was made twice")
        return str(made["id"])

    async def _merge(self) -> None:
        """Make one of a pupil whom a substitute has registered again."""
        first, last, _ = ROSTER[PUPILS_TWICE[0]]
        body = {"person_name": {"first_name": first, "last_name": last}}
        again = await self._calls.post("/v1/classes/students", body)
        found = await self._search(last)
        self._stage.say(TEACHER, f"looks for {last!r}: {_described(found)}")
        into = self._students[PUPILS_TWICE[0]]
        path = f"/v1/classes/students/{again['id']}/merge"
        await self._calls.post(path, {"into": into.id}, http_ok=200)
        await self._read(STUDENT_DELETED, 1)
        left = await self._search(last)
        self._stage.say(TEACHER, f"makes one of the two: {_described(left)}")
        if (len(found), len(left)) != (2, 1):
            raise DemoError(f"{len(found)} and {len(left)} were found, not 2 and 1")

    async def _search(self, text: str) -> list[Json]:
        found = await self._calls.get(f"/v1/classes/students?q={quote(text)}")
        students: list[Json] = found["students"]
        return students

    # --- a class that goes ----------------------------------------------------------------------

    async def _delete(self, class_id: str) -> None:
        pupils = [self._students[place] for place in PUPILS_TWICE]
        batch_id = await self._second_batch(class_id, pupils)
        await self._pushed("student_matches_suggested", 2)
        await self._calls.delete(f"/v1/classes/{class_id}")
        self._stage.say(TEACHER, "deletes the class; whoever waits for its essays is told:")
        events = await self._read(CONFIRMED, 1, batch_id)
        summary = events[0].data["validation_summary"]
        self._stage.say(OTHERS, f"{events[0].topic}, key {batch_id}")
        self._stage.say(NOBODY, listed(summary))
        if summary["rejected"] != WAITING:
            raise DemoError(f"the batch of the deleted class closed with {listed(summary)}")

    async def _second_batch(self, class_id: str, pupils: list[Student]) -> str:
        batch_id = str(uuid4())
        results = [result_of(str(uuid4()), place, pupils) for place in range(WAITING)]
        message = suggested_event(batch_id, class_id, results)
        key, value = batch_id.encode(), orjson.dumps(message)
        await self._producer.send_and_wait(SUGGESTIONS, value, key=key)
        self._stage.say(MATCHER, f"writes a batch of {WAITING} essays for it")
        return batch_id

    async def _read(self, topic: str, count: int, key: str | None = None) -> list[Event]:
        """Return events that others have read, once there are so many. Raises `DemoError`."""
        events: list[Any] = await self.others.wait(
            topic, lambda e: e.topic == topic and key in (None, e.key), count
        )
        for event in events:
            check(event)
        return events


def _row(place: int) -> Json:
    """Return a pupil as the school's register has it."""
    first, last, mailbox = ROSTER[place]
    name = {"first_name": first, "last_name": last}
    return {"person_name": name, "email": f"{mailbox}@skola.example"}


def _described(students: list[Json]) -> str:
    """Return who was found, and in how many classes each is."""
    found = [f"{s['full_name']} in {len(s['class_ids'])} classes" for s in students]
    return ", ".join(found) or "nobody"
