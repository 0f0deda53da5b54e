"""What an operation takes, as the OpenAPI document says it: parameters, headers and a body."""

from collections.abc import Mapping
from typing import Any, Final

from web.documents.examples import EXAMPLES
from web.documents.schemas import Json, Schemas
from web.operations import JSON, Operation, Parameter
from web.queries import UUID_SCHEMA

_IDS: Final[Mapping[str, str]] = {
    "class_id": "The class.",
    "student_id": "The student.",
    "batch_id": "The batch.",
    "essay_id": "The essay.",
}

#: Header parameters that several operations take.
PARAMETERS: Final[Mapping[str, Any]] = {
    "CorrelationId": {
        "name": "X-Correlation-ID",
        "in": "header",
        "description": "A UUID that is put on every event and log line of the request; absent or "
        "no UUID: a new one.",
        "schema": {"type": "string"},
    },
}


def parameters(operation: Operation) -> list[Json]:
    """Return the parameters in the order path, query, headers."""
    return [
        *(_path_id(name) for name in operation.ids),
        *map(_query, operation.parameters),
        *({"$ref": f"#/components/parameters/{name}"} for name in _headers(operation)),
    ]


def _headers(_operation: Operation) -> list[str]:
    return ["CorrelationId"]


def _path_id(name: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _IDS[name],
        "schema": {**UUID_SCHEMA},
    }


def _query(parameter: Parameter) -> Json:
    one: Json = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": {**parameter.schema},
    }
    if parameter.schema["type"] == "array":
        one |= {"style": "form", "explode": False}
    return one


def body(operation: Operation, schemas: Schemas) -> Json:
    """Return the `requestBody` member, nothing if it takes none."""
    model = operation.body
    if model is None:
        return {}
    media = {"schema": schemas.ref(model), "examples": {"example": {"value": EXAMPLES[model]}}}
    return {"requestBody": {"required": True, "content": {JSON: media}}}
