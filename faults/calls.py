"""Requests to any worker, with what is known about the outcome of each."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from http import HTTPStatus
from itertools import chain, repeat
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import orjson

from devstack.rig.http import Http, Reply
from faults.history import Attempt, History, Op, Outcome

CLIENT_SECONDS: Final = 4.0
#: The pauses before a request is repeated; the last one again and again.
REPEAT_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
#: How often a request is sent twice at once, and once more after it was acknowledged.
AT_ONCE: Final = 0.03
AGAIN: Final = 0.05

KEY: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
#: The headers that each answer to one key has alike.
SAME: Final = ("Location", "ETag", "Content-Type")
#: In the answer to a request whose first attempt is under way.
UNDER_WAY: Final = b"IDEMPOTENCY_CONFLICT"
SERVER_ERROR: Final = 500
#: What says nothing of the change itself.
COME_AGAIN: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)

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
    """Sends requests, each with a key and again until its outcome is known."""

    session: aiohttp.ClientSession
    ports: Sequence[int]
    history: History
    clock: Callable[[], float]
    rng: random.Random
    acked_at: float = 0.0
    """When the service last reported success."""

    async def do(self, kind: str, user: str, target: str | None, body: dict[str, Any]) -> Op:
        """Request a change; the returned operation has its outcome."""
        op = await self.try_once(kind, user, target, body)
        await self.settle(op)
        if op.outcome is Outcome.ACKED and self.rng.random() < AGAIN:
            await self._attempt(op)
        return op

    async def try_once(self, kind: str, user: str, target: str | None, body: dict[str, Any]) -> Op:
        """Request a change; it is still to be settled, since its outcome may be unknown."""
        op = self.history.op(Op(str(uuid4()), kind, user, target, body, self.clock()))
        at_once = 2 if self.rng.random() < AT_ONCE else 1
        await asyncio.gather(*(self._attempt(op) for _ in range(at_once)))
        return op

    async def settle(self, op: Op) -> None:
        """Repeat a request until its outcome is known."""
        pauses = chain(REPEAT_SECONDS, repeat(REPEAT_SECONDS[-1]))
        while op.outcome is Outcome.UNKNOWN:
            await pause(self.rng, next(pauses))
            await self._attempt(op)

    async def ask_again(self, op: Op) -> None:
        """Repeat a request whose outcome is known for good once all that is under way has ended."""
        await self._attempt(op)
        await self.settle(op)

    async def _attempt(self, op: Op) -> None:
        """Send a request once, and take down what is known now."""
        method, path = ROUTES[op.kind]
        path = path.format(op.target, op.body.get(IN_PATH))
        one = Attempt(str(uuid4()) if op.attempts else op.id, self.clock())
        op.attempts.append(one)
        headers = {"X-User-ID": quote(op.user), "X-Correlation-ID": one.id, KEY: op.id}
        try:
            reply = await self._send(method, path, op.body, headers)
        except aiohttp.ClientConnectorError:
            one.outcome = Outcome.NEVER
        except (aiohttp.ClientError, TimeoutError):
            pass
        else:
            one.ended = self.clock()
            self._answered(op, one, reply)
        if op.outcome is Outcome.UNKNOWN and all(a.outcome is Outcome.NEVER for a in op.attempts):
            op.outcome = Outcome.NEVER

    def _answered(self, op: Op, one: Attempt, reply: Reply) -> None:
        """Take down an answer; the first success is the operation's."""
        one.status, one.content = reply.status, _content(reply)
        one.is_replay = reply.headers.get(REPLAYED) == "true"
        one.outcome = _outcome(reply)
        if op.outcome is Outcome.ACKED:
            return
        op.status, op.outcome, op.answer = one.status, one.outcome, _decoded(reply.body)
        if one.outcome is Outcome.UNKNOWN:
            return
        op.ended = one.ended
        if one.outcome is Outcome.ACKED:
            self.acked_at = self.clock()
            if op.kind.endswith(".create"):
                op.target = op.answer["id"]

    async def read(self, user: str, path: str) -> tuple[int, Any]:
        """Send a request; return status 0 if there is no answer."""
        try:
            reply = await self._send("GET", path, None, {"X-User-ID": quote(user)})
        except (aiohttp.ClientError, TimeoutError):
            return 0, None
        if reply.status >= SERVER_ERROR:
            self.history.reads.add((path, reply.status))
        return reply.status, _decoded(reply.body)

    async def ask(self, path: str) -> Reply | None:
        """Ask any worker as another service; None if there is no answer."""
        http = Http(self.session, self.rng.choice(self.ports), seconds=CLIENT_SECONDS)
        try:
            return await http.internal(path)
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def _send(self, method: str, path: str, body: object, headers: dict[str, str]) -> Reply:
        http = Http(self.session, self.rng.choice(self.ports), seconds=CLIENT_SECONDS)
        return await http.send(method, path, body or None, headers=headers)


def _outcome(reply: Reply) -> Outcome:
    """Return the outcome; it is unknown after a 5xx, and while another request is under way."""
    if reply.status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome.ACKED
    if reply.status >= SERVER_ERROR or reply.status in COME_AGAIN:
        return Outcome.UNKNOWN
    is_under_way = reply.status == HTTPStatus.CONFLICT and UNDER_WAY in reply.body
    return Outcome.UNKNOWN if is_under_way else Outcome.REFUSED


def _content(reply: Reply) -> bytes:
    """Return a digest of what has to be the same in each answer to one key."""
    headers = "".join(f"{name}:{reply.headers.get(name)}\n" for name in SAME)
    return blake2b(f"{reply.status}\n{headers}".encode() + reply.body, digest_size=8).digest()


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
