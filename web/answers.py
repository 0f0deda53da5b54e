"""Successful responses."""

import hashlib
from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.events.envelopes import to_json

CONTENT_TYPE: Final = "application/json"


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


def answer_tagged(value: object) -> web.Response:
    """Return `value` with a tag of its content: it changes whenever the answer does."""
    body = to_json(value)
    response = answer_json(body)
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    response.headers["ETag"] = f'"{digest}"'
    return response


def stamp(response: web.StreamResponse, correlation_id: UUID) -> None:
    """Add the headers that every response has."""
    response.headers["X-Correlation-ID"] = str(correlation_id)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def created(value: object, version: int, location: str) -> web.Response:
    """Return a new record with its version and URL."""
    return answer(value, status=HTTPStatus.CREATED, version=version, location=location)


def no_content() -> web.Response:
    """Return success without a body."""
    return web.Response(status=HTTPStatus.NO_CONTENT)
