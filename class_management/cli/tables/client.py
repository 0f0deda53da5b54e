"""A client of the service's internal HTTP operations."""

import os
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Final, Self
from uuid import UUID

import aiohttp
import orjson

from class_management.cli.output import Json
from class_management.cli.runner import TroubleError, answering
from class_management.settings import PREFIX, SERVICE_NAME

TABLES: Final = "/internal/v1/tables"
PENDING: Final = f"{TABLES}/pending-associations"
DRIFT: Final = f"{PENDING}/drift"

MAX_PAGE: Final = 100


class BatchNotThereError(Exception):
    """The table has no such batch."""


class Service:
    """A worker, which asks the others."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"X-Internal-API-Key": self._key, "X-Service-ID": f"{SERVICE_NAME}_cli"},
            timeout=aiohttp.ClientTimeout(),  # that of `answering` counts
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def tables(self) -> Json:
        """Return which worker holds which partitions, with how many entries."""
        return await self._ask("GET", TABLES, member="tables")

    async def pages(self, query: Mapping[str, str], limit: int | None) -> AsyncIterator[Json]:
        """Yield pages of entries up to `limit`."""
        cursor, left = "", limit
        while left is None or left > 0:
            size = MAX_PAGE if left is None else min(left, MAX_PAGE)
            parameters = {**query, "limit": str(size), "cursor": cursor}
            page = await self._ask("GET", PENDING, parameters, member="entries")
            yield page
            if page["next_cursor"] is None:
                return
            cursor = page["next_cursor"]
            left = None if left is None else left - len(page["entries"])

    async def entry(self, batch_id: UUID) -> Json | None:
        """Return a batch's entry with the database's row, None if the table has none."""
        try:
            return await self._ask("GET", f"{PENDING}/{batch_id}", member="batch_id")
        except BatchNotThereError:
            return None

    async def drift(self) -> Json:
        """Return the results of the last comparison."""
        return await self._ask("GET", DRIFT, member="workers")

    async def compare(self, *, repair: bool) -> Json:
        """Start a comparison; return the results of the one before."""
        return await self._ask("POST", DRIFT, body={"repair": repair}, member="workers")

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        member: str,
    ) -> Json:
        """Return an answer that has this member. Raises TroubleError and BatchNotThereError."""
        try:
            async with (
                answering(self._url),
                self._session.request(
                    method,
                    f"{self._url}{path}",
                    params=query,
                    data=None if body is None else orjson.dumps(body),
                    headers={} if body is None else {"Content-Type": "application/json"},
                    allow_redirects=False,
                ) as response,
            ):
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise TroubleError(f"{self._url} {_reason(error)}") from None
        return self._read(status, content, member)

    def _read(self, status: int, content: bytes, member: str) -> Json:
        document = _document(content)
        code = document.get("error_code")
        if status < HTTPStatus.MULTIPLE_CHOICES and member in document:
            return document
        if code == "BATCH_NOT_FOUND":
            raise BatchNotThereError
        if code == "AUTHENTICATION_REQUIRED":
            raise TroubleError(
                f"{self._url} refuses the key: is {PREFIX}INTERNAL_API_KEY the same there?"
            )
        if isinstance(code, str):
            raise TroubleError(f"{self._url} answers {status}: {_problem(document)}")
        raise TroubleError(f"what answers at {self._url} ({status}) is not this service")


def _document(content: bytes) -> Json:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _problem(document: Json) -> str:
    """Return a problem document in one line."""
    faults = [f"{fault['pointer'][1:]}: {fault['detail']}" for fault in document.get("errors", [])]
    return "; ".join(faults) or str(document.get("detail"))


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.InvalidURL):
        return "is no URL like http://127.0.0.1:5002"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno  # a name that cannot be resolved has a negative one
        reason = os.strerror(number) if number and number > 0 else error.os_error.strerror
        return f"cannot be reached: {reason or type(error).__name__}"
    return f"cannot be asked: {type(error).__name__}"
