"""Classes and their rosters."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypedDict, Unpack
from uuid import UUID

from class_management_client.models import Class, ClassDeletion, RosterStudent
from class_management_client.requests import How, Json, Requests, until_undisturbed


class ClassChange(TypedDict, total=False):
    """What to change; what is absent stays as it is, and `external_id` None takes it away."""

    name: str
    course_code: str
    external_id: str | None


@dataclass(frozen=True)
class Classes:
    """Your classes."""

    requests: Requests

    async def create(
        self, name: str, course_code: str, external_id: str | None = None, **how: Unpack[How]
    ) -> Class:
        """Create a class."""
        body = _body({"name": name, "course_code": course_code})
        if external_id is not None:
            body["external_id"] = external_id
        return Class.read(*await self.requests.write("POST", "/v1/classes", body, how))

    async def all(self, *, external_id: str = "") -> AsyncIterator[Class]:
        """Yield your classes, newest first; or the one that another system calls so."""
        query = {"external_id": external_id} if external_id else {}
        async for document in self.requests.pages("/v1/classes", "classes", query=query):
            yield Class.model_validate(document)

    async def get(self, class_id: UUID, known: Class | None = None) -> Class:
        """Return a class with its students; `known` itself if it has not changed."""
        return await self.requests.read(Class, _path(class_id), known)

    async def update(self, class_id: UUID, change: ClassChange, **how: Unpack[How]) -> Class:
        """Change a class."""
        body = _body(change)
        return Class.read(*await self.requests.write("PUT", _path(class_id), body, how))

    async def edit(self, class_id: UUID, change: Callable[[Class], ClassChange]) -> Class:
        """Change a class by what it is, also if others change it meanwhile."""

        async def attempt() -> Class:
            found = await self.get(class_id)
            return await self.update(class_id, change(found), if_match=found.tag)

        return await until_undisturbed(attempt)

    async def delete(self, class_id: UUID, **how: Unpack[How]) -> None:
        """Delete a class."""
        await self.requests.write("DELETE", _path(class_id), None, how)

    async def what_deleting_ends(self, class_id: UUID) -> ClassDeletion:
        """Return what deleting a class would end, without deleting it."""
        how: How = {"dry_run": True}
        document, _ = await self.requests.write("DELETE", _path(class_id), None, how)
        return ClassDeletion.model_validate(document)

    async def roster(self, class_id: UUID) -> list[RosterStudent]:
        """Return who is in a class, by name."""
        document = await self.requests.get(f"{_path(class_id)}/roster")
        return [RosterStudent.model_validate(student) for student in document["students"]]


def _path(class_id: UUID) -> str:
    return f"/v1/classes/{class_id}"


def _body(change: ClassChange) -> Json:
    body: Json = {"name": change["name"]} if "name" in change else {}
    if "external_id" in change:
        body["external_id"] = change["external_id"]
    return body | ({"course_codes": [change["course_code"]]} if "course_code" in change else {})
