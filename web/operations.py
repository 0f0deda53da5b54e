"""What an operation of the HTTP API is: the one description of it.

Each module in web/views has the operations of its paths in OPERATIONS; web/table.py puts them
together. The table routes the requests, makes the OpenAPI document (web/documents) and drives the
tests of who may call what.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from rules.errors import ServiceError
from rules.idempotency import KeptAnswer, KeyedRequest
from store.protocols.idempotency import IdempotencyProtocol
from web.bodies import MAX_BODY
from web.calls import Call
from web.identity import Access

#: Called with the services, the call, and the ids in the path by name.
Handler = Callable[..., Awaitable[web.Response]]
#: Likewise, of an operation that answers a stream.
StreamHandler = Callable[..., Awaitable[web.StreamResponse]]
#: Creates what a call wants and answers it, once for a key.
OnceCreated = Callable[[KeyedRequest], Awaitable[KeptAnswer]]
#: Reads what a call wants to create. Raises what is wrong with it.
Creation = Callable[[IdempotencyProtocol, Call], OnceCreated]
#: A JSON Schema of a parameter.
Schema = Mapping[str, Any]

JSON: Final = "application/json"
_ID: Final = re.compile(r"\{(\w+)\}")
_WRITES: Final = frozenset({"POST", "PUT", "DELETE"})


class Tag(StrEnum):
    """What an operation is about, as the document groups them."""

    CLASSES = "Classes"
    ROSTERS = "Rosters from files"
    STUDENTS = "Students"
    BATCHES = "Batches and student associations"
    NOTIFICATIONS = "Real-time messages"
    CHANGES = "What changed"
    REFERENCE = "Reference data"
    INTERNAL = "Internal"
    TABLES = "Inspection of the stream tables"
    DOCUMENTS = "Documents"
    OPERATIONS = "Operations"
    CONSOLE = "Console"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query."""

    name: str
    schema: Schema
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; `model` is None where it has no body, or none that is JSON.

    `files` are the media types that it has beside JSON, for who prefers them.
    """

    description: str
    model: type[BaseModel] | None = None
    media_types: tuple[str, ...] = (JSON,)
    has_location: bool = False
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path.

    `name` is the `operationId`. `errors` are those that are the operation's own; every one can also
    answer what its access, its body and its method imply (web.documents). `body` is the model of
    the request's body; `uploads` are the media types of one that is a file. `has_tag`: the answer
    has an ETag, which a GET's `If-None-Match` is compared with. `takes_match`: it does nothing if
    `If-Match` is stale; `needs_match`: nor without it. `is_large`: what it reads may have
    megabytes. `plans`: it holds all that a user has while it waits for the planning process, as an
    upload does. `is_part_of_page`: a file that a page loads. `is_page`: a page of the console, or a
    form on one: its errors are pages, and its body is a form that came from a page. No document
    tells of either. `body_limit` is in bytes; `seconds` is its deadline where it needs another one,
    and that of a file's arrival. `creation` does the same as the handler, faster, for many requests
    with keys at once.
    """

    method: str
    path: str
    name: str
    summary: str
    tag: Tag
    handler: Handler | StreamHandler
    answers: Mapping[HTTPStatus, Answer]
    access: Access
    description: str = ""
    body: type[BaseModel] | None = None
    uploads: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[type[ServiceError], ...] = field(default=())
    has_tag: bool = False
    takes_match: bool = False
    needs_match: bool = False
    is_large: bool = False
    plans: bool = False
    is_part_of_page: bool = False
    is_page: bool = False
    body_limit: int = MAX_BODY
    seconds: float | None = None
    creation: Creation | None = None

    @property
    def is_described(self) -> bool:
        """Whether the documents tell of it."""
        return not (self.is_page or self.is_part_of_page)

    @property
    def ids(self) -> list[str]:
        """The names of the ids in the path."""
        return _ID.findall(self.path)

    @property
    def writes(self) -> bool:
        """Whether it may change what there is."""
        return self.method in _WRITES

    @property
    def needs_place(self) -> bool:
        """Whether it waits for a place among the few that plan."""
        return self.plans or bool(self.uploads)

    @property
    def takes_body(self) -> bool:
        """Whether it reads what comes with it."""
        is_form = self.is_page and self.writes
        return self.body is not None or bool(self.uploads) or is_form

    @property
    def takes_key(self) -> bool:
        """Whether it may be repeated with an `Idempotency-Key`."""
        return self.writes and self.access is Access.USER

    @property
    def takes_dry_run(self) -> bool:
        """Whether `?dry_run=true` has it checked only."""
        return self.takes_key and (self.method != "DELETE" or HTTPStatus.OK in self.answers)

    @property
    def is_for_operators(self) -> bool:
        """Whether it says how the process is: answered also when others have to wait."""
        return self.tag is Tag.OPERATIONS
