"""Asks another worker about its part, over HTTP, signed with the internal key."""

import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import aiohttp
from pydantic import ValidationError
from yarl import URL

from rules.models import Trace
from store.protocols.workers import WorkerRecord
from web.inspection.answers import AnswerT
from web.inspection.parts import NoAnswerError, Operation, UnknownPathError
from web.inspection.queries import QueryT
from web.signatures import HEADER, Question

#: A page of a hundred entries has 40 KB.
MAX_ANSWER: Final = 1024**2
# Workers that hang must not use up all sockets.
CONNECTIONS_PER_WORKER: Final = 16


class PeerClient:
    """The HTTP connections to other workers."""

    def __init__(self, service_name: str, internal_key: str) -> None:
        """`internal_key` signs the questions; it is never sent."""
        self._service_name = service_name
        self._internal_key = internal_key
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, question: Question, trace: Trace, body: bytes | None = None) -> bytes:
        """Return the body of the answer. Raises NoAnswerError; the caller limits the time."""
        try:
            async with self._opened().request(
                question.method,
                URL(f"{question.receiver.url}{question.path}", encoded=True),
                data=body,
                headers=self._headers(question, trace),
                allow_redirects=False,  # the question is only for that worker
            ) as response:
                if response.status == HTTPStatus.NOT_FOUND:
                    raise UnknownPathError("answered 404")
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
            # Not kept alive: a connection to a restarted worker would fail.
            connector = aiohttp.TCPConnector(
                limit=0, limit_per_host=CONNECTIONS_PER_WORKER, force_close=True
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def _headers(self, question: Question, trace: Trace) -> dict[str, str]:
        headers = {
            HEADER: question.sign(self._internal_key, int(time.time())),
            "X-Service-ID": self._service_name,
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
        """The partitions in its last announcement."""
        return self._record.partitions

    async def ask(self, operation: Operation[QueryT, AnswerT], query: QueryT) -> AnswerT:
        """Return its answer. Raises NoAnswerError."""
        written = operation.query.write(query)
        path = operation.own_path.format_map(written.ids)
        target = URL.build(path=path, query=written.parameters).raw_path_qs
        question = Question(operation.method, target, self._record)
        content = await self._client.ask(question, self._trace, written.body)
        try:
            answer = operation.answer.validate_json(content)
        except ValidationError:
            raise NoAnswerError("answered in another form") from None
        if answer.holding.worker != self.worker:
            # Another worker has this address now, or several advertise the same.
            raise NoAnswerError("somebody else answers there")
        return operation.accept(answer, query)
