"""The requests of a teacher and of another service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from devstack.demo.errors import DemoError
from devstack.rig.envelopes import Json
from devstack.rig.http import Http, Reply

KEY: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"


@dataclass(frozen=True)
class Change:
    """A request that changes something; each has a key of its own, so that it can be repeated."""

    method: str
    path: str
    body: Json | None
    http_ok: int
    key: str


class Calls:
    """Sends requests; raises `DemoError` unless the response has the expected status."""

    _last: Change

    def __init__(self, http: Http, user_id: str, internal_api_key: str) -> None:
        self._http = http
        self._user = {"X-User-ID": user_id}
        self._service = {"X-Internal-API-Key": internal_api_key, "X-Service-ID": "demo"}

    async def get(self, path: str) -> Any:  # noqa: ANN401  # any JSON
        """Read as the teacher."""
        return await self._read(path, self._user)

    async def get_internal(self, path: str) -> Any:  # noqa: ANN401
        """Read as another service."""
        return await self._read(path, self._service)

    async def post(self, path: str, body: Json, http_ok: int = 201) -> Any:  # noqa: ANN401
        """Create or decide something as the teacher."""
        return await self._change(Change("POST", path, body, http_ok, str(uuid4())))

    async def put(self, path: str, body: Json) -> Any:  # noqa: ANN401
        """Change something as the teacher."""
        return await self._change(Change("PUT", path, body, 200, str(uuid4())))

    async def delete(self, path: str) -> None:
        """Delete something as the teacher."""
        await self._change(Change("DELETE", path, None, 204, str(uuid4())))

    async def again(self) -> Any:  # noqa: ANN401
        """Repeat the last change with its key, as one does whose answer was lost.

        Raises `DemoError` unless it is answered with what was kept of it.
        """
        reply = await self._send(self._last)
        if reply.headers.get(REPLAYED) != "true":
            raise DemoError(f"{self._last.path} was carried out again")
        return reply.json

    async def _change(self, change: Change) -> Any:  # noqa: ANN401
        self._last = change
        reply = await self._send(change)
        return reply.json if reply.body else None

    async def _send(self, change: Change) -> Reply:
        headers = self._user | {KEY: change.key}
        reply = await self._http.send(change.method, change.path, change.body, headers=headers)
        return _expected(reply, f"{change.method} {change.path}", change.http_ok)

    async def _read(self, path: str, headers: Mapping[str, str]) -> Any:  # noqa: ANN401
        reply = await self._http.send("GET", path, headers=headers)
        return _expected(reply, f"GET {path}", http_ok=200).json


def _expected(reply: Reply, what: str, http_ok: int) -> Reply:
    """Return a reply with the expected status. Raises `DemoError`."""
    if reply.status != http_ok:
        text = reply.body.decode(errors="replace")
        raise DemoError(f"{what} answered {reply.status}, not {http_ok}: {text}")
    return reply
