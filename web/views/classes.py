"""Classes and their rosters."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.changes import NewClassRequest
from rules.documents import class_json
from rules.errors import ClassNotFoundError, MultipleCoursesError
from rules.inputs import ClassChangeInput, NewClassInput
from web.answers import answer, answer_json, created, no_content
from web.calls import Call
from web.identity import Access
from web.operations import Answer, Operation, Tag
from web.parameters import page_offset, page_size
from web.queries import OFFSET, limit
from web.representations import class_page_json
from web.schemas.classes import Class, ClassDetail, ClassPage, Roster
from web.services import WebServices
from web.views.base import only

CLASSES: Final = "/v1/classes"
CLASS: Final = f"{CLASSES}/{{class_id}}"


async def list_classes(services: WebServices, call: Call) -> web.Response:
    """Answer a page of the caller's classes."""
    most, offset = page_size(call.query, 20), page_offset(call.query)
    records = await services.classes.list_classes(call.caller.user_id, most, offset)
    return answer(class_page_json(records, most, offset))


async def create_class(services: WebServices, call: Call) -> web.Response:
    """Create a class."""
    new = call.read(NewClassInput).resolve()
    record = only(await services.classes.create_classes([NewClassRequest(call.caller, new)]))
    return created(class_json(record), record.version, f"{CLASSES}/{record.id}")


async def get_class(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Answer a class with its students."""
    document = await services.classes.class_document(call.caller.user_id, class_id)
    return answer_json(document.json, version=document.version)


async def update_class(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Change a class."""
    change = call.read(ClassChangeInput).resolve()
    record = await services.classes.update_class(call.caller, class_id, change)
    return answer(class_json(record), version=record.version)


async def delete_class(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Delete a class."""
    await services.classes.delete_class(call.caller, class_id)
    return no_content()


async def get_roster(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Answer the students of a class, by name."""
    return answer_json(await services.classes.roster_document(class_id, call.user_id))


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
        parameters=(limit(20), OFFSET),
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
        errors=(MultipleCoursesError,),
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
        description="Members that are absent stay as they are.",
        body=ClassChangeInput,
        errors=(ClassNotFoundError, MultipleCoursesError),
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
        {HTTPStatus.NO_CONTENT: Answer("The class is gone.")},
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
        {HTTPStatus.OK: Answer("The students, by name.", Roster)},
        access=Access.USER_OR_SERVICE,
        errors=(ClassNotFoundError,),
        is_large=True,
    ),
)
