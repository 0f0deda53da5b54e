"""The forms that all requests have: reading, reading a list page by page, writing once."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar
from uuid import UUID, uuid4

import httpx

from class_management_client.models import PastChange, Tagged
from class_management_client.problems import ChangedMeanwhileError
from class_management_client.transport import Transport

#: The most that a page may have.
PAGE = 100
#: How often something is changed between reading and writing before that is given up.
DISTURBANCES = 20

T = TypeVar("T")
TaggedT = TypeVar("TaggedT", bound=Tagged)
Json = dict[str, Any]
Query = Mapping[str, str | int]


class How(TypedDict, total=False):
    """How something is written.

    `key`: the request's Idempotency-Key. Each call has a new one, which serves all attempts; give
    one that you have stored where your program itself may be started again in the middle.
    `if_match`: the tag of what you read; nothing is written if it is something else by now.
    `dry_run`: only say whether it would work.
    """

    key: str
    if_match: str | None
    dry_run: bool


@dataclass(frozen=True)
class File:
    """A file to send, as it is."""

    content: bytes
    media_type: str


@dataclass(frozen=True)
class Requests:
    """Asks the service."""

    transport: Transport

    async def get(self, path: str, query: Query | None = None) -> Json:
        """Return what is at a path."""
        document: Json = (await self.transport.send("GET", path, query=query)).json()
        return document

    async def file(self, path: str, media_type: str) -> bytes:
        """Return the file at a path."""
        headers = {"Accept": media_type}
        return (await self.transport.send("GET", path, headers=headers)).content

    async def read(self, model: type[TaggedT], path: str, known: TaggedT | None) -> TaggedT:
        """Return what is at a path; `known` itself where that is still what is there."""
        condition = {"If-None-Match": known.tag} if known and known.tag else {}
        answer = await self.transport.send("GET", path, headers=condition)
        if known and answer.status_code == httpx.codes.NOT_MODIFIED:
            return known
        return model.read(answer.json(), answer.headers.get("ETag"))

    async def pages(
        self, path: str, member: str, *, by: str | None = "id", query: Query | None = None
    ) -> AsyncIterator[Json]:
        """Yield what is in a list, however many pages it has; what comes twice, the first time.

        What moves in the list while it is read may come twice; `by` is the member to know it by,
        None where nothing moves.
        """
        asked: dict[str, str | int] = {"limit": PAGE, **(query or {})}
        seen: set[str] = set()
        while True:
            page = await self.get(path, asked)
            for document in page[member]:
                if by is None:
                    yield document
                elif document[by] not in seen:
                    seen.add(document[by])
                    yield document
            cursor = page["pagination"]["next_cursor"]
            if cursor is None:
                return
            asked["cursor"] = cursor

    async def history(self, path: str) -> list[PastChange]:
        """Return what happened to a class or student, oldest first."""
        asked: dict[str, str | int] = {"limit": PAGE}
        found: list[PastChange] = []
        while True:
            page = await self.get(path, asked)
            found += [PastChange.model_validate(change) for change in page["history"]]
            cursor = page["pagination"]["next_cursor"]
            if cursor is None:
                return found
            asked["cursor"] = cursor

    async def write(
        self,
        method: str,
        path: str,
        body: Json | File | None,
        how: How,
        query: Query | None = None,
    ) -> tuple[Json, str | None]:
        """Do something once, however often it has to be sent; return the answer and its tag."""
        headers = {"Idempotency-Key": how.get("key") or str(uuid4())}
        if tag := how.get("if_match"):
            headers["If-Match"] = tag
        if isinstance(body, File):
            headers["Content-Type"] = body.media_type
        asked = {**(query or {}), **({"dry_run": "true"} if how.get("dry_run") else {})}
        content = body.content if isinstance(body, File) else body
        answer = await self.transport.send(
            method, path, query=asked or None, body=content, headers=headers
        )
        return (answer.json() if answer.content else {}), answer.headers.get("ETag")


async def until_undisturbed(attempt: Callable[[], Awaitable[T]]) -> T:
    """Read and write again as long as somebody else writes in between."""
    for _ in range(DISTURBANCES - 1):
        try:
            return await attempt()
        except ChangedMeanwhileError:
            continue
    return await attempt()


def texts(ids: Iterable[UUID]) -> list[str]:
    """Return ids as JSON has them."""
    return [str(one) for one in ids]
