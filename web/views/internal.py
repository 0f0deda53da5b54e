"""What other services read."""

from typing import ClassVar
from uuid import UUID

from aiohttp import web

from web.answers import answer
from web.identity import Access
from web.parameters import identifier_list
from web.representations import class_info_json, essay_student_json, validation_status_json
from web.views.base import ApiView


class StudentNamesView(ApiView):
    """The names of the decided students of a batch's essays."""

    view_path = "/internal/v1/batches/{batch_id}/student-names"
    access: ClassVar[Access] = Access.SERVICE
    is_large: ClassVar[bool] = True

    async def get(self, _request: web.Request, batch_id: UUID) -> web.Response:
        decided = await self.services.queries.student_names(batch_id)
        return answer([essay_student_json(student) for student in decided])


class EssayStudentView(ApiView):
    """The student of an essay, once decided."""

    view_path = "/internal/v1/associations/essay/{essay_id}"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, _request: web.Request, essay_id: UUID) -> web.Response:
        decided = await self.services.queries.essay_student(essay_id)
        return answer(essay_student_json(decided))


class ClassInfoView(ApiView):
    """The classes of batches, by the ids as the request wrote them."""

    view_path = "/internal/v1/batches/class-info"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        asked = identifier_list(request.query, "batch_ids")
        found = await self.services.queries.class_info([*asked.values()]) if asked else {}
        return answer({text: class_info_json(found.get(id_)) for text, id_ in asked.items()})


class ValidationStatusView(ApiView):
    """How far the decisions on batches are, by the ids as the request wrote them."""

    view_path = "/internal/v1/batches/validation-status"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        asked = identifier_list(request.query, "batch_ids")
        found = await self.services.queries.validation_status([*asked.values()]) if asked else {}
        return answer({text: validation_status_json(found.get(id_)) for text, id_ in asked.items()})
