"""Batches of essays, and the decisions whose they are."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Unpack
from uuid import UUID

from class_management_client.models import (
    Association,
    Batch,
    BatchAssociations,
    Decided,
    PastDecision,
)
from class_management_client.requests import How, Json, Requests


@dataclass(frozen=True)
class Decision:
    """What you say of an essay.

    `student_id` None is the suggested student, or where nobody is suggested the class's UNKNOWN
    student.
    """

    essay_id: UUID
    student_id: UUID | None = None
    confirmed: bool = True

    @property
    def body(self) -> Json:
        """The decision as it is sent."""
        named = {"student_id": str(self.student_id)} if self.student_id else {}
        return {"essay_id": str(self.essay_id), "confirmed": self.confirmed, **named}


@dataclass(frozen=True)
class Batches:
    """Your batches."""

    requests: Requests

    async def all(
        self, state: str | None = None, class_id: UUID | None = None
    ) -> AsyncIterator[Batch]:
        """Yield your batches: `pending` ones, the most urgent first, then `closed` ones."""
        wanted = {"state": state or "", "class_id": str(class_id or "")}
        query = {name: value for name, value in wanted.items() if value}
        async for document in self.requests.pages(
            "/v1/batches", "batches", by="batch_id", query=query
        ):
            yield Batch.model_validate(document)

    async def get(
        self, batch_id: UUID, known: BatchAssociations | None = None
    ) -> BatchAssociations:
        """Return a batch with all of its essays; `known` itself if it has not changed."""
        return await self.requests.read(BatchAssociations, _path(batch_id), known)

    async def essays(self, batch_id: UUID) -> AsyncIterator[Association]:
        """Yield a batch's essays, oldest first, where they are many."""
        async for document in self.requests.pages(_path(batch_id), "associations", by="essay_id"):
            yield Association.model_validate(document)

    async def get_essay(
        self, batch_id: UUID, essay_id: UUID, known: Association | None = None
    ) -> Association:
        """Return an essay; `known` itself if it has not changed."""
        return await self.requests.read(Association, _path(batch_id, essay_id), known)

    async def confirm(
        self,
        batch_id: UUID,
        decisions: Iterable[Decision] = (),
        *,
        suggested_from: float | None = None,
        **how: Unpack[How],
    ) -> Decided:
        """Decide essays; with `suggested_from` also all others whose suggestion is as certain."""
        body: Json = {"associations": [decision.body for decision in decisions]}
        if suggested_from is not None:
            body["confirm_suggested"] = {"min_confidence": suggested_from}
        path = f"{_path(batch_id)}/confirm"
        document, _ = await self.requests.write("POST", path, body, how)
        return Decided.model_validate(document)

    async def correct(
        self, batch_id: UUID, essay_id: UUID, student_id: UUID | None, **how: Unpack[How]
    ) -> Association:
        """Give an essay that was decided to another student, or to nobody."""
        body = {"student_id": str(student_id) if student_id else None}
        path = _path(batch_id, essay_id)
        return Association.read(*await self.requests.write("PUT", path, body, how))

    async def history(self, batch_id: UUID, essay_id: UUID) -> list[PastDecision]:
        """Return the decisions on an essay, oldest first."""
        document = await self.requests.get(f"{_path(batch_id, essay_id)}/history")
        return [PastDecision.model_validate(decision) for decision in document["history"]]


def _path(batch_id: UUID, essay_id: UUID | None = None) -> str:
    path = f"/v1/batches/{batch_id}/student-associations"
    return f"{path}/{essay_id}" if essay_id else path
