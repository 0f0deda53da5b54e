"""What the examples of the OpenAPI document speak of, in a running service."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from uuid import UUID

import orjson

from rules.ids import new_id
from tables.entries import TableEntry
from tests.integration.web.api import SERVICE, Api, Reply
from tests.integration.web.fakes import START, partition_of
from tests.integration.web.importing import new_plan
from tests.integration.web.requests import file_of, headers_of
from web.documents.examples import (
    BATCH_ID,
    CLASS_ID,
    ESSAY_ID,
    EXAMPLES,
    IMPORT_ID,
    OTHER_STUDENT_ID,
    STUDENT_ID,
)
from web.identity import Access
from web.operations import Operation
from web.queries import BATCH_IDS

CLASSES: Final = "/v1/classes"
NAMES: Final = {
    "class_id": CLASS_ID,
    "student_id": STUDENT_ID,
    "batch_id": BATCH_ID,
    "essay_id": ESSAY_ID,
    "import_id": IMPORT_ID,
}


@dataclass(frozen=True)
class Request:
    """A request that can be made to fail."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    by_user: bool
    file: bytes | None = None

    def with_text(self, old: str, new: str) -> Self:
        """Return it with another id, wherever it stands."""
        body = orjson.loads(orjson.dumps(self.body).decode().replace(old, new))
        return replace(self, path=self.path.replace(old, new), body=body)


@dataclass(frozen=True)
class World:
    """A class of two students, and a batch of an essay that waits and one that is decided."""

    api: Api
    ids: Mapping[str, str]
    decided_essay: str
    unknown: str

    def request(self, operation: Operation) -> Request:
        """Return the example of an operation, about what there is."""
        body = None if operation.body is None else EXAMPLES[operation.body]
        query = f"?{BATCH_IDS.name}={BATCH_ID}" if BATCH_IDS in operation.parameters else ""
        by_user = operation.access in {Access.USER, Access.USER_OR_SERVICE}
        by_service = operation.access in {Access.SERVICE, Access.WORKER}
        headers = {**(SERVICE if by_service else {}), **headers_of(operation)}
        path = operation.path.format(**NAMES) + query
        file = file_of(operation)
        request = Request(operation.method, path, headers, body, by_user, file)
        for example, real in self.ids.items():
            request = request.with_text(example, real)
        return request

    async def send(self, request: Request, *, data: object = None) -> Reply:
        """Send a request, with `data` instead of its body if given."""
        user = {} if request.by_user else {"user": None}
        return await self.api.send(
            request.method,
            request.path,
            None if data is not None else request.body,
            headers=request.headers,
            data=request.file if data is None else data,
            **user,
        )

    async def decide(self, *, confirmed: bool = True) -> None:
        """Decide the essay that waits."""
        decisions = [{"essay_id": self.ids[ESSAY_ID], "confirmed": confirmed}]
        await confirm(self.api, self.ids[BATCH_ID], decisions)


async def confirm(api: Api, batch_id: str, decisions: list[dict[str, object]]) -> None:
    path = f"/v1/batches/{batch_id}/student-associations/confirm"
    assert (await api.send("POST", path, {"associations": decisions})).status == 200


async def make_world(api: Api) -> World:
    """Make what the examples speak of."""
    class_id = await api.new_class()
    asa = await api.new_student(class_ids=(class_id,))
    other = await api.new_student("Bo", "Ek", class_ids=(class_id,))
    batch_id, (waits, decided) = await api.new_batch(class_id, asa, None)
    await confirm(api, batch_id, [{"essay_id": decided, "confirmed": True}])
    found = await api.internal(f"/internal/v1/associations/essay/{decided}")
    api.setup.tables.entries.append(
        TableEntry(
            UUID(batch_id), UUID(class_id), 1, START, START, partition_of(UUID(batch_id)), "w1"
        )
    )
    ids = {
        CLASS_ID: class_id,
        STUDENT_ID: asa,
        OTHER_STUDENT_ID: other,
        BATCH_ID: batch_id,
        ESSAY_ID: waits,
        IMPORT_ID: await new_plan(api.setup.store.imports, class_id),
    }
    return World(api, ids, decided, found.json["student_id"])


def nobody() -> str:
    """Return an id that nothing has."""
    return str(new_id())


async def stalled() -> AsyncIterator[bytes]:
    """Yield the beginning of a body, and no end."""
    yield b"{"
    await asyncio.sleep(60)
