"""Other services that act for their users with commands, each user's in order."""

from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from tests.faults.calls import pause
from tests.faults.sending import Sender
from tests.faults.workload.roster import Klass, School, new_class, new_student, person, unique

THINK_SECONDS: Final = 0.2
ROSTER: Final = 5
MOST_CLASSES: Final = 5
REPEATED: Final = 0.1


@dataclass
class Importer:
    """Gives one command after the other for one user."""

    user: str
    sender: Sender
    school: School
    rng: Any
    own: list[Klass] = field(default_factory=list)

    async def work(self) -> None:
        """Go on for ever."""
        while True:
            await self.step()
            await pause(self.rng, THINK_SECONDS)

    async def step(self) -> None:
        """Give one command at random."""
        if not self.own or (len(self.own) < MOST_CLASSES and self.rng.random() < 0.1):
            await self.new_class()
            return
        klass = self.rng.choice(self.own)
        if not klass.students:
            await self.roster(klass)
            return
        await self.rng.choices(
            [self.rename, self.change_student, self.new_student, self.delete_one, self.wrong],
            [40, 25, 20, 5, 10],
        )[0](klass)

    async def new_class(self) -> None:
        """Make a class under an id of the sender's."""
        klass = Klass(str(uuid4()), self.user, over_kafka=True)
        self.own.append(klass)
        await self._give("class.create", klass.id, new_class() | {"class_id": klass.id})
        self.school.classes.append(klass)

    async def roster(self, klass: Klass) -> None:
        """Make the students of a class at once."""
        rows = [new_student() | {"student_id": str(uuid4())} for _ in range(ROSTER)]
        await self._give("roster.register", klass.id, {"class_id": klass.id, "students": rows})
        klass.students += [row["student_id"] for row in rows]

    async def rename(self, klass: Klass) -> None:
        """Change a class."""
        await self._give("class.update", klass.id, {"class_id": klass.id, "name": unique()})

    async def change_student(self, klass: Klass) -> None:
        """Give a student another name."""
        student = self.rng.choice(klass.students)
        body = {"student_id": student, "person_name": person()}
        await self._give("student.update", student, body)

    async def new_student(self, klass: Klass) -> None:
        """Make a student of a class."""
        student = str(uuid4())
        body = new_student() | {"student_id": student, "class_ids": [klass.id]}
        await self._give("student.create", student, body)
        klass.students.append(student)

    async def delete_one(self, klass: Klass) -> None:
        """Delete a student, or now and then the class."""
        if self.rng.random() < 0.3:
            self.own.remove(klass)
            self.school.classes.remove(klass)
            await self._give("class.delete", klass.id, {"class_id": klass.id})
            return
        student = klass.students.pop(self.rng.randrange(len(klass.students)))
        await self._give("student.delete", student, {"student_id": student})

    async def wrong(self, klass: Klass) -> None:
        """Ask for what is refused."""
        body = {"class_id": klass.id, "course_codes": ["MA1"]}
        await self._give("class.update", klass.id, body)

    async def _give(self, kind: str, target: str, body: dict[str, Any]) -> None:
        times = 2 if self.rng.random() < REPEATED else 1
        await self.sender.command(kind, self.user, body, target, times=times)
