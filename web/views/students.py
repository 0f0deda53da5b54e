"""Students."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.changes import NewStudentRequest
from rules.documents import student_json
from rules.emails import MAX_ADDRESS
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    ExternalIdConflictError,
    PlaceholderError,
    StudentNotFoundError,
)
from rules.external_ids import MAX_EXTERNAL_ID
from rules.inputs import MergeInput, NewStudentInput, StudentChangeInput
from rules.models import StudentRecord
from rules.search import StudentPage as FoundStudents
from rules.search import StudentQuery
from store.protocols.idempotency import IdempotencyProtocol
from web.answers import answer, answer_tagged, no_content
from web.calls import Call
from web.idempotency import keeping
from web.identity import Access
from web.operations import Answer, OnceCreated, Operation, Parameter, Tag
from web.parameters import optional_identifier, optional_text, page_size
from web.queries import CLASS_ID, CURSOR, EXTERNAL_ID, TEXT_PATTERN, limit
from web.representations import student_page_json
from web.schemas.classes import Student, StudentPage
from web.sealed_cursors import read_position, write_position
from web.services import WebServices
from web.views.base import only

STUDENTS: Final = "/v1/classes/students"
STUDENT: Final = f"{STUDENTS}/{{student_id}}"

#: Of a name or an address that is looked for.
MAX_PART: Final = 255


async def find_students(services: WebServices, call: Call) -> web.Response:
    """Answer a page of the caller's students."""
    page, limit, cursor = await found_students(services, call)
    return answer(student_page_json(page, limit, cursor))


async def found_students(
    services: WebServices, call: Call
) -> tuple[FoundStudents, int, str | None]:
    """Return the students that a call looks for, the most there may be, and the next cursor."""
    owner_id = call.user
    key = await services.classes.cursor_key()
    query = StudentQuery(
        limit=page_size(call.query, 20),
        after=read_position(key, owner_id, call.query),
        part=optional_text(call.query, "q", MAX_PART),
        email=optional_text(call.query, "email", MAX_ADDRESS),
        external_id=optional_text(call.query, "external_id", MAX_EXTERNAL_ID),
        class_id=optional_identifier(call.query, "class_id"),
    )
    page = await services.classes.find_students(owner_id, query)
    return page, query.limit, write_position(key, owner_id, page.next) if page.next else None


async def create_student(services: WebServices, call: Call) -> web.Response:
    """Create a student, enrolled in its classes at once."""
    return await _created(only(await services.classes.create_students([_wanted(call)])))


def create_once(store: IdempotencyProtocol, call: Call) -> OnceCreated:
    """Create a student for a key."""
    wanted = _wanted(call)
    return lambda request: store.create_student(request, wanted, keeping(_created))


def _wanted(call: Call) -> NewStudentRequest:
    return NewStudentRequest(call.caller, call.read(NewStudentInput).resolve())


async def _created(record: StudentRecord) -> web.Response:
    location = f"{STUDENTS}/{record.id}"
    return await answer_tagged(student_json(record), status=HTTPStatus.CREATED, location=location)


async def get_student(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Answer a student."""
    record = await services.classes.get_student(call.user, student_id)
    return await answer_tagged(student_json(record))


async def update_student(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Change a student; a change may also move it between classes."""
    change = call.read(StudentChangeInput).resolve()
    record = await services.classes.update_student(call.caller, student_id, change, call.condition)
    return await answer_tagged(student_json(record))


async def delete_student(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Delete a student."""
    await services.classes.delete_student(call.caller, student_id, call.condition)
    return no_content()


async def merge_students(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Make one of two students."""
    into = call.read(MergeInput).into
    record = await services.classes.merge_students(call.caller, student_id, into)
    return await answer_tagged(student_json(record))


OPERATIONS: Final = (
    Operation(
        "GET",
        STUDENTS,
        "findStudents",
        "Find your students",
        Tag.STUDENTS,
        find_students,
        {
            HTTPStatus.OK: Answer(
                "Your students by last name, first name and id, in the order of code points.",
                StudentPage,
            )
        },
        access=Access.USER,
        parameters=(
            Parameter(
                "q",
                {"type": "string", "maxLength": MAX_PART, "pattern": TEXT_PATTERN},
                "Part of a name or an address.",
            ),
            Parameter(
                "email",
                {"type": "string", "maxLength": MAX_ADDRESS, "pattern": TEXT_PATTERN},
                "The whole address.",
            ),
            EXTERNAL_ID,
            CLASS_ID,
            limit(20),
            CURSOR,
        ),
        is_large=True,
    ),
    Operation(
        "POST",
        STUDENTS,
        "createStudent",
        "Create a student",
        Tag.STUDENTS,
        create_student,
        {HTTPStatus.CREATED: Answer("The student.", Student, has_location=True)},
        access=Access.USER,
        description="It joins the classes of `class_ids` at once.",
        body=NewStudentInput,
        creation=create_once,
        errors=(ClassNotFoundError, EmailConflictError, ExternalIdConflictError),
        has_tag=True,
    ),
    Operation(
        "GET",
        STUDENT,
        "getStudent",
        "Get a student",
        Tag.STUDENTS,
        get_student,
        {HTTPStatus.OK: Answer("The student.", Student)},
        access=Access.USER,
        errors=(StudentNotFoundError,),
        has_tag=True,
    ),
    Operation(
        "PUT",
        STUDENT,
        "updateStudent",
        "Change a student, or move it between classes",
        Tag.STUDENTS,
        update_student,
        {HTTPStatus.OK: Answer("The student as it is now.", Student)},
        access=Access.USER,
        description='Members that are absent stay as they are; `"email": null` clears the address, '
        '`"external_id": null` the external id.',
        body=StudentChangeInput,
        errors=(
            StudentNotFoundError,
            ClassNotFoundError,
            EmailConflictError,
            ExternalIdConflictError,
            PlaceholderError,
        ),
        has_tag=True,
        takes_match=True,
    ),
    Operation(
        "DELETE",
        STUDENT,
        "deleteStudent",
        "Delete a student",
        Tag.STUDENTS,
        delete_student,
        {HTTPStatus.NO_CONTENT: Answer("The student is gone.")},
        access=Access.USER,
        description="What is pending for it stays, unmatched.",
        errors=(StudentNotFoundError, PlaceholderError),
        takes_match=True,
    ),
    Operation(
        "POST",
        f"{STUDENT}/merge",
        "mergeStudents",
        "Make one of two students",
        Tag.STUDENTS,
        merge_students,
        {HTTPStatus.OK: Answer("The student `into`, which has all that both had.", Student)},
        access=Access.USER,
        description="The student of the path is gone; decisions stay as they are.",
        body=MergeInput,
        errors=(StudentNotFoundError, PlaceholderError),
        has_tag=True,
    ),
)
