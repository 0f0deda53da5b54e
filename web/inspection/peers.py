"""Asks another worker for its part, over HTTP with the internal key."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, Protocol, TypeVar
from uuid import UUID

import aiohttp
from pydantic import TypeAdapter, ValidationError

from rules.events.envelopes import to_json
from rules.models import Trace
from store.protocols.workers import WorkerRecord
from tables.entries import EntryQuery, Holding
from web.inspection.merge import position
from web.inspection.parts import DriftPart, EntryPart, PagePart, TablePart
from web.parameters import write_cursor

#: Where a worker answers for itself alone. It asks nobody there, so no question goes in circles.
WORKER_TABLES: Final = "/internal/v1/worker/tables"
WORKER_PENDING: Final = f"{WORKER_TABLES}/pending-associations"
WORKER_DRIFT: Final = f"{WORKER_PENDING}/drift"

#: A page of a hundred entries has 40 KB.
MAX_ANSWER: Final = 1024**2
# Nobody is asked so often that more would help; those that hang must not use up all sockets.
CONNECTIONS_PER_WORKER: Final = 16

_TABLE: Final = TypeAdapter(TablePart)
_PAGE: Final = TypeAdapter(PagePart)
_ENTRY: Final = TypeAdapter(EntryPart)
_DRIFT: Final = TypeAdapter(DriftPart)


class NoAnswerError(Exception):
    """A worker cannot be reached, or what it says is no answer; the message says which."""


class AnswerPart(Protocol):
    """An answer that says whose it is."""

    @property
    def holding(self) -> Holding:
        """What the worker that answered holds."""


PartT = TypeVar("PartT", bound=AnswerPart)


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """As whom other workers are asked."""

    service_name: str
    internal_key: str


class PeerClient:
    """The HTTP connections to other workers."""

    def __init__(self, config: PeerConfig) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        url: str,
        trace: Trace,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """Return the body of a good answer. Whoever asks sets the time limit.

        Raises NoAnswerError.
        """
        try:
            async with self._opened().request(
                method,
                url,
                params=query,
                data=body,
                headers=self._headers(trace),
                allow_redirects=False,  # the key is for the worker and nobody else
            ) as response:
                if response.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
                    raise NoAnswerError(f"answered {response.status}")
                return await _bounded(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswerError(f"not reached: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Connections are not kept: one to a worker that was started anew would fail.
            connector = aiohttp.TCPConnector(
                limit=0, limit_per_host=CONNECTIONS_PER_WORKER, force_close=True
            )
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    def _headers(self, trace: Trace) -> dict[str, str]:
        headers = {
            "X-Internal-API-Key": self._config.internal_key,
            "X-Service-ID": self._config.service_name,
            "X-Correlation-ID": str(trace.correlation_id),
            "Content-Type": "application/json",
        }
        if trace.traceparent:
            headers["traceparent"] = trace.traceparent
        return headers


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise NoAnswerError("answered too much")
    return bytes(body)


class RemotePart:
    """Another worker's part."""

    def __init__(self, record: WorkerRecord, client: PeerClient, trace: Trace) -> None:
        self._record = record
        self._client = client
        self._trace = trace

    @property
    def worker(self) -> str:
        """The name of that worker."""
        return self._record.worker

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that it said it holds, the last time that it announced itself."""
        return self._record.partitions

    async def table(self) -> TablePart:
        """Return how much it has."""
        part = await self._get(_TABLE, WORKER_TABLES)
        return replace(part, table=replace(part.table, worker=self.worker, reachable=True))

    async def pending(self, query: EntryQuery) -> PagePart:
        """Return a page of its entries. What is not in order would spoil the order of all."""
        asked = {
            "limit": str(query.limit),
            "cursor": write_cursor(query.after) if query.after else "",
            "class_id": str(query.class_id or ""),
            "due_before": query.due_before.isoformat() if query.due_before else "",
        }
        page = await self._get(_PAGE, WORKER_PENDING, asked)
        if not _sound(page, query):
            raise NoAnswerError("answered with entries that were not asked for")
        return page

    async def pending_batch(self, batch_id: UUID) -> EntryPart:
        """Return its entry of a batch."""
        part = await self._get(_ENTRY, f"{WORKER_PENDING}/{batch_id}")
        if part.entry is not None and part.entry.batch_id != batch_id:
            raise NoAnswerError("answered with another batch")
        return part

    async def drift(self) -> DriftPart:
        """Return how its part differs from the database."""
        return await self._get(_DRIFT, WORKER_DRIFT)

    async def compare(self, *, repair: bool) -> DriftPart:
        """Have it compare anew; return what it knew before."""
        return await self._ask(_DRIFT, "POST", WORKER_DRIFT, None, to_json({"repair": repair}))

    async def _get(
        self, form: TypeAdapter[PartT], path: str, query: Mapping[str, str] | None = None
    ) -> PartT:
        return await self._ask(form, "GET", path, query)

    async def _ask(
        self,
        form: TypeAdapter[PartT],
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> PartT:
        url = f"{self._record.url}{path}"
        answer = await self._client.ask(method, url, self._trace, query, body)
        try:
            part = form.validate_json(answer)
        except ValidationError:
            raise NoAnswerError("answered in another form") from None
        if part.holding.worker != self.worker:
            # Another one has its address by now, or several advertise the same.
            raise NoAnswerError("somebody else answers there")
        return part


def _sound(page: PagePart, query: EntryQuery) -> bool:
    """Tell whether a page has the order and the size that merging rests on."""
    if len(page.entries) > query.limit or (page.more and not page.entries):
        return False
    if any(entry.confirm_by.utcoffset() is None for entry in page.entries):
        return False
    places = [position(entry) for entry in page.entries]
    if query.after is not None:
        places.insert(0, query.after)
    return all(one < other for one, other in itertools.pairwise(places))
