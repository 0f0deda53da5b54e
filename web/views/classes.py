"""Classes and their rosters."""

from http import HTTPStatus
from typing import Final, Literal
from uuid import UUID

from aiohttp import web
from pydantic import TypeAdapter

from rules.changes import NewClassRequest
from rules.class_pages import ClassPage as Page
from rules.class_pages import ClassPlace, ClassQuery
from rules.documents import class_json
from rules.errors import ClassNotFoundError, ExternalIdConflictError, MultipleCoursesError
from rules.external_ids import MAX_EXTERNAL_ID
from rules.inputs import ClassChangeInput, NewClassInput
from rules.models import ClassDetail as Detail
from rules.models import ClassRecord
from rules.tags import class_tag
from store.protocols.idempotency import IdempotencyProtocol
from store.tagging import tag_of
from web.answers import answer, answer_json, no_content, vary
from web.calls import Call
from web.cursors import Instant, decode, encode
from web.errors import NotAcceptableError
from web.idempotency import keeping
from web.identity import Access
from web.negotiation import preferred
from web.operations import JSON, Answer, OnceCreated, Operation, Tag
from web.parameters import optional_text, page_offset, page_size, refused
from web.queries import CURSOR, EXTERNAL_ID, OFFSET, limit
from web.representations import class_page_json
from web.schemas.classes import Class, ClassDeletion, ClassDetail, ClassPage, Roster
from web.services import WebServices
from web.uploads import CSV
from web.views.base import only
from web.views.exports import roster_file

CLASSES: Final = "/v1/classes"
CLASS: Final = f"{CLASSES}/{{class_id}}"

#: With the list's name: a place in another list is none in this one.
_LIST: Final = "classes"
_PLACE: Final = TypeAdapter(tuple[Literal["classes"], Instant, UUID])


async def list_classes(services: WebServices, call: Call) -> web.Response:
    """Answer a page of the caller's classes."""
    query = class_query(call)
    page = await services.classes.list_classes(call.user, query)
    return answer(class_page_json(page, query, next_classes(page)))


def class_query(call: Call) -> ClassQuery:
    """Read which page of classes is wanted. Raises ValidationFailedError."""
    after = decode(call.query, _PLACE)
    if after is not None and "offset" in call.query:
        raise refused("offset", "Give either a cursor or an offset.")
    return ClassQuery(
        limit=page_size(call.query, 20),
        offset=page_offset(call.query),
        after=after and ClassPlace(*after[1:]),
        external_id=optional_text(call.query, "external_id", MAX_EXTERNAL_ID),
    )


def next_classes(page: Page) -> str | None:
    """Return the cursor of the page that follows, None if none does."""
    return encode((_LIST, *page.next)) if page.next else None


async def create_class(services: WebServices, call: Call) -> web.Response:
    """Create a class."""
    return await _created(only(await services.classes.create_classes([_wanted(call)])))


def create_once(store: IdempotencyProtocol, call: Call) -> OnceCreated:
    """Create a class for a key."""
    wanted = _wanted(call)
    return lambda request: store.create_class(request, wanted, keeping(_created))


def _wanted(call: Call) -> NewClassRequest:
    return NewClassRequest(call.caller, call.read(NewClassInput).resolve())


async def _created(record: ClassRecord) -> web.Response:
    tag = class_tag(Detail(record, ()))
    location = f"{CLASSES}/{record.id}"
    return answer(class_json(record), status=HTTPStatus.CREATED, tag=tag, location=location)


async def get_class(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Answer a class with its students."""
    document = await services.classes.class_document(call.user, class_id)
    return answer_json(document, tag=await tag_of(document))


async def update_class(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Change a class."""
    change = call.read(ClassChangeInput).resolve()
    changed = await services.classes.update_class(call.caller, class_id, change, call.condition)
    return answer(class_json(changed.record), tag=changed.tag)


async def delete_class(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Delete a class, or say what that would end."""
    ended = None
    if call.is_trial:
        ended = await services.classes.class_deletion(call.user, class_id)
    await services.classes.delete_class(call.caller, class_id, call.condition)
    return no_content() if ended is None else answer(ended)


async def get_roster(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Answer the students of a class, by name, as JSON or as a CSV file."""
    if preferred(call.request.headers, (JSON, CSV)) == CSV:
        response = await roster_file(services, call, class_id)
    else:
        response = await _roster(services, call, class_id)
    vary(response, "Accept")
    return response


async def _roster(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    document = await services.classes.roster_document(class_id, call.user_id)
    return answer_json(document, tag=await tag_of(document))


OPERATIONS: Final = (
    Operation(
        "GET",
        CLASSES,
        "listClasses",
        "List your classes",
        Tag.CLASSES,
        list_classes,
        {HTTPStatus.OK: Answer("Your classes, newest first.", ClassPage)},
        access=Access.USER,
        parameters=(EXTERNAL_ID, limit(20), CURSOR, OFFSET),
    ),
    Operation(
        "POST",
        CLASSES,
        "createClass",
        "Create a class",
        Tag.CLASSES,
        create_class,
        {HTTPStatus.CREATED: Answer("The class.", Class, has_location=True)},
        access=Access.USER,
        body=NewClassInput,
        creation=create_once,
        errors=(MultipleCoursesError, ExternalIdConflictError),
        has_tag=True,
    ),
    Operation(
        "GET",
        CLASS,
        "getClass",
        "Get a class with its students",
        Tag.CLASSES,
        get_class,
        {HTTPStatus.OK: Answer("The class.", ClassDetail)},
        access=Access.USER,
        errors=(ClassNotFoundError,),
        has_tag=True,
        is_large=True,
    ),
    Operation(
        "PUT",
        CLASS,
        "updateClass",
        "Change a class",
        Tag.CLASSES,
        update_class,
        {HTTPStatus.OK: Answer("The class as it is now.", Class)},
        access=Access.USER,
        description='Members that are absent stay as they are; `"external_id": null` clears the '
        "external id.",
        body=ClassChangeInput,
        errors=(ClassNotFoundError, MultipleCoursesError, ExternalIdConflictError),
        has_tag=True,
        takes_match=True,
    ),
    Operation(
        "DELETE",
        CLASS,
        "deleteClass",
        "Delete a class",
        Tag.CLASSES,
        delete_class,
        {
            HTTPStatus.NO_CONTENT: Answer("The class is gone."),
            HTTPStatus.OK: Answer("With `dry_run=true`: what that would end.", ClassDeletion),
        },
        access=Access.USER,
        description="Its students stay. Its pending associations are rejected in your name, and "
        "its open batches close within seconds, each with its one event.",
        errors=(ClassNotFoundError,),
        takes_match=True,
    ),
    Operation(
        "GET",
        f"{CLASS}/roster",
        "getRoster",
        "Get who is in a class",
        Tag.CLASSES,
        get_roster,
        {HTTPStatus.OK: Answer("The students, by name.", Roster, files=(CSV,))},
        access=Access.USER_OR_SERVICE,
        description="With `Accept: text/csv` a file, which can be imported.",
        errors=(ClassNotFoundError, NotAcceptableError),
        has_tag=True,
        is_large=True,
    ),
)
