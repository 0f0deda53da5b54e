"""Students."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import TypedDict, Unpack
from uuid import UUID

from class_management_client.models import PersonName, Student
from class_management_client.requests import How, Json, Requests, texts, until_undisturbed

STUDENTS = "/v1/classes/students"


class StudentChange(TypedDict, total=False):
    """What to change; what is absent stays as it is.

    `email` None takes the address away, and so with `external_id`.
    """

    name: PersonName
    email: str | None
    external_id: str | None
    add_to: Iterable[UUID]
    remove_from: Iterable[UUID]


@dataclass(frozen=True)
class Students:
    """Your students."""

    requests: Requests

    async def create(
        self,
        name: PersonName,
        email: str | None = None,
        class_ids: Iterable[UUID] = (),
        external_id: str | None = None,
        **how: Unpack[How],
    ) -> Student:
        """Create a student, who is in these classes at once."""
        body = {"person_name": _name(name), "email": email, "class_ids": texts(class_ids)}
        if external_id is not None:
            body["external_id"] = external_id
        return Student.read(*await self.requests.write("POST", STUDENTS, body, how))

    async def find(
        self,
        q: str = "",
        *,
        email: str = "",
        external_id: str = "",
        class_id: UUID | None = None,
    ) -> AsyncIterator[Student]:
        """Yield your students by name: all, or those with this part of a name or address."""
        wanted = {"q": q, "email": email, "external_id": external_id}
        wanted["class_id"] = str(class_id or "")
        query = {name: value for name, value in wanted.items() if value}
        async for document in self.requests.pages(STUDENTS, "students", query=query):
            yield Student.model_validate(document)

    async def get(self, student_id: UUID, known: Student | None = None) -> Student:
        """Return a student; `known` itself if it has not changed."""
        return await self.requests.read(Student, _path(student_id), known)

    async def update(self, student_id: UUID, change: StudentChange, **how: Unpack[How]) -> Student:
        """Change a student."""
        body = _body(change)
        return Student.read(*await self.requests.write("PUT", _path(student_id), body, how))

    async def edit(self, student_id: UUID, change: Callable[[Student], StudentChange]) -> Student:
        """Change a student by what it is, also if others change it meanwhile."""

        async def attempt() -> Student:
            found = await self.get(student_id)
            return await self.update(student_id, change(found), if_match=found.tag)

        return await until_undisturbed(attempt)

    async def delete(self, student_id: UUID, **how: Unpack[How]) -> None:
        """Delete a student."""
        await self.requests.write("DELETE", _path(student_id), None, how)

    async def merge(self, student_id: UUID, into: UUID, **how: Unpack[How]) -> Student:
        """Make one of two students; return `into`, which has all that both had."""
        body = {"into": str(into)}
        path = f"{_path(student_id)}/merge"
        return Student.read(*await self.requests.write("POST", path, body, how))


def _path(student_id: UUID) -> str:
    return f"{STUDENTS}/{student_id}"


def _name(name: PersonName) -> Json:
    return name.model_dump(exclude_none=True)


def _body(change: StudentChange) -> Json:
    body: Json = {"email": change["email"]} if "email" in change else {}
    if "external_id" in change:
        body["external_id"] = change["external_id"]
    if "name" in change:
        body["person_name"] = _name(change["name"])
    if "add_to" in change:
        body["add_class_ids"] = texts(change["add_to"])
    if "remove_from" in change:
        body["remove_class_ids"] = texts(change["remove_from"])
    return body
