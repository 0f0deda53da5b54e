"""Requests to any worker, with what is known about the outcome of each."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import orjson

from devstack.rig.http import Http
from faults.history import History, Op, Outcome

CLIENT_SECONDS: Final = 4.0

#: The HTTP request of each kind of change.
ROUTES: Final = {
    "class.create": ("POST", "/v1/classes"),
    "class.update": ("PUT", "/v1/classes/{}"),
    "class.delete": ("DELETE", "/v1/classes/{}"),
    "student.create": ("POST", "/v1/classes/students"),
    "student.update": ("PUT", "/v1/classes/students/{}"),
    "student.delete": ("DELETE", "/v1/classes/students/{}"),
    "student.merge": ("POST", "/v1/classes/students/{}/merge"),
    "associations.confirm": ("POST", "/v1/batches/{}/student-associations/confirm"),
    "associations.correct": ("PUT", "/v1/batches/{}/student-associations/{}"),
}
#: Of a body: the member that is part of the path.
IN_PATH: Final = "essay_id"


@dataclass
class Calls:
    """Sends requests and records their outcomes."""

    session: aiohttp.ClientSession
    ports: Sequence[int]
    history: History
    clock: Callable[[], float]
    rng: random.Random
    seen: dict[str, int] = field(default_factory=dict)
    acked_at: float = 0.0
    """When the service last reported success."""

    async def do(self, kind: str, user: str, target: str | None, body: dict[str, Any]) -> Op:
        """Request a change; the returned operation has its outcome."""
        op = Op(str(uuid4()), kind, user, target, body, self.clock())
        return await self.carry_out(self.history.op(op))

    async def carry_out(self, op: Op) -> Op:
        """Request a change that has been recorded."""
        method, path = ROUTES[op.kind]
        path = path.format(op.target, op.body.get(IN_PATH))
        headers = {"X-User-ID": quote(op.user), "X-Correlation-ID": op.id}
        try:
            op.status, answer = await self._send(method, path, op.body, headers)
        except aiohttp.ClientConnectorError:
            op.outcome = Outcome.NEVER
        except (aiohttp.ClientError, TimeoutError):
            op.outcome = Outcome.UNKNOWN
        else:
            op.outcome = _outcome(op.status)
            op.answer = _decoded(answer)
            op.ended = self.clock()
            if op.outcome is Outcome.ACKED:
                self.acked_at = op.ended
            if op.outcome is Outcome.ACKED and op.kind.endswith(".create"):
                op.target = op.answer["id"]
        self.seen[op.outcome] = self.seen.get(op.outcome, 0) + 1
        return op

    async def read(self, user: str, path: str) -> tuple[int, Any]:
        """Send a request; return status 0 if there is no answer."""
        try:
            status, answer = await self._send("GET", path, None, {"X-User-ID": quote(user)})
        except (aiohttp.ClientError, TimeoutError):
            return 0, None
        if status >= 500:
            self.history.reads.add((path, status))
        return status, _decoded(answer)

    async def _send(
        self, method: str, path: str, body: object, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        http = Http(self.session, self.rng.choice(self.ports), seconds=CLIENT_SECONDS)
        reply = await http.send(method, path, body or None, headers=headers)
        return reply.status, reply.body


def _outcome(status: int) -> Outcome:
    """Return the outcome for a status; that of a 5xx is unknown."""
    if status < 300:
        return Outcome.ACKED
    return Outcome.REFUSED if status < 500 else Outcome.UNKNOWN


def _decoded(answer: bytes) -> Any:  # noqa: ANN401  # JSON
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None


async def pause(rng: random.Random, seconds: float) -> None:
    """Wait for about this long."""
    await asyncio.sleep(rng.uniform(0.3, 1.7) * seconds)


@dataclass
class Pace:
    """Turns at an average rate, however long each takes; missed turns are not made up for."""

    rng: random.Random
    seconds: float
    """The average time from one turn to the next."""
    _next: float = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = asyncio.get_running_loop().time()
        # After a delay longer than a turn, missed turns are dropped: catching up would be
        # an unplanned burst.
        begin = max(self._next, now - self.seconds)
        self._next = begin + self.rng.uniform(0.3, 1.7) * self.seconds
        await asyncio.sleep(max(self._next - now, 0))

    async def skip(self, turns: int) -> None:
        """Wait for the length of several turns."""
        for _ in range(turns):
            await self.turn()
