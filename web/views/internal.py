"""What other services ask for."""

from typing import ClassVar
from uuid import UUID

from aiohttp import web

from web.answers import answer
from web.identity import Access
from web.parameters import identifier_list
from web.representations import class_info_json, essay_student_json
from web.views.base import ApiView


class StudentNamesView(ApiView):
    """The names for a batch's essays."""

    view_path = "/internal/v1/batches/{batch_id}/student-names"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, _request: web.Request, batch_id: UUID) -> web.Response:
        """Return those that are decided."""
        decided = await self.services.queries.student_names(batch_id)
        return answer([essay_student_json(student) for student in decided])


class EssayStudentView(ApiView):
    """The student of an essay."""

    view_path = "/internal/v1/associations/essay/{essay_id}"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, _request: web.Request, essay_id: UUID) -> web.Response:
        """Return it once decided."""
        decided = await self.services.queries.essay_student(essay_id)
        return answer(essay_student_json(decided))


class ClassInfoView(ApiView):
    """The classes of batches."""

    view_path = "/internal/v1/batches/class-info"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        """Return them by the ids as they were asked for."""
        asked = identifier_list(request.query, "batch_ids")
        found = await self.services.queries.class_info([*asked.values()]) if asked else {}
        return answer({text: class_info_json(found.get(id_)) for text, id_ in asked.items()})
