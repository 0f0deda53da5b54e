"""The OpenAPI document (3.1), made from the operations that also route the requests.

What every path has in common, and is answered before an operation is known, is said in the
description of the whole: unknown paths and methods, HEAD and OPTIONS, what is not valid HTTP.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from web.documents.requests import PARAMETERS, body, parameters
from web.documents.responses import HEADERS, Responses
from web.documents.schemas import Json, Schemas
from web.documents.security import REQUIREMENTS, SCHEMES
from web.operations import Operation
from web.schemas.problems import Problem

OPENAPI: Final = "3.1.0"
#: The distribution whose version the document has.
_DISTRIBUTION: Final = "class-management-service"
_DESCRIPTION: Final = Path(__file__).with_name("openapi.md")


def document(operations: Sequence[Operation]) -> Json:
    """Return the document that describes these operations, in their order."""
    operations = [one for one in operations if one.is_described]
    schemas = _schemas(operations)
    answers = Responses(schemas)
    paths = _paths(operations, schemas, answers)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Class Management Service",
            "version": version(_DISTRIBUTION),
            "description": _DESCRIPTION.read_text(encoding="utf-8"),
        },
        "servers": [{"url": "/", "description": "Where this document is."}],
        "tags": [{"name": name} for name in dict.fromkeys(one.tag.value for one in operations)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": answers.components,
            "parameters": {**PARAMETERS},
            "headers": {**HEADERS},
            "securitySchemes": {**SCHEMES},
        },
    }


def _schemas(operations: Sequence[Operation]) -> Schemas:
    inputs = [one.body for one in operations if one.body is not None]
    outputs: list[type[BaseModel]] = [
        answer.model
        for one in operations
        for answer in one.answers.values()
        if answer.model is not None
    ]
    return Schemas(inputs, [*outputs, Problem])


def _paths(operations: Sequence[Operation], schemas: Schemas, answers: Responses) -> Json:
    paths: Json = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas, answers)
    return paths


def _operation(one: Operation, schemas: Schemas, answers: Responses) -> Json:
    described = {"description": one.description} if one.description else {}
    return {
        "operationId": one.name,
        "tags": [one.tag.value],
        "summary": one.summary,
        **described,
        "security": [{**requirement} for requirement in REQUIREMENTS[one.access]],
        "parameters": parameters(one),
        **body(one, schemas),
        "responses": answers.of(one),
    }
