"""What changed: for callers and other services to catch up, and for people to look up."""

from dataclasses import replace
from http import HTTPStatus
from typing import Final, Literal
from uuid import UUID

from aiohttp import web
from pydantic import TypeAdapter

from rules.errors import ClassNotFoundError, ResyncRequiredError, StudentNotFoundError
from rules.feed import FeedPage, FeedQuery, HistoryPage, Position
from rules.identity import MAX_USER_ID
from web.answers import answer
from web.calls import Call
from web.cursors import Number, decode, encode
from web.errors import NotFoundError
from web.identity import Access
from web.operations import Answer, Operation, Parameter, Tag
from web.parameters import NOT_GIVEN, optional_text, page_size, refused, single
from web.queries import CURSOR, TEXT_PATTERN, limit
from web.representations import changes_json, past_json
from web.schemas.changes import ChangePage, History
from web.services import WebServices

CHANGES: Final = "/v1/changes"
INTERNAL_CHANGES: Final = "/internal/v1/changes"

MAX_CHANGES: Final = 100
MAX_CHANGES_FOR_SERVICES: Final = 1_000
#: As a cursor: behind all changes.
NOW: Final = "now"

#: With the list's name: a place in another list is none in this one.
_LIST: Final = "changes"
_PLACE: Final = TypeAdapter(tuple[Literal["changes"], UUID, Number])
#: With its class or student.
_PAST: Final = TypeAdapter(tuple[UUID, Number])

_CHANGES_CURSOR: Final = Parameter(
    "cursor",
    CURSOR.schema,
    "The `next_cursor` of the answer before; absent: from the oldest change that is kept; `now`: "
    "from the end, where what was changed within the last second may still come.",
)
_OWNER: Final = Parameter(
    "owner",
    {"type": "string", "maxLength": MAX_USER_ID, "pattern": TEXT_PATTERN},
    "Only changes of this user's classes and students; absent: of all.",
)


async def list_changes(services: WebServices, call: Call) -> web.Response:
    """Answer changes of the caller's classes and students."""
    _check_kept(services)
    query = FeedQuery(page_size(call.query, MAX_CHANGES), call.user)
    return await _changes(services, call, query)


async def list_all_changes(services: WebServices, call: Call) -> web.Response:
    """Answer changes of all classes and students, or of an owner's."""
    _check_kept(services)
    size = page_size(call.query, MAX_CHANGES, MAX_CHANGES_FOR_SERVICES)
    owner = optional_text(call.query, _OWNER.name, MAX_USER_ID)
    return await _changes(services, call, FeedQuery(size, owner))


async def _changes(services: WebServices, call: Call, query: FeedQuery) -> web.Response:
    if single(call.query, CURSOR.name) == NOW:
        page = FeedPage((), await services.feed.end(), more=False)
    else:
        page = await services.feed.changes(replace(query, after=_after(call)))
    cursor = encode((_LIST, page.next.epoch, page.next.sequence))
    return answer(changes_json(page, cursor))


def _after(call: Call) -> Position | None:
    place = decode(call.query, _PLACE)
    return None if place is None else Position(*place[1:])


async def get_class_history(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Answer what happened to a class."""
    _check_kept(services)
    after, size = _behind(call, class_id), page_size(call.query, MAX_CHANGES)
    owner = call.user
    page = await services.feed.class_history(owner, class_id, after, size)
    return answer(past_json(page, size, _next(page, class_id)))


async def get_student_history(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Answer what happened to a student, and which classes it joined and left."""
    _check_kept(services)
    after, size = _behind(call, student_id), page_size(call.query, MAX_CHANGES)
    owner = call.user
    page = await services.feed.student_history(owner, student_id, after, size)
    return answer(past_json(page, size, _next(page, student_id)))


def _behind(call: Call, entity_id: UUID) -> int | None:
    place = decode(call.query, _PAST)
    if place is None:
        return None
    if place[0] != entity_id:
        raise refused(CURSOR.name, NOT_GIVEN)
    return place[1]


def _next(page: HistoryPage, entity_id: UUID) -> str | None:
    return None if page.next is None else encode((entity_id, page.next))


def _check_kept(services: WebServices) -> None:
    """Raise NotFoundError where changes are not remembered: what there is may have holes."""
    if not services.config.changes:
        raise NotFoundError


_FEED: Final = (
    "No change is skipped, however late it commits, and those of one class, student, enrollment or "
    "association come in the order in which they were made. After a 410 read everything anew: take "
    "a cursor with `cursor=now` first, then the lists, then go on from the cursor."
)
_OFF: Final = "404 where `CHANGES` is off."

OPERATIONS: Final = (
    Operation(
        "GET",
        CHANGES,
        "listChanges",
        "Get what changed",
        Tag.CHANGES,
        list_changes,
        {HTTPStatus.OK: Answer("Changes of your classes and students.", ChangePage)},
        access=Access.USER,
        description=f"{_FEED} {_OFF}",
        parameters=(_CHANGES_CURSOR, limit(MAX_CHANGES)),
        errors=(ResyncRequiredError, NotFoundError),
    ),
    Operation(
        "GET",
        "/v1/classes/{class_id}/history",
        "getClassHistory",
        "Get what happened to a class",
        Tag.CHANGES,
        get_class_history,
        {HTTPStatus.OK: Answer("The changes of 30 days, oldest first.", History)},
        access=Access.USER,
        description=f"Also of one that you have deleted. {_OFF}",
        parameters=(limit(MAX_CHANGES), CURSOR),
        errors=(ClassNotFoundError, NotFoundError),
    ),
    Operation(
        "GET",
        "/v1/classes/students/{student_id}/history",
        "getStudentHistory",
        "Get what happened to a student",
        Tag.CHANGES,
        get_student_history,
        {HTTPStatus.OK: Answer("The changes of 30 days, oldest first.", History)},
        access=Access.USER,
        description=f"With the classes that it joined and left; also of one that you have deleted. "
        f"{_OFF}",
        parameters=(limit(MAX_CHANGES), CURSOR),
        errors=(StudentNotFoundError, NotFoundError),
    ),
    Operation(
        "GET",
        INTERNAL_CHANGES,
        "listAllChanges",
        "Get what changed, of all users",
        Tag.INTERNAL,
        list_all_changes,
        {HTTPStatus.OK: Answer("Changes of all classes and students, or an owner's.", ChangePage)},
        access=Access.SERVICE,
        description=f"{_FEED} {_OFF}",
        parameters=(_CHANGES_CURSOR, limit(MAX_CHANGES, MAX_CHANGES_FOR_SERVICES), _OWNER),
        errors=(ResyncRequiredError, NotFoundError),
        is_large=True,
    ),
)
