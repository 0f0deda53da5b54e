"""What an operation takes, as the OpenAPI document says it: parameters, headers and a body."""

from collections.abc import Mapping
from typing import Any, Final

from web import idempotency
from web.documents.examples import EXAMPLES, FILES
from web.documents.schemas import Json, Schemas
from web.operations import JSON, Operation, Parameter
from web.queries import UUID_SCHEMA

_IDS: Final[Mapping[str, str]] = {
    "class_id": "The class.",
    "student_id": "The student.",
    "batch_id": "The batch.",
    "essay_id": "The essay.",
    "import_id": "The import.",
}

_TAG: Final = r'(?:W/)?"[!#-~]*"'
#: Of `If-Match` and `If-None-Match`: what web.conditions reads, as far as our tags go (ASCII).
_LIST: Final = rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t]*(?:{_TAG})?)*[ \t]*"
TAGS_PATTERN: Final = rf"^(?:[ \t]*\*[ \t]*|{_LIST})$"
#: Where `*` says too little.
_LIST_PATTERN: Final = rf"^{_LIST}$"

#: Parameters that several operations take.
PARAMETERS: Final[Mapping[str, Any]] = {
    "CorrelationId": {
        "name": "X-Correlation-ID",
        "in": "header",
        "description": "A UUID that is put on every event and log line of the request; absent or "
        "no UUID: a new one.",
        "schema": {"type": "string"},
    },
    "IdempotencyKey": {
        "name": idempotency.HEADER,
        "in": "header",
        "description": "Makes the request safe to repeat: within 24 hours the same one with the "
        "same key has no second effect, and gets the answer of the first.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": idempotency.MAX_KEY,
            "pattern": "^[!-~]+$",
        },
    },
    "DryRun": {
        "name": idempotency.DRY_RUN,
        "in": "query",
        "description": "`true`: all is checked and answered, and nothing is changed.",
        "schema": {"type": "boolean", "default": False},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of what is to be changed. If it is another one by now: 412.",
        "schema": {"type": "string", "pattern": TAGS_PATTERN},
        "example": '"5f0c2b7e9d1a4c63"',
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of what you have: 304 as long as it is the same.",
        "schema": {"type": "string", "pattern": TAGS_PATTERN},
        "example": '"5f0c2b7e9d1a4c63"',
    },
}


_REQUIRED_MATCH: Final[Mapping[str, Any]] = {
    **PARAMETERS["IfMatch"],
    "required": True,
    "schema": {"type": "string", "pattern": _LIST_PATTERN},
}


def parameters(operation: Operation) -> list[Json]:
    """Return the parameters in the order path, query, headers."""
    return [
        *(_path_id(name) for name in operation.ids),
        *map(_query, operation.parameters),
        *({"$ref": f"#/components/parameters/{name}"} for name in _shared(operation)),
        *([_REQUIRED_MATCH] if operation.needs_match else ()),
    ]


def _shared(operation: Operation) -> list[str]:
    is_taken = {
        "DryRun": operation.takes_dry_run,
        "CorrelationId": True,
        "IdempotencyKey": operation.takes_key,
        "IfMatch": operation.takes_match and not operation.needs_match,
        "IfNoneMatch": operation.has_tag and not operation.writes,
    }
    return [name for name, taken in is_taken.items() if taken]


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
    content = {name: _file(operation, name) for name in operation.uploads}
    if model is not None:
        examples = {"example": {"value": EXAMPLES[model]}}
        content[JSON] = {"schema": schemas.ref(model), "examples": examples}
    return {"requestBody": {"required": True, "content": content}} if content else {}


def _file(operation: Operation, media_type: str) -> Json:
    example = FILES.get((operation.name, media_type))
    if example is None:
        return {"schema": {"type": "string", "format": "binary"}}
    return {"schema": {"type": "string"}, "examples": {"example": {"value": example}}}
