"""The OpenAPI document as the tests look into it."""

from functools import cache
from typing import Any, Final

from web.documents import openapi
from web.operations import Operation
from web.table import OPERATIONS

Json = dict[str, Any]

#: The operations that it tells of.
DESCRIBED: Final = [one for one in OPERATIONS if one.is_described]


@cache
def document() -> Json:
    """Return the document of all operations."""
    return openapi.document(OPERATIONS)


def operation_of(operation: Operation) -> Json:
    """Return the description of an operation."""
    found: Json = document()["paths"][operation.path][operation.method.lower()]
    return found


def answers_of(operation: Operation) -> dict[str, Json]:
    """Return the answers of an operation by status."""
    answers = operation_of(operation)["responses"]
    return {status: resolved(answer) for status, answer in answers.items()}


def resolved(value: Json) -> Json:
    """Return what a reference refers to, and anything else as it is."""
    if "$ref" not in value:
        return value
    found: Json = document()
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found
