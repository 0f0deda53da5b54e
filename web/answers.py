"""Successful responses."""

import hashlib
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final
from uuid import UUID

import orjson
from aiohttp import web

from rules.events.envelopes import to_json
from store.pace import Pace

CONTENT_TYPE: Final = "application/json"

_PIECE_BYTES: Final = 65_536


def answer(
    value: object,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    version: int | None = None,
    location: str | None = None,
) -> web.Response:
    """Return `value` as JSON; `version` becomes the ETag."""
    return answer_json(to_json(value), status=status, version=version, location=location)


def answer_json(
    body: bytes,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    version: int | None = None,
    location: str | None = None,
) -> web.Response:
    """Return `body`, which is JSON already."""
    headers = {"Content-Type": CONTENT_TYPE}
    if version is not None:
        headers["ETag"] = f'"{version}"'
    if location is not None:
        headers["Location"] = location
    return web.Response(body=body, status=status, headers=headers)


async def written(values: Iterable[object]) -> list[orjson.Fragment]:
    """Return each as JSON, and let others run in between: there may be thousands."""
    pace, pieces = Pace(), []
    for value in values:
        pieces.append(orjson.Fragment(to_json(value)))
        await pace.keep()
    return pieces


async def answer_tagged(
    value: Mapping[str, object], untagged: Mapping[str, object] | None = None
) -> web.Response:
    """Return `value` as JSON, and an ETag that changes whenever it does.

    `untagged` are more members, which the tag does not cover.
    """
    body = to_json(value)
    tag = await _digest(body)
    if untagged:
        body = b"%b,%b" % (to_json(untagged).removesuffix(b"}"), body.removeprefix(b"{"))
    headers = {"Content-Type": CONTENT_TYPE, "ETag": f'"{tag}"'}
    return web.Response(body=body, headers=headers)


async def _digest(body: bytes) -> str:
    digest, pace = hashlib.blake2b(digest_size=16), Pace()
    for start in range(0, len(body), _PIECE_BYTES):
        digest.update(body[start : start + _PIECE_BYTES])
        await pace.keep()
    return digest.hexdigest()


def stamp(response: web.StreamResponse, correlation_id: UUID) -> None:
    """Add the headers that every response has."""
    response.headers["X-Correlation-ID"] = str(correlation_id)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def vary(response: web.StreamResponse, name: str) -> None:
    """Say that the answer depends on this header of the request."""
    given = response.headers.get("Vary")
    if given is None:
        response.headers["Vary"] = name
    elif name not in given.split(", "):
        response.headers["Vary"] = f"{given}, {name}"


def created(value: object, version: int, location: str) -> web.Response:
    """Return a new record with its version and URL."""
    return answer(value, status=HTTPStatus.CREATED, version=version, location=location)


def no_content() -> web.Response:
    """Return success without a body."""
    return web.Response(status=HTTPStatus.NO_CONTENT)


def allowed(methods: str) -> web.Response:
    """Return what a path takes."""
    return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Allow": methods})
