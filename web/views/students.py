"""Students."""

from uuid import UUID

from aiohttp import web

from rules.changes import NewStudentRequest
from rules.documents import student_json
from rules.inputs import MergeInput, NewStudentInput, StudentChangeInput
from web.answers import answer, created, no_content
from web.calls import CALL
from web.views.base import ApiView, only


class StudentsView(ApiView):
    """The caller's students; a new one is enrolled in its classes at once."""

    view_path = "/v1/classes/students"

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
