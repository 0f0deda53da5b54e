"""A client of the Class Management Service, for teachers' programs.

    async with ClassManagement("http://127.0.0.1:5002", "teacher-1") as service:
        created = await service.classes.create("7A", "SV1")

docs/api.md shows all of it. It needs httpx and pydantic; take the folder along as it is.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from class_management_client.batches import Batches, Decision
from class_management_client.changes import Changes
from class_management_client.classes import ClassChange, Classes
from class_management_client.imports import Imports, Wanted
from class_management_client.models import (
    Association,
    Batch,
    BatchAssociations,
    Change,
    ChangePage,
    Class,
    ClassDeletion,
    Course,
    Decided,
    Import,
    ImportRow,
    PastChange,
    PastDecision,
    PersonName,
    RosterStudent,
    Student,
)
from class_management_client.problems import (
    BusyError,
    ChangedMeanwhileError,
    ConflictError,
    EmailTakenError,
    Fault,
    InvalidError,
    KeyReusedError,
    NoAnswerError,
    NotFoundError,
    NotSignedInError,
    ProblemError,
    ResyncError,
    ServiceError,
)
from class_management_client.requests import Requests
from class_management_client.students import StudentChange, Students
from class_management_client.transport import Identity, Patience, Transport

__all__ = [
    "Association",
    "Batch",
    "BatchAssociations",
    "BusyError",
    "Change",
    "ChangePage",
    "ChangedMeanwhileError",
    "Class",
    "ClassChange",
    "ClassDeletion",
    "ClassManagement",
    "ConflictError",
    "Course",
    "Decided",
    "Decision",
    "EmailTakenError",
    "Fault",
    "Import",
    "ImportRow",
    "InvalidError",
    "KeyReusedError",
    "NoAnswerError",
    "NotFoundError",
    "NotSignedInError",
    "PastChange",
    "PastDecision",
    "Patience",
    "PersonName",
    "ProblemError",
    "ResyncError",
    "RosterStudent",
    "ServiceError",
    "Student",
    "StudentChange",
    "Wanted",
]


class ClassManagement:
    """The service, as a teacher uses it; open it with `async with`, or close it with `aclose`."""

    def __init__(
        self,
        address: str,
        user_id: str,
        *,
        token: Callable[[], str] | None = None,
        patience: Patience | None = None,
        timeout_seconds: float = 15.0,
    ) -> None:
        """Speak for a user with the service at an address; `token` returns a JWT of theirs."""
        self._http = httpx.AsyncClient(base_url=address, timeout=timeout_seconds)
        identity = Identity(user_id, token)
        self._requests = Requests(Transport(self._http, identity, patience or Patience()))
        self.classes = Classes(self._requests)
        self.students = Students(self._requests)
        self.batches = Batches(self._requests)
        self.imports = Imports(self._requests)
        self.changes = Changes(self._requests)

    async def courses(self) -> list[Course]:
        """Return the courses that a class can belong to."""
        document = await self._requests.get("/v1/courses")
        return [Course.model_validate(course) for course in document["courses"]]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Return the service."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()
