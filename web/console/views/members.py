"""Who is in a class: adding a new student or one that is there, and taking one out."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.changes import NewStudentRequest
from rules.errors import EmailConflictError, StudentNotFoundError, ValidationFailedError
from rules.models import StudentChange
from web.calls import Call
from web.console.faults import faults_of
from web.console.forms import Form, form_of
from web.console.once import done_once
from web.console.operations import form_operation, page_operation
from web.console.people import Person, ShownClass, person_of, read_class, read_student
from web.console.registering import student_input
from web.console.rendering import is_fragment, page, see_other
from web.console.views.classes import CLASS, CLASSES, Shown, class_page
from web.operations import Operation
from web.parameters import identifier
from web.services import WebServices
from web.views.base import only
from web.views.students import found_students

MEMBER: Final = f"{CLASS}/students/{{student_id}}/leave"

#: Where the rules' members are on the forms about students.
STUDENT_FIELDS: Final = {
    "person_name": "first",
    "first_name": "first",
    "last_name": "last",
    "legal_full_name": "legal",
    "email": "email",
}


@dataclass(frozen=True, slots=True)
class TypedStudent:
    """What a form about a student has in its fields."""

    first: str = ""
    last: str = ""
    email: str = ""
    legal: str = ""

    @classmethod
    def of(cls, form: Form) -> "TypedStudent":
        """Read the fields. Raises ValidationFailedError for one that came twice."""
        return cls(*map(form.text, ("first", "last", "email", "legal")))

    @classmethod
    def showing(cls, person: Person) -> "TypedStudent":
        """Return the fields that show a student; a legal name that is put together is not typed."""
        legal = person.legal if person.has_other_legal_name else ""
        return cls(person.first, person.last, person.email, legal)


async def add_student(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Make a student in a class."""
    typed = TypedStudent.of(form_of(call))
    cls = await read_class(services, call.user, class_id)

    async def work() -> bytes:
        wanted = student_input(typed.first, typed.last, typed.email)
        request = NewStudentRequest(call.caller, wanted.resolve(None, class_id))
        return str(only(await services.classes.create_students([request])).id).encode()

    try:
        await done_once(services, call, work)
    except ValidationFailedError as error:
        shown = Shown(added=typed, added_faults=faults_of(error, STUDENT_FIELDS))
        return await class_page(services, call, cls, shown)
    except EmailConflictError as error:
        return await _conflict(services, call, cls, typed, error)
    # The field is focused then: pupils come one after another.
    return see_other(f"{CLASSES}/{class_id}#first", "student-added")


async def _conflict(
    services: WebServices,
    call: Call,
    cls: ShownClass,
    typed: TypedStudent,
    error: EmailConflictError,
) -> web.Response:
    shown = Shown(added=typed, added_faults={"email": [error.detail]})
    if error.student_id is not None:
        other = await read_student(services, call.user, error.student_id)
        shown = Shown(added=typed, conflict=other.person)
    return await class_page(services, call, cls, shown)


async def show_finding(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Find students to put into a class."""
    cls = await read_class(services, call.user, class_id)
    found, _, cursor = await found_students(services, call)
    return await page(
        call,
        "class_found.html" if is_fragment(call) else "class_add.html",
        is_piece=is_fragment(call),
        cls=cls,
        q=call.query.get("q", ""),
        found=[person_of(record) for record in found.students],
        members={student.id for student in cls.students},
        cursor=cursor,
        fault=None,
    )


async def join(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Put a student into a class."""
    student_id = identifier("student_id", form_of(call).text("student_id"))
    cls = await read_class(services, call.user, class_id)
    change = StudentChange(add_class_ids=(class_id,))
    try:
        await services.classes.update_student(call.caller, student_id, change)
    except ValidationFailedError as error:
        shown = Shown(added_faults=faults_of(error, {}))
        return await class_page(services, call, cls, shown)
    return see_other(f"{CLASSES}/{class_id}#students", "student-joined")


async def show_leaving(
    services: WebServices, call: Call, class_id: UUID, student_id: UUID
) -> web.Response:
    """Ask whether a student is to leave a class."""
    cls = await read_class(services, call.user, class_id)
    person = next((one for one in cls.students if one.id == student_id), None)
    if person is None:
        raise StudentNotFoundError
    return await page(call, "class_leave.html", status=HTTPStatus.OK, cls=cls, pupil=person)


async def leave(
    services: WebServices, call: Call, class_id: UUID, student_id: UUID
) -> web.Response:
    """Take a student out of a class."""
    change = StudentChange(remove_class_ids=(class_id,))
    await services.classes.update_student(call.caller, student_id, change)
    return see_other(f"{CLASSES}/{class_id}#students", "student-left")


OPERATIONS: Final[tuple[Operation, ...]] = (
    form_operation(f"{CLASS}/students", add_student),
    page_operation(f"{CLASS}/add", show_finding),
    form_operation(f"{CLASS}/join", join),
    page_operation(MEMBER, show_leaving),
    form_operation(MEMBER, leave),
)
