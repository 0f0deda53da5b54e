"""Requests that may be repeated (`Idempotency-Key`) or only tried (`?dry_run=true`)."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web

from rules.errors import ServiceError
from rules.idempotency import KeptAnswer, KeyedRequest
from store.protocols.idempotency import IdempotencyProtocol
from web.calls import BeforehandError, Call
from web.held import LARGE
from web.operations import OnceCreated, Operation
from web.parameters import refused, truth

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
DRY_RUN: Final = "dry_run"
DRY_HEADER: Final = "Dry-Run"
MAX_KEY: Final = 255

_KEY: Final = re.compile(rf"[!-~]{{1,{MAX_KEY}}}")
#: Of something that is not there: a tag may soon be that of something else.
_NOT_OF_TRIALS: Final = ("Location", "ETag")

RecordT = TypeVar("RecordT")
Respond = Callable[[RecordT], Awaitable[web.Response]]
Handle = Callable[[], Awaitable[web.StreamResponse]]


def key_of(request: web.Request, operation: Operation) -> str | None:
    """Return the key of a request, None if it has none. Raises ValidationFailedError."""
    given = request.headers.getall(HEADER, ()) if operation.takes_key else ()
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise refused(HEADER, f"Once, with 1 to {MAX_KEY} visible ASCII characters.")
    return given[0]


def is_trial(request: web.Request, operation: Operation) -> bool:
    """Whether a request only asks what it would do. Raises ValidationFailedError."""
    is_asked = truth(request.query, DRY_RUN)
    if is_asked and not operation.takes_dry_run:
        raise refused(DRY_RUN, "This cannot be tried.")
    return is_asked


async def answered(
    call: Call, operation: Operation, store: IdempotencyProtocol, handle: Handle
) -> web.StreamResponse:
    """Answer a request as its key and its `dry_run` ask for: a trial keeps and replays nothing."""
    if call.key is None and not call.is_trial:
        return await handle()
    call.is_joined = True
    try:
        return await _joined(call, operation, store, handle)
    except BeforehandError as wanted:
        make = wanted.make
    call.is_joined = False
    await call.beforehand(make)
    call.is_joined = True
    return await _joined(call, operation, store, handle)


async def _joined(
    call: Call, operation: Operation, store: IdempotencyProtocol, handle: Handle
) -> web.StreamResponse:
    if call.key is None or call.is_trial:
        return await _tried(store, handle)
    request = KeyedRequest(call.user, call.key, await _digest(call))

    async def work() -> KeptAnswer:
        return _kept(await handle())

    create = _creation(call, operation, store)
    return _response(await (create(request) if create else store.once(request, work)))


def _creation(call: Call, operation: Operation, store: IdempotencyProtocol) -> OnceCreated | None:
    """Return what creates something; None also if the body is not as it should be.

    The handler says what is wrong with it, once it is known that the key has no answer.
    """
    try:
        return operation.creation(store, call) if operation.creation else None
    except ServiceError:
        return None


async def _tried(store: IdempotencyProtocol, handle: Handle) -> web.StreamResponse:
    response = await store.dry(handle)
    for name in _NOT_OF_TRIALS:
        response.headers.pop(name, None)
    response.headers[DRY_HEADER] = "true"
    return response


async def _digest(call: Call) -> bytes:
    """Return what tells requests apart: method, path, query, and the body once it is unpacked."""
    if len(call.body) <= LARGE:
        return _digest_of(call)
    return await asyncio.to_thread(_digest_of, call)


def _digest_of(call: Call) -> bytes:
    url = call.request.rel_url
    parts = call.request.method, url.raw_path.removesuffix("/"), url.raw_query_string
    # Neither a method nor a URL as it is sent has a NUL.
    return hashlib.sha256(b"\0".join([*(part.encode() for part in parts), call.body])).digest()


def keeping(respond: Respond[RecordT]) -> Callable[[RecordT], Awaitable[KeptAnswer]]:
    """Return what answers with what `respond` does, as it is kept."""

    async def answer(record: RecordT) -> KeptAnswer:
        return _kept(await respond(record))

    return answer


def _kept(response: web.StreamResponse) -> KeptAnswer:
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes | None):
        raise TypeError("an answer to keep has bytes")
    headers = {str(name): value for name, value in response.headers.items()}
    return KeptAnswer(response.status, headers, body or b"")


def _response(answer: KeptAnswer) -> web.Response:
    headers = dict(answer.headers)
    if answer.is_replay:
        headers[REPLAYED] = "true"
    return web.Response(status=answer.status, headers=headers, body=answer.body)
