"""Classes and their rosters."""

from typing import ClassVar
from uuid import UUID

from aiohttp import web

from rules.changes import NewClassRequest
from rules.documents import class_json
from rules.inputs import ClassChangeInput, NewClassInput
from web.answers import answer, answer_json, created, no_content
from web.calls import CALL
from web.identity import Access
from web.parameters import page_offset, page_size
from web.representations import class_page_json
from web.views.base import ApiView, only


class ClassesView(ApiView):
    """The caller's classes, newest first."""

    view_path = "/v1/classes"

    async def get(self, request: web.Request) -> web.Response:
        owner_id = request[CALL].caller.user_id
        limit, offset = page_size(request.query, 20), page_offset(request.query)
        records = await self.services.classes.list_classes(owner_id, limit, offset)
        return answer(class_page_json(records, limit, offset))

    async def post(self, request: web.Request) -> web.Response:
        call = request[CALL]
        new = call.read(NewClassInput).resolve()
        record = only(
            await self.services.classes.create_classes([NewClassRequest(call.caller, new)])
        )
        return created(class_json(record), record.version, f"{self.view_path}/{record.id}")


class ClassView(ApiView):
    """A class with its students."""

    view_path = "/v1/classes/{class_id}"
    is_large: ClassVar[bool] = True

    async def get(self, request: web.Request, class_id: UUID) -> web.Response:
        owner_id = request[CALL].caller.user_id
        document = await self.services.classes.class_document(owner_id, class_id)
        return answer_json(document.json, version=document.version)

    async def put(self, request: web.Request, class_id: UUID) -> web.Response:
        call = request[CALL]
        change = call.read(ClassChangeInput).resolve()
        record = await self.services.classes.update_class(call.caller, class_id, change)
        return answer(class_json(record), version=record.version)

    async def delete(self, request: web.Request, class_id: UUID) -> web.Response:
        await self.services.classes.delete_class(request[CALL].caller, class_id)
        return no_content()


class RosterView(ApiView):
    """The students of a class, by name."""

    view_path = "/v1/classes/{class_id}/roster"
    access: ClassVar[Access] = Access.USER_OR_SERVICE
    is_large: ClassVar[bool] = True

    async def get(self, request: web.Request, class_id: UUID) -> web.Response:
        classes = self.services.classes
        return answer_json(await classes.roster_document(class_id, request[CALL].user_id))
