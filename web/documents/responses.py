"""What an operation answers, as the OpenAPI document says it: successes and errors."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from rules.errors import ServiceError
from web import idempotency
from web.documents.errors import errors_of, problem_example
from web.documents.examples import (
    BATCH_ID,
    CLASS_ID,
    ESSAY_ID,
    EXAMPLES,
    IMPORT_ID,
    STUDENT_ID,
)
from web.documents.links import LINKS
from web.documents.schemas import Json, Schemas
from web.operations import JSON, Answer, Operation
from web.problems import CONTENT_TYPE as PROBLEM
from web.problems import PROBLEMS, passes
from web.schemas.problems import Problem
from web.uploads import ZIP

_EXAMPLE_IDS: Final = {
    "class_id": CLASS_ID,
    "student_id": STUDENT_ID,
    "batch_id": BATCH_ID,
    "essay_id": ESSAY_ID,
    "import_id": IMPORT_ID,
}

_TEXT: Final = {"type": "string"}

#: Headers of answers.
HEADERS: Final[Mapping[str, Any]] = {
    "X-Correlation-ID": {
        "description": "That of the request, or a new one.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "ETag": {
        "description": "Strong; it changes whenever the answer would.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[!#-~]+"$'},
    },
    "Location": {
        "description": "The path of what is new.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {
        "description": "How many seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "What is asked for.", "required": True, "schema": _TEXT},
    idempotency.REPLAYED: {
        "description": "`true` where it is what was answered to the first request with the key.",
        "schema": {"type": "string", "const": "true"},
    },
    idempotency.DRY_HEADER: {
        "description": "`true` where nothing was changed, since that was asked for.",
        "schema": {"type": "string", "const": "true"},
    },
}
#: What answers have for who asked for it only.
_OPTIONAL: Final = (idempotency.REPLAYED, idempotency.DRY_HEADER)

_NOT_MODIFIED: Final = "It is what you have."


#: Where the example of an answer that several operations share came from.
_SHARED_PATH: Final = f"/v1/classes/{CLASS_ID}"


class Responses:
    """The answers of operations; `components` has those that several give, once asked for."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self.components: Json = {}

    def of(self, operation: Operation) -> Json:
        """Return the answers of an operation by status."""
        found = {status: self._success(operation, one) for status, one in operation.answers.items()}
        for status, errors in errors_of(operation).items():
            if status in found:
                found[status] = _either(found[status], self._problem(status, errors, _SHARED_PATH))
            else:
                found[status] = self._failure(operation, status, errors)
        if operation.has_tag and not operation.writes:
            headers = _headers({"X-Correlation-ID": True, "ETag": True})
            found[HTTPStatus.NOT_MODIFIED] = {"description": _NOT_MODIFIED, "headers": headers}
        return {str(status.value): found[status] for status in sorted(found)}

    def _success(self, operation: Operation, answer: Answer) -> Json:
        headers = _headers(_of_success(operation, answer))
        response: Json = {"description": answer.description, "headers": headers}
        if content := self._content(answer):
            response["content"] = content
        if links := LINKS.get(operation.name):
            response["links"] = {
                target: {"operationId": target, "parameters": {**link}}
                for target, link in links.items()
            }
        return response

    def _content(self, answer: Answer) -> Json:
        model = answer.model
        if model is not None:
            examples = {"example": {"value": EXAMPLES[model]}}
            media = {"schema": self._schemas.ref(model), "examples": examples}
            files = {name: {"schema": _schema(name)} for name in answer.files}
            return dict.fromkeys(answer.media_types, media) | files
        return {name: {"schema": _schema(name)} for name in answer.media_types if name != JSON}

    def _failure(
        self, operation: Operation, status: HTTPStatus, errors: Sequence[ServiceError]
    ) -> Json:
        is_own = operation.uploads and status is HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if len(errors) > 1 or errors[0].errors or is_own:
            return self._problem(status, errors, operation.path.format(**_EXAMPLE_IDS))
        name = _name(status, errors[0].error_code)
        if name not in self.components:
            self.components[name] = self._problem(status, errors, _SHARED_PATH)
        return {"$ref": f"#/components/responses/{name}"}

    def _problem(self, status: HTTPStatus, errors: Sequence[ServiceError], path: str) -> Json:
        codes = [error.error_code for error in errors]
        narrowed = {
            "properties": {"status": {"const": status.value}, "error_code": {"enum": codes}}
        }
        media = {
            "schema": {"allOf": [self._schemas.ref(Problem), narrowed]},
            "examples": {
                error.error_code: {"value": problem_example(error, path)} for error in errors
            },
        }
        return {
            "description": "\n".join(f"- `{one.error_code}`: {one.detail}" for one in errors),
            "headers": _headers(_of_problem(status, errors)),
            "content": {PROBLEM: media},
        }


def _schema(media_type: str) -> Json:
    """Return the schema of what is no JSON: a text, or bytes."""
    is_text = media_type.startswith("text/") or media_type != ZIP
    return {**_TEXT} if is_text else {**_TEXT, "format": "binary"}


def _name(status: HTTPStatus, code: str) -> str:
    """Return the name of a shared answer, with a status that is not the code's usual one."""
    words = code.title().replace("_", "")
    return words if PROBLEMS[code].status is status else f"{words}{status.value}"


def _of_success(operation: Operation, answer: Answer) -> dict[str, bool]:
    """Return the headers of a success, and whether it always has them."""
    # What is only tried is not there: it has neither a tag nor a place.
    is_real = not operation.takes_dry_run
    headers = {"X-Correlation-ID": True}
    if operation.has_tag:
        headers["ETag"] = is_real
    if answer.has_location:
        headers["Location"] = is_real
    if operation.takes_key:
        headers[idempotency.REPLAYED] = False
    if operation.takes_dry_run:
        headers[idempotency.DRY_HEADER] = False
    return headers


def _of_problem(status: HTTPStatus, errors: Sequence[ServiceError]) -> dict[str, bool]:
    """Return the headers of a problem, and whether it always has them."""
    headers = {"X-Correlation-ID": True}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = True
    passing = [error for error in errors if passes(error)]
    if passing:
        headers["Retry-After"] = len(passing) == len(errors)
    return headers


def _headers(always: Mapping[str, bool]) -> Json:
    """Return headers; `always` says which of them each such answer has."""
    return {
        name: {"$ref": f"#/components/headers/{name}"}
        if required or name in _OPTIONAL
        else {**HEADERS[name], "required": False}
        for name, required in always.items()
    }


def _either(success: Json, problem: Json) -> Json:
    """Return the answer of a status that has both forms, with the headers that both have."""
    return {
        **success,
        "headers": {
            name: header
            for name, header in success["headers"].items()
            if name in problem["headers"]
        },
        "content": {**success["content"], **problem["content"]},
    }
