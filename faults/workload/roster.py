"""Teachers over HTTP: classes and students are created, changed and deleted."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from uuid import uuid4

from faults.calls import Calls, Pace
from faults.history import Op, Outcome

COURSES: Final = ("ENG5", "ENG6", "ENG7", "SV1", "SV2", "SV3")
MOST_CLASSES: Final = 6
MOST_STUDENTS: Final = 12


Row: TypeAlias = dict[str, Any]


@dataclass(eq=False)
class SchoolClass:
    """A class as its teacher knows it."""

    id: str
    owner: str
    students: list[str] = field(default_factory=list)
    over_kafka: bool = False
    known: dict[str, Row] = field(default_factory=dict)
    """Of its students, those whose rows in a roster its sender remembers."""


@dataclass
class School:
    """The classes for suggestions, which may be deleted in the meantime."""

    classes: list[SchoolClass] = field(default_factory=list)

    def of(self, user: str) -> list[SchoolClass]:
        """Return a user's classes."""
        return [klass for klass in self.classes if klass.owner == user]

    def forget(self, klass: SchoolClass) -> None:
        """Remove a class that is to be deleted, perhaps by several at once."""
        if klass in self.classes:
            self.classes.remove(klass)


@dataclass
class Teacher:
    """Sends requests one after the other, whatever their outcome."""

    user: str
    calls: Calls
    school: School
    pace: Pace
    is_needed: Callable[[], bool] = lambda: True

    @property
    def own(self) -> list[SchoolClass]:
        """The teacher's classes."""
        return self.school.of(self.user)

    async def work(self) -> None:
        """Work until cancelled, while it is needed."""
        while True:
            await self.pace.turn()
            if self.is_needed():
                await self.step()

    async def step(self) -> None:
        """Send a random request."""
        rng = self.calls.rng
        own = self.own
        klass = rng.choice(own) if own else None
        if klass is None or (len(own) < MOST_CLASSES and rng.random() < 0.1):
            await self.new_class()
        elif len(klass.students) < 3:
            await self.new_student(klass)
        else:
            await rng.choices(
                [
                    self.rename,
                    self.new_student,
                    self.change_student,
                    self.move_student,
                    self.leave,
                    self.merge,
                    self.delete_student,
                    self.delete_class,
                ],
                [35, 15, 20, 8, 8, 4, 4, 3],
            )[0](klass)

    async def new_class(self) -> None:
        """Create a class."""
        op = await self._ask("class.create", None, new_class(self.calls.rng.choice(COURSES)))
        if op.outcome is Outcome.ACKED and op.target:
            self.school.classes.append(SchoolClass(op.target, self.user))

    async def rename(self, klass: SchoolClass) -> None:
        """Change a class, mostly alone, sometimes twice at once."""
        at_once = 2 if self.calls.rng.random() < 0.2 else 1
        await asyncio.gather(
            *(self._ask("class.update", klass.id, {"name": unique()}) for _ in range(at_once))
        )

    async def new_student(self, klass: SchoolClass) -> None:
        """Create a student in a class."""
        if len(klass.students) >= MOST_STUDENTS:
            return
        op = await self._ask("student.create", None, new_student() | {"class_ids": [klass.id]})
        if op.outcome is Outcome.ACKED and op.target:
            klass.students.append(op.target)

    async def change_student(self, klass: SchoolClass) -> None:
        """Rename a student."""
        student = self.calls.rng.choice(klass.students)
        await self._ask("student.update", student, {"person_name": person()})

    async def move_student(self, klass: SchoolClass) -> None:
        """Add a student to another class of the teacher."""
        student = self.calls.rng.choice(klass.students)
        other = self.calls.rng.choice(self.own)
        await self._ask("student.update", student, {"add_class_ids": [other.id]})

    async def leave(self, klass: SchoolClass) -> None:
        """Take a student out of a class, for which it may be suggested."""
        student = self._taken_out(klass)
        await self._ask("student.update", student, {"remove_class_ids": [klass.id]})

    async def merge(self, klass: SchoolClass) -> None:
        """Make one of two students, of whom both may have essays."""
        student = self._taken_out(klass)
        into = self.calls.rng.choice(klass.students)
        await self._ask("student.merge", student, {"into": into})

    def _taken_out(self, klass: SchoolClass) -> str:
        return klass.students.pop(self.calls.rng.randrange(len(klass.students)))

    async def delete_student(self, klass: SchoolClass) -> None:
        """Delete a student."""
        student = self._taken_out(klass)
        await self._ask("student.delete", student, {})

    async def delete_class(self, klass: SchoolClass) -> None:
        """Delete a class, whose batches may be open."""
        self.school.forget(klass)
        await self._ask("class.delete", klass.id, {})

    async def _ask(self, kind: str, target: str | None, body: dict[str, Any]) -> Op:
        return await self.calls.do(kind, self.user, target, body)


def unique() -> str:
    """Return a unique name, so that findings show the request behind it."""
    return f"N{uuid4().hex}"


def person() -> dict[str, str]:
    """Return a PersonNameV1 that is unique."""
    return {"first_name": unique(), "last_name": "Öberg"}


def new_class(course: str = "SV1") -> dict[str, Any]:
    """Return the body that creates a class."""
    return {"name": unique(), "course_codes": [course]}


def new_student() -> dict[str, Any]:
    """Return the body that creates a student."""
    return {"person_name": person(), "email": f"{uuid4().hex}@skola.example"}
