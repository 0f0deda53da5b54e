"""Students."""

from typing import ClassVar, Final
from uuid import UUID

from aiohttp import web

from rules.changes import NewStudentRequest
from rules.documents import student_json
from rules.emails import MAX_ADDRESS
from rules.inputs import MergeInput, NewStudentInput, StudentChangeInput
from rules.search import StudentQuery
from web.answers import answer, created, no_content
from web.calls import CALL
from web.parameters import optional_identifier, optional_text, page_size
from web.representations import student_page_json
from web.sealed_cursors import read_position, write_position
from web.views.base import ApiView, only

#: Of a name or an address that is looked for.
MAX_PART: Final = 255


class StudentsView(ApiView):
    """The caller's students; a new one is enrolled in its classes at once."""

    view_path = "/v1/classes/students"
    is_large: ClassVar[bool] = True

    async def get(self, request: web.Request) -> web.Response:
        owner_id = request[CALL].caller.user_id
        key = await self.services.classes.cursor_key()
        query = StudentQuery(
            limit=page_size(request.query, 20),
            after=read_position(key, owner_id, request.query),
            part=optional_text(request.query, "q", MAX_PART),
            email=optional_text(request.query, "email", MAX_ADDRESS),
            class_id=optional_identifier(request.query, "class_id"),
        )
        page = await self.services.classes.find_students(owner_id, query)
        cursor = write_position(key, owner_id, page.next) if page.next else None
        return answer(student_page_json(page, query.limit, cursor))

    async def post(self, request: web.Request) -> web.Response:
        call = request[CALL]
        new = call.read(NewStudentInput).resolve()
        requests = [NewStudentRequest(call.caller, new)]
        record = only(await self.services.classes.create_students(requests))
        return created(student_json(record), record.version, f"{self.view_path}/{record.id}")


class StudentView(ApiView):
    """A student; a change may also move it between classes."""

    view_path = "/v1/classes/students/{student_id}"

    async def get(self, request: web.Request, student_id: UUID) -> web.Response:
        owner_id = request[CALL].caller.user_id
        record = await self.services.classes.get_student(owner_id, student_id)
        return answer(student_json(record), version=record.version)

    async def put(self, request: web.Request, student_id: UUID) -> web.Response:
        call = request[CALL]
        change = call.read(StudentChangeInput).resolve()
        record = await self.services.classes.update_student(call.caller, student_id, change)
        return answer(student_json(record), version=record.version)

    async def delete(self, request: web.Request, student_id: UUID) -> web.Response:
        await self.services.classes.delete_student(request[CALL].caller, student_id)
        return no_content()


class MergeView(ApiView):
    """Makes one of two students."""

    view_path = "/v1/classes/students/{student_id}/merge"

    async def post(self, request: web.Request, student_id: UUID) -> web.Response:
        call = request[CALL]
        into = call.read(MergeInput).into
        record = await self.services.classes.merge_students(call.caller, student_id, into)
        return answer(student_json(record), version=record.version)
