"""Successful responses."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web
from multidict import istr

from rules.events.envelopes import to_json
from store.tagging import tag_of
from web.conditions import entity_tag

# Each answer has these: an istr is found in half the time.
_CORRELATION: Final = istr("X-Correlation-ID")
_CACHE: Final = istr("Cache-Control")
_SNIFFING: Final = istr("X-Content-Type-Options")

CONTENT_TYPE: Final = "application/json"


def answer(
    value: object,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    tag: str | None = None,
    location: str | None = None,
) -> web.Response:
    """Return `value` as JSON; `tag` becomes the ETag."""
    return answer_json(to_json(value), status=status, tag=tag, location=location)


def answer_json(
    body: bytes,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    tag: str | None = None,
    location: str | None = None,
) -> web.Response:
    """Return `body`, which is JSON already."""
    headers = {"Content-Type": CONTENT_TYPE}
    if tag is not None:
        headers["ETag"] = entity_tag(tag)
    if location is not None:
        headers["Location"] = location
    return web.Response(body=body, status=status, headers=headers)


async def answer_tagged(
    value: Mapping[str, object],
    untagged: Mapping[str, object] | None = None,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    location: str | None = None,
) -> web.Response:
    """Return `value` as JSON, and an ETag that changes whenever it does.

    `untagged` are more members, which the tag does not cover.
    """
    body = to_json(value)
    tag = await tag_of(body)
    if untagged:
        body = b"%b,%b" % (to_json(untagged).removesuffix(b"}"), body.removeprefix(b"{"))
    return answer_json(body, status=status, tag=tag, location=location)


def stamp(response: web.StreamResponse, correlation_id: str) -> None:
    """Add the headers that every response has; one that may be kept says so itself."""
    headers = response.headers
    headers[_CORRELATION] = correlation_id
    headers.setdefault(_CACHE, "no-store")
    headers[_SNIFFING] = "nosniff"


def vary(response: web.StreamResponse, name: str) -> None:
    """Say that the answer depends on this header of the request."""
    given = response.headers.get("Vary")
    if given is None:
        response.headers["Vary"] = name
    elif name not in given.split(", "):
        response.headers["Vary"] = f"{given}, {name}"


def no_content() -> web.Response:
    """Return success without a body."""
    return web.Response(status=HTTPStatus.NO_CONTENT)


def allowed(methods: str) -> web.Response:
    """Return what a path takes."""
    return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Allow": methods})
