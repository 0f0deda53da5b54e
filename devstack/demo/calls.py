"""The requests of a teacher and of another service."""

from collections.abc import Mapping
from typing import Any

from devstack.demo.errors import DemoError
from devstack.rig.envelopes import Json
from devstack.rig.http import Http


class Calls:
    """Sends requests; raises `DemoError` unless the response has the expected status."""

    def __init__(self, http: Http, user_id: str, internal_api_key: str) -> None:
        self._http = http
        self._user = {"X-User-ID": user_id}
        self._service = {"X-Internal-API-Key": internal_api_key, "X-Service-ID": "demo"}

    async def get(self, path: str) -> Any:  # noqa: ANN401  # any JSON
        """Read as the teacher."""
        return await self._call("GET", path, self._user, None, http_ok=200)

    async def get_internal(self, path: str) -> Any:  # noqa: ANN401
        """Read as another service."""
        return await self._call("GET", path, self._service, None, http_ok=200)

    async def post(self, path: str, body: Json, http_ok: int = 201) -> Any:  # noqa: ANN401
        """Create or decide something as the teacher."""
        return await self._call("POST", path, self._user, body, http_ok)

    async def put(self, path: str, body: Json) -> Any:  # noqa: ANN401
        """Change something as the teacher."""
        return await self._call("PUT", path, self._user, body, http_ok=200)

    async def delete(self, path: str) -> None:
        """Delete something as the teacher."""
        await self._call("DELETE", path, self._user, None, http_ok=204)

    async def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: Json | None, http_ok: int
    ) -> Any:  # noqa: ANN401
        reply = await self._http.send(method, path, body, headers=headers)
        if reply.status != http_ok:
            text = reply.body.decode(errors="replace")
            raise DemoError(f"{method} {path} answered {reply.status}, not {http_ok}: {text}")
        return reply.json if reply.body else None
