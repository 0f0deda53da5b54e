"""Students: finding them, and changing, moving, merging and deleting one."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.conditions import Condition
from rules.errors import (
    EmailConflictError,
    PlaceholderError,
    PreconditionFailedError,
    ValidationFailedError,
)
from rules.events.envelopes import to_json
from rules.inputs import StudentChangeInput, read_json
from rules.models import StudentChange, StudentRecord
from web.calls import Call
from web.console.faults import Faults, faults_of
from web.console.forms import Form, form_of
from web.console.notices import N_
from web.console.operations import form_operation, page_operation
from web.console.people import (
    Person,
    TaggedPerson,
    class_names,
    person_of,
    read_student,
)
from web.console.rendering import is_fragment, page, see_other
from web.console.views.members import STUDENT_FIELDS, TypedStudent
from web.operations import Operation
from web.parameters import identifier, optional_identifier
from web.services import WebServices
from web.views.students import found_students

STUDENTS: Final = "/console/students"
STUDENT: Final = f"{STUDENTS}/{{student_id}}"

_STALE: Final = N_(
    "The student was changed meanwhile. Nothing of yours is saved yet: look at what stands now, "
    "and save again if yours is right."
)
_NO_CLASS: Final = N_("Choose a class.")


async def show_students(services: WebServices, call: Call) -> web.Response:
    """Show the teacher's students, or those with a part of a name or an address."""
    found, _, cursor = await found_students(services, call)
    return await page(
        call,
        "students_found.html" if is_fragment(call) else "students.html",
        is_piece=is_fragment(call),
        q=call.query.get("q", ""),
        found=[person_of(record) for record in found.students],
        names=await class_names(services, call.user),
        cursor=cursor,
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a student's page shows beside the student: what was typed, and what is wrong with it."""

    typed: TypedStudent | None = None
    faults: Faults = field(default_factory=dict)
    is_stale: bool = False
    conflict: Person | None = None
    move_faults: Faults = field(default_factory=dict)

    @property
    def status(self) -> HTTPStatus:
        if self.is_stale:
            return HTTPStatus.PRECONDITION_FAILED
        if self.conflict is not None:
            return HTTPStatus.CONFLICT
        is_wrong = self.faults or self.move_faults
        return HTTPStatus.BAD_REQUEST if is_wrong else HTTPStatus.OK


async def show_student(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Show a student."""
    return await _student(services, call, student_id, _Shown())


async def _student(
    services: WebServices, call: Call, student_id: UUID, shown: _Shown
) -> web.Response:
    owner_id = call.user
    read = await read_student(services, owner_id, student_id)
    return await page(
        call,
        "student.html",
        status=shown.status,
        pupil=read.person,
        tag=read.tag,
        shown=shown,
        now=TypedStudent.showing(read.person),
        typed=shown.typed or TypedStudent.showing(read.person),
        names=await class_names(services, owner_id),
        has_history=services.config.changes,
    )


async def change_student(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Change name and address, unless somebody else changed the student meanwhile."""
    form = form_of(call)
    typed, condition = TypedStudent.of(form), Condition(frozenset({form.text("tag")}))
    try:
        change = _change(typed)
        await services.classes.update_student(call.caller, student_id, change, condition)
    except ValidationFailedError as error:
        shown = _Shown(typed, faults_of(error, STUDENT_FIELDS))
    except PreconditionFailedError:
        shown = _Shown(typed, {"": [_STALE]}, is_stale=True)
    except PlaceholderError as error:
        shown = _Shown(typed, {"": [error.detail]})
    except EmailConflictError as error:
        shown = await _conflict(services, call, typed, error)
    else:
        return see_other(f"{STUDENTS}/{student_id}", "student-changed")
    return await _student(services, call, student_id, shown)


def _change(typed: TypedStudent) -> StudentChange:
    name = {
        "first_name": typed.first,
        "last_name": typed.last,
        "legal_full_name": typed.legal or None,
    }
    body = to_json({"person_name": name, "email": typed.email})
    return read_json(StudentChangeInput, body).resolve()


async def _conflict(
    services: WebServices, call: Call, typed: TypedStudent, error: EmailConflictError
) -> _Shown:
    if error.student_id is None:
        return _Shown(typed, {"email": [error.detail]})
    other = await read_student(services, call.user, error.student_id)
    return _Shown(typed, conflict=other.person)


async def move_student(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Put a student into a class, and take it out of another one at once if that is wanted."""
    try:
        change = _move(form_of(call))
        await services.classes.update_student(call.caller, student_id, change)
    except ValidationFailedError as error:
        shown = _Shown(move_faults=faults_of(error, {}))
        return await _student(services, call, student_id, shown)
    except PlaceholderError as error:
        shown = _Shown(move_faults={"": [error.detail]})
        return await _student(services, call, student_id, shown)
    return see_other(f"{STUDENTS}/{student_id}", "student-joined")


def _move(form: Form) -> StudentChange:
    target, source = form.text("to"), form.text("from")
    if not target:
        raise ValidationFailedError(_NO_CLASS)
    return StudentChange(
        add_class_ids=(identifier("to", target),),
        remove_class_ids=(identifier("from", source),) if source else (),
    )


async def show_deletion(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Ask whether a student is to be deleted."""
    return await _deletion(services, call, student_id)


async def _deletion(
    services: WebServices, call: Call, student_id: UUID, *, is_stale: bool = False
) -> web.Response:
    owner_id = call.user
    read = await read_student(services, owner_id, student_id)
    return await page(
        call,
        "student_delete.html",
        status=HTTPStatus.PRECONDITION_FAILED if is_stale else HTTPStatus.OK,
        pupil=read.person,
        tag=read.tag,
        names=await class_names(services, owner_id),
        is_stale=is_stale,
    )


async def delete_student(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Delete a student that is as it was shown."""
    condition = Condition(frozenset({form_of(call).text("tag")}))
    try:
        await services.classes.delete_student(call.caller, student_id, condition)
    except PreconditionFailedError:
        return await _deletion(services, call, student_id, is_stale=True)
    return see_other(STUDENTS, "student-deleted")


async def show_merging(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Find another student to merge one with, or show the two."""
    other_id = optional_identifier(call.query, "with")
    if other_id is not None:
        return await _two(services, call, student_id, other_id)
    read = await read_student(services, call.user, student_id)
    if read.person.is_placeholder:
        raise PlaceholderError
    found, _, cursor = await found_students(services, call)
    return await page(
        call,
        "merge_found.html" if is_fragment(call) else "student_merge.html",
        is_piece=is_fragment(call),
        pupil=read.person,
        q=call.query.get("q", ""),
        found=[person_of(one) for one in found.students if one.id != student_id],
        names=await class_names(services, call.user),
        cursor=cursor,
    )


async def _two(
    services: WebServices, call: Call, student_id: UUID, other_id: UUID, *, is_stale: bool = False
) -> web.Response:
    owner_id = call.user
    one = await read_student(services, owner_id, student_id)
    other = await read_student(services, owner_id, other_id)
    return await page(
        call,
        "merge_two.html",
        status=HTTPStatus.PRECONDITION_FAILED if is_stale else HTTPStatus.OK,
        one=one,
        other=other,
        stays=[
            await _would_be(services, call, gone, stays)
            for gone, stays in ((other, one), (one, other))
        ],
        names=await class_names(services, owner_id),
        is_stale=is_stale,
    )


async def _would_be(
    services: WebServices, call: Call, gone: TaggedPerson, stays: TaggedPerson
) -> Person:
    """Return what a student would become by a merge, which is only tried."""

    async def work() -> StudentRecord:
        return await services.classes.merge_students(call.caller, gone.person.id, stays.person.id)

    return person_of(await services.idempotency.dry(work))


async def merge(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Make one of two students that are as they were shown."""
    form, owner_id = form_of(call), call.user
    other_id, into = (identifier(name, form.text(name)) for name in ("other", "into"))
    gone = {student_id: other_id, other_id: student_id}.get(into)
    if gone is None:
        raise ValidationFailedError
    one = await read_student(services, owner_id, student_id)
    other = await read_student(services, owner_id, other_id)
    if (one.tag, other.tag) != (form.text("tag"), form.text("other_tag")):
        return await _two(services, call, student_id, other_id, is_stale=True)
    await services.classes.merge_students(call.caller, gone, into)
    return see_other(f"{STUDENTS}/{into}", "students-merged")


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(STUDENTS, show_students),
    page_operation(STUDENT, show_student),
    form_operation(STUDENT, change_student),
    form_operation(f"{STUDENT}/classes", move_student),
    page_operation(f"{STUDENT}/delete", show_deletion),
    form_operation(f"{STUDENT}/delete", delete_student),
    page_operation(f"{STUDENT}/merge", show_merging),
    form_operation(f"{STUDENT}/merge", merge),
)
