"""Other services that send commands for their users, each user's in order."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from faults.calls import Pace
from faults.sender import Sender
from faults.workload.roster import (
    MOST_STUDENTS,
    School,
    SchoolClass,
    new_class,
    new_student,
    person,
    unique,
)

ROSTER: Final = 5
MOST_CLASSES: Final = 5
#: The least and greatest number of students in a temporary class.
READ_IN: Final = (40, 60)
REPEATED: Final = 0.1


@dataclass
class Importer:
    """Sends commands one after the other for one user."""

    user: str
    sender: Sender
    school: School
    rng: random.Random
    pace: Pace
    own: list[SchoolClass] = field(default_factory=list)

    async def work(self) -> None:
        """Send commands until cancelled; wait for results only if too many are missing."""
        while True:
            await self.pace.turn()
            await self.sender.await_capacity()
            await self.step()
            await self.pace.turn()
            await self.sender.await_capacity()
            await self.whole_class()

    async def whole_class(self) -> None:
        """Create a class, import its students one by one, and delete it at the end of its term.

        Most commands are of this kind, as in the import of a school's list. Nothing else uses such
        a class: suggestions are for permanent ones.
        """
        klass = SchoolClass(str(uuid4()), self.user, over_kafka=True)
        await self._give("class.create", klass.id, new_class() | {"class_id": klass.id})
        await self._read_in(klass, self.rng.randint(*READ_IN), joins=self.rng.random() < 0.4)
        if self.rng.random() < 0.3:
            await self.rng.choice([self.rename, self.change_student])(klass)
        # One turn per command: the rate is that of commands.
        await self.pace.skip(len(klass.students) + 1)
        await self._give("class.delete", klass.id, {"class_id": klass.id})

    async def step(self) -> None:
        """Send a random command about a permanent class."""
        if not self.own or (len(self.own) < MOST_CLASSES and self.rng.random() < 0.1):
            await self.new_class()
            return
        klass = self.rng.choice(self.own)
        if not klass.students:
            await self.roster(klass)
            return
        await self.rng.choices(
            [
                self.rename,
                self.change_student,
                self.new_students,
                self.join,
                self.leave,
                self.merge,
                self.delete_one,
                self.wrong,
            ],
            [30, 20, 20, 8, 5, 5, 8, 4],
        )[0](klass)

    async def new_class(self) -> None:
        """Create a class with an id chosen by the sender."""
        klass = SchoolClass(str(uuid4()), self.user, over_kafka=True)
        self.own.append(klass)
        await self._give("class.create", klass.id, new_class() | {"class_id": klass.id})
        self.school.classes.append(klass)

    async def roster(self, klass: SchoolClass) -> None:
        """Register the students of a class at once."""
        rows = [new_student() | {"student_id": str(uuid4())} for _ in range(ROSTER)]
        await self._give("roster.register", klass.id, {"class_id": klass.id, "students": rows})
        klass.known |= {row["student_id"]: row for row in rows}
        klass.students += klass.known

    async def rename(self, klass: SchoolClass) -> None:
        """Change a class."""
        await self._give("class.update", klass.id, {"class_id": klass.id, "name": unique()})

    async def join(self, klass: SchoolClass) -> None:
        """Have students of one class join another one, as a list of both reads."""
        other = self.rng.choice(self.own)
        rows = [row for one, row in klass.known.items() if one in klass.students][:ROSTER]
        if not rows or other is klass:
            return
        if self.rng.random() < 0.5:
            await self._give("roster.join", other.id, {"class_id": other.id, "students": rows})
        else:
            row = rows[0] | {"class_ids": [other.id]}
            await self._give("student.join", row["student_id"], row)

    async def leave(self, klass: SchoolClass) -> None:
        """Take a student out of a class."""
        student = self._taken_out(klass)
        body = {"student_id": student, "remove_class_ids": [klass.id]}
        await self._give("student.update", student, body)

    async def merge(self, klass: SchoolClass) -> None:
        """Make one of two students."""
        if len(klass.students) > 1:
            student = self._taken_out(klass)
            body = {"student_id": student, "into": self.rng.choice(klass.students)}
            await self._give("student.merge", student, body)

    def _taken_out(self, klass: SchoolClass) -> str:
        return klass.students.pop(self.rng.randrange(len(klass.students)))

    async def change_student(self, klass: SchoolClass) -> None:
        """Rename a student."""
        student = self.rng.choice(klass.students)
        klass.known.pop(student, None)
        body = {"student_id": student, "person_name": person()}
        await self._give("student.update", student, body)

    async def new_students(self, klass: SchoolClass) -> None:
        """Create the students of a class one by one, as in an import; delete one if it is full."""
        room = MOST_STUDENTS - len(klass.students)
        if room <= 0:
            await self.delete_student(klass)
            return
        await self._read_in(klass, self.rng.randint(1, min(room, ROSTER)), joins=True)

    async def _read_in(self, klass: SchoolClass, number: int, *, joins: bool) -> None:
        """Send commands without a pause, each for a student; all join the class or none."""
        students = [str(uuid4()) for _ in range(number)]
        class_ids = {"class_ids": [klass.id]} if joins else {}
        bodies = [new_student() | class_ids | {"student_id": student} for student in students]
        await asyncio.gather(
            *(self._give("student.create", body["student_id"], body) for body in bodies)
        )
        klass.students += students

    async def delete_one(self, klass: SchoolClass) -> None:
        """Delete a student, rarely the class."""
        if self.rng.random() < 0.3:
            self.own.remove(klass)
            self.school.forget(klass)
            await self._give("class.delete", klass.id, {"class_id": klass.id})
            return
        await self.delete_student(klass)

    async def delete_student(self, klass: SchoolClass) -> None:
        """Delete a student."""
        student = self._taken_out(klass)
        await self._give("student.delete", student, {"student_id": student})

    async def wrong(self, klass: SchoolClass) -> None:
        """Send a command that is refused."""
        body = {"class_id": klass.id, "course_codes": ["MA1"]}
        await self._give("class.update", klass.id, body)

    async def _give(self, kind: str, target: str, body: dict[str, Any]) -> None:
        times = 2 if self.rng.random() < REPEATED else 1
        await self.sender.command(kind, self.user, body, target, times=times)
