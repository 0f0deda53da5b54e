"""Sends requests, and sends them again where that is safe and may help."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from class_management_client.problems import NoAnswerError, problem_of

#: It is worth waiting: too many requests, no database, a proxy without a server.
_WORTH_WAITING = frozenset({408, 429, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How often a request is sent, and how long to wait in between.

    The pauses grow, and their length is left to chance, so that clients that were refused together
    do not come back together.
    """

    attempts: int = 6
    first_seconds: float = 0.2
    most_seconds: float = 10.0

    def pause(self, attempt: int, asked: float) -> float:
        """Return the seconds to wait after an attempt, at least those that the service asks for."""
        longest: float = min(self.most_seconds, self.first_seconds * 2**attempt)
        return asked + random.uniform(0, longest)  # noqa: S311  # no secret


@dataclass(frozen=True)
class Identity:
    """Who is calling. `token` returns a JWT, where the service asks for one."""

    user_id: str
    token: Callable[[], str] | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that say so; an id outside ASCII is percent-encoded."""
        said = {"X-User-ID": quote(self.user_id)}
        return said | ({"Authorization": f"Bearer {self.token()}"} if self.token else {})


@dataclass(frozen=True)
class Transport:
    """Speaks to the service as somebody."""

    http: httpx.AsyncClient
    identity: Identity
    patience: Patience = field(default_factory=Patience)

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request until it is answered; return the answer, also "not modified".

        `body` is sent as JSON, or as the bytes that it is.

        Raises ProblemError for a refusal, NoAnswerError if no answer came.
        """
        request = self.http.build_request(
            method,
            path,
            params=query,
            json=None if isinstance(body, bytes) else body,
            content=body if isinstance(body, bytes) else None,
            # One for all attempts: the events and log lines of all have it.
            headers={"X-Correlation-ID": str(uuid4()), **(headers or {})},
        )
        answer = await self._persist(request)
        if answer.is_success or answer.status_code == httpx.codes.NOT_MODIFIED:
            return answer
        raise problem_of(answer)

    async def _persist(self, request: httpx.Request) -> httpx.Response:
        """Send it again while that may help, and while there is patience."""
        for attempt in range(self.patience.attempts - 1):
            try:
                answer = await self._send_once(request)
            except httpx.TransportError:
                # It may have arrived: its key has the service do it once.
                asked = 0.0
            else:
                if not _may_be_better_later(answer):
                    return answer
                asked = _asked_to_wait(answer)
            await asyncio.sleep(self.patience.pause(attempt, asked))
        try:
            return await self._send_once(request)
        except httpx.TransportError as error:
            raise NoAnswerError(f"no answer to {request.method} {request.url.path}") from error

    async def _send_once(self, request: httpx.Request) -> httpx.Response:
        request.headers.update(self.identity.headers())
        return await self.http.send(request)


def _may_be_better_later(answer: httpx.Response) -> bool:
    if answer.status_code in _WORTH_WAITING:
        return True
    # The first attempt is still being carried out.
    return answer.status_code == httpx.codes.CONFLICT and "Retry-After" in answer.headers


def _asked_to_wait(answer: httpx.Response) -> float:
    seconds = answer.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else 0.0
