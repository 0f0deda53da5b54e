"""What can be done, to the model and to a store, which both have to answer alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

from rules.changes import NewClassRequest, NewStudentRequest
from rules.errors import ServiceError
from rules.models import (
    BatchTotals,
    ClassChange,
    Delivery,
    EmailChange,
    HumanDecision,
    MatchResult,
    NewClass,
    NewStudent,
    StudentChange,
)
from tests.integration.store.builders import caller, deliver, person, store_one, suggest
from tests.integration.store.stateful.model import Name, Proposed, Refusal, School, refusal
from tests.integration.store.stateful.sides import Side
from tests.support import commands

Answer: TypeAlias = object
DONE: Final = "done"


class Operation(Protocol):
    """Something that can be done."""

    def on_model(self, school: School) -> Answer:
        """Do it to the model. Raises Refusal."""

    async def on_store(self, side: Side) -> Answer:
        """Do it to a store. Raises ServiceError."""


def expected(operation: Operation, school: School) -> Answer:
    try:
        return operation.on_model(school)
    except Refusal as refused:
        return refusal(refused)


async def answered(operation: Operation, side: Side) -> Answer:
    try:
        return await operation.on_store(side)
    except ServiceError as error:
        return refusal(Refusal(error.error_code, getattr(error, "student_id", None)))


# --- classes -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateClass:
    owner: str
    class_id: UUID
    name: str
    course: str

    def on_model(self, school: School) -> Answer:
        school.create_class(self.owner, self.class_id, self.name, self.course)
        return DONE

    async def on_store(self, side: Side) -> Answer:
        new = NewClass(self.class_id, self.name, self.course)
        one_made(
            await side.stores.classes.create_classes([NewClassRequest(caller(self.owner), new)])
        )
        return DONE


@dataclass(frozen=True)
class UpdateClass:
    owner: str
    class_id: UUID
    name: str

    def on_model(self, school: School) -> Answer:
        school.update_class(self.owner, self.class_id, self.name)
        return DONE

    async def on_store(self, side: Side) -> Answer:
        change = ClassChange(name=self.name)
        await side.stores.classes.update_class(caller(self.owner), self.class_id, change)
        return DONE


@dataclass(frozen=True)
class DeleteClass:
    owner: str
    class_id: UUID

    def on_model(self, school: School) -> Answer:
        school.delete_class(self.owner, self.class_id)
        return DONE

    async def on_store(self, side: Side) -> Answer:
        await side.stores.classes.delete_class(caller(self.owner), self.class_id)
        return DONE


# --- students ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateStudent:
    """As over HTTP: the id is new."""

    owner: str
    student_id: UUID
    name: Name
    email: str | None
    joins: tuple[UUID, ...]

    def on_model(self, school: School) -> Answer:
        school.create_student(self.owner, self.student_id, self.name, self.email, self.joins)
        return DONE

    async def on_store(self, side: Side) -> Answer:
        new = NewStudent(self.student_id, person(*self.name), self.email, self.joins)
        one_made(
            await side.stores.classes.create_students([NewStudentRequest(caller(self.owner), new)])
        )
        return DONE


@dataclass(frozen=True)
class Register:
    """A roster as a command: students that are there already join the class."""

    owner: str
    class_id: UUID
    rows: tuple[tuple[UUID, Name, str | None], ...]

    def on_model(self, school: School) -> Answer:
        return school.register(self.owner, self.class_id, self.rows)

    async def on_store(self, side: Side) -> Answer:
        students = [
            commands.student(email, student_id) | {"person_name": commands.name(*name)}
            for student_id, name, email in self.rows
        ]
        members = {"class_id": self.class_id, "students": students}
        return await by_command(side, "roster.register", self.owner, members)


@dataclass(frozen=True)
class UpdateStudent:
    owner: str
    student_id: UUID
    name: Name | None = None
    email: str | None = None
    joins: tuple[UUID, ...] = ()
    leaves: tuple[UUID, ...] = ()

    def on_model(self, school: School) -> Answer:
        school.update_student(
            self.owner, self.student_id, self.name, self.email, self.joins, self.leaves
        )
        return DONE

    async def on_store(self, side: Side) -> Answer:
        change = StudentChange(
            person(*self.name) if self.name else None,
            EmailChange(self.email) if self.email else None,
            self.joins,
            self.leaves,
        )
        student_id = real(side, self.student_id)
        await side.stores.classes.update_student(caller(self.owner), student_id, change)
        return DONE


@dataclass(frozen=True)
class DeleteStudent:
    owner: str
    student_id: UUID

    def on_model(self, school: School) -> Answer:
        school.delete_student(self.owner, self.student_id)
        return DONE

    async def on_store(self, side: Side) -> Answer:
        student_id = real(side, self.student_id)
        await side.stores.classes.delete_student(caller(self.owner), student_id)
        return DONE


@dataclass(frozen=True)
class Merge:
    owner: str
    student_id: UUID
    into: UUID
    by_command: bool

    def on_model(self, school: School) -> Answer:
        school.merge(self.owner, self.student_id, self.into)
        return "applied"

    async def on_store(self, side: Side) -> Answer:
        student_id, into = real(side, self.student_id), real(side, self.into)
        if self.by_command:
            members = {"student_id": student_id, "into": into}
            return await by_command(side, "student.merge", self.owner, members)
        await side.stores.classes.merge_students(caller(self.owner), student_id, into)
        return "applied"


# --- batches -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Suggest:
    """A message; the same object again is the same message again."""

    batch_id: UUID
    class_id: UUID
    results: tuple[tuple[UUID, tuple[Proposed, ...]], ...]
    delivery: Delivery = field(compare=False, repr=False)

    def on_model(self, school: School) -> Answer:
        return school.suggest(self.batch_id, self.class_id, self.results)

    async def on_store(self, side: Side) -> Answer:
        return (await store_one(side.stores, self.delivery)).value


@dataclass(frozen=True)
class Again:
    """A message that Kafka delivers again."""

    message: Suggest

    def on_model(self, school: School) -> Answer:
        del school  # nothing happens
        return "duplicate"

    async def on_store(self, side: Side) -> Answer:
        return await self.message.on_store(side)


def message(
    batch_id: UUID, class_id: UUID, results: Sequence[tuple[UUID, Sequence[Proposed]]]
) -> Suggest:
    found = [
        MatchResult(essay, tuple(suggest(*one) for one in proposed)) for essay, proposed in results
    ]
    delivery = deliver(class_id, *found, batch_id=batch_id)
    plain = tuple((essay, tuple(proposed)) for essay, proposed in results)
    return Suggest(batch_id, class_id, plain, delivery)


@dataclass(frozen=True)
class Confirm:
    owner: str
    batch_id: UUID
    decisions: tuple[tuple[UUID, bool, UUID | None], ...]
    least: float | None
    by_command: bool

    def on_model(self, school: School) -> Answer:
        totals = school.confirm(self.owner, self.batch_id, self.decisions, self.least)
        return "applied" if self.by_command else totals

    async def on_store(self, side: Side) -> Answer:
        if self.by_command:
            return await by_command(side, "associations.confirm", self.owner, self._members(side))
        decisions = [HumanDecision(e, kept, side.to_real(s)) for e, kept, s in self.decisions]
        totals: BatchTotals = await side.stores.associations.confirm(
            caller(self.owner), self.batch_id, decisions, self.least
        )
        return totals.confirmed, totals.rejected, totals.pending

    def _members(self, side: Side) -> dict[str, Any]:
        listed = [
            {"essay_id": essay, "confirmed": kept, "student_id": side.to_real(student)}
            for essay, kept, student in self.decisions
        ]
        members: dict[str, Any] = {"batch_id": self.batch_id, "associations": listed}
        if self.least is not None:
            members["confirm_suggested"] = {"min_confidence": self.least}
        return members


@dataclass(frozen=True)
class Correct:
    owner: str
    batch_id: UUID
    essay_id: UUID
    student_id: UUID | None
    by_command: bool

    def on_model(self, school: School) -> Answer:
        school.correct(self.owner, self.batch_id, self.essay_id, self.student_id)
        return "applied"

    async def on_store(self, side: Side) -> Answer:
        student_id = side.to_real(self.student_id)
        if self.by_command:
            members = {
                "batch_id": self.batch_id,
                "essay_id": self.essay_id,
                "student_id": student_id,
            }
            return await by_command(side, "associations.correct", self.owner, members)
        await side.stores.associations.correct(
            caller(self.owner), self.batch_id, self.essay_id, student_id
        )
        return "applied"


@dataclass(frozen=True)
class History:
    owner: str
    batch_id: UUID
    essay_id: UUID

    def on_model(self, school: School) -> Answer:
        essays = school.own_batch(self.owner, self.batch_id).essays
        if self.essay_id not in essays:
            raise Refusal("ESSAY_NOT_FOUND")
        return list(essays[self.essay_id].past)

    async def on_store(self, side: Side) -> Answer:
        return await side.history(self.owner, self.batch_id, self.essay_id)


@dataclass(frozen=True)
class Elapse:
    hours: int

    def on_model(self, school: School) -> Answer:
        school.now += self.hours
        return DONE

    async def on_store(self, side: Side) -> Answer:
        await side.stores.elapse(timedelta(hours=self.hours))
        return DONE


@dataclass(frozen=True)
class DecideDue:
    batch_ids: tuple[UUID, ...]

    def on_model(self, school: School) -> Answer:
        return school.decide_due(self.batch_ids)

    async def on_store(self, side: Side) -> Answer:
        return (await side.stores.timers.decide_due(self.batch_ids)).essays


@dataclass(frozen=True)
class Settle:
    def on_model(self, school: School) -> Answer:
        school.settle()
        return DONE

    async def on_store(self, side: Side) -> Answer:
        await side.stores.open_batches.settle(100)
        return DONE


# --- what they share -----------------------------------------------------------------------------


def real(side: Side, student_id: UUID) -> UUID:
    return side.real.get(student_id, student_id)


def one_made(made: Sequence[object]) -> None:
    """Raise the refusal of the one thing that was to be made."""
    [one] = made
    if isinstance(one, ServiceError):
        raise one


async def by_command(side: Side, name: str, owner: str, members: dict[str, Any]) -> Answer:
    [result] = await side.stores.commands.apply_commands([commands.deliver(name, owner, **members)])
    if result.error_code:
        return refusal(Refusal(result.error_code, result.student_id))
    return result.status.value
