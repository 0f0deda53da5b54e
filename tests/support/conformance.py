"""Checks every answer that a test gets against the OpenAPI document, and against the models.

The document lets answers have more members; the models do not, so that nothing is answered that is
not described.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import jsonschema_rs
import orjson
from aiohttp import TraceRequestEndParams

from tests.support.documents import answers_of, document, resolved
from web.console.problems import is_of_console
from web.console.table import WITH_CONSOLE
from web.operations import Operation
from web.schemas.problems import Problem

PROBLEM: Final = "application/problem+json"
#: What the description of the whole document says of every path: before an operation is known, or
#: after its connection has said too much.
EVERYWHERE: Final[Mapping[int, str]] = {
    400: "BAD_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "BAD_REQUEST",
    414: "BAD_REQUEST",
    417: "BAD_REQUEST",
    431: "BAD_REQUEST",
}
#: Of a path that is not there, to somebody who may not ask in its area; of a full process.
WITHOUT_OPERATION: Final[Mapping[int, str]] = {
    401: "AUTHENTICATION_REQUIRED",
    503: "SERVICE_UNAVAILABLE",
}
#: Other texts are no ids but paths of their own.
ID: Final = r"(?!(?:students|confirm)(?:/|$))[^/]+"


def check(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Check an answer. Raises an error that says what does not fit."""
    if method == "OPTIONS" and status == HTTPStatus.NO_CONTENT:
        assert ("Allow" in headers, body) == (True, b"")
        return
    bare = path.partition("?")[0]
    operation = operation_at("GET" if method == "HEAD" else method, bare)
    if is_of_console(bare) or (operation is not None and not operation.is_described):
        return
    answer = answers_of(operation).get(str(status)) if operation else None
    if answer is None or operation is None:
        _check_general(status, headers, body, has_operation=operation is not None)
        return
    place = f"{operation.name} {status}"
    for name, header in answer["headers"].items():
        _check_header(f"{place} {name}", resolved(header), headers.get(name))
    if method != "HEAD":
        _check_body(place, operation, status, headers.get("Content-Type"), body)


def conforming() -> aiohttp.TraceConfig:
    """Return what has a session of aiohttp check every answer, with its whole body."""
    config = aiohttp.TraceConfig()
    config.on_request_end.append(_check_response)
    return config


async def _check_response(_session: object, _context: object, end: TraceRequestEndParams) -> None:
    response = end.response
    if response.content_type == "text/event-stream":
        return  # it has no end
    body = await response.read()
    check(end.method, end.url.raw_path, response.status, response.headers, body)


@cache
def operation_at(method: str, path: str) -> Operation | None:
    """Return the operation that a path leads to."""
    for one in WITH_CONSOLE:
        pattern = re.sub(r"\{\w+\}", ID, one.path)
        if one.method == method and re.fullmatch(f"{pattern}/?", path):
            return one
    return None


def _check_general(
    status: int, headers: Mapping[str, str], body: bytes, *, has_operation: bool
) -> None:
    known = EVERYWHERE if has_operation else {**EVERYWHERE, **WITHOUT_OPERATION}
    assert status in known, f"{status} is not described: {body!r}"
    assert ("Allow" in headers) == (status == HTTPStatus.METHOD_NOT_ALLOWED)
    if body:
        assert headers["Content-Type"] == PROBLEM
        assert Problem.model_validate_json(body, strict=True).error_code == known[status]


def _check_header(place: str, header: Mapping[str, Any], value: str | None) -> None:
    assert value is not None or not header.get("required"), f"{place} is missing"
    if value is not None and header["schema"]["type"] == "string":
        _validator(json.dumps(header["schema"])).validate(value)


def _check_body(
    place: str, operation: Operation, status: int, content_type: str | None, body: bytes
) -> None:
    content = answers_of(operation)[str(status)].get("content")
    if content is None:
        assert (body, content_type) == (b"", None), place
        return
    described = content.get((content_type or "").partition(";")[0])
    assert described is not None, f"{place}: {content_type} is not described"
    if described["schema"].get("type") == "string":
        return
    _validator(json.dumps(described["schema"])).validate(orjson.loads(body))
    answer = operation.answers.get(HTTPStatus(status))
    model = Problem if content_type == PROBLEM or answer is None else answer.model
    assert model is not None, place
    model.model_validate_json(body, strict=True)


@cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    whole = {**json.loads(schema), "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
