"""What this process answers for itself alone, to the other workers."""

from http import HTTPStatus
from typing import ClassVar
from uuid import UUID

from aiohttp import web

from web.answers import answer
from web.calls import CALL
from web.errors import NotFoundError
from web.identity import Access
from web.inspection.parts import Part
from web.inspection.peers import WORKER_DRIFT, WORKER_PENDING, WORKER_TABLES
from web.views.base import ApiView
from web.views.tables import DriftInput, read_query


class PartView(ApiView):
    """Something of this process's part of the table."""

    access: ClassVar[Access] = Access.SERVICE

    @property
    def part(self) -> Part:
        """What this process has. Raises NotFoundError where it holds no partitions."""
        if self.services.part is None:
            raise NotFoundError
        return self.services.part


class WorkerTableView(PartView):
    """How much it has."""

    view_path = WORKER_TABLES

    async def get(self, _request: web.Request) -> web.Response:
        """Return it."""
        return answer(await self.part.table())


class WorkerPendingView(PartView):
    """Its entries."""

    view_path = WORKER_PENDING

    async def get(self, request: web.Request) -> web.Response:
        """Return a page of them, what falls due soonest first."""
        return answer(await self.part.pending(read_query(request.query)))


class WorkerDriftView(PartView):
    """How its part differs from the database."""

    view_path = WORKER_DRIFT

    async def get(self, _request: web.Request) -> web.Response:
        """Return what it found when it compared last."""
        return answer(await self.part.drift())

    async def post(self, request: web.Request) -> web.Response:
        """Have it compare; return what it found before."""
        repair = request[CALL].read(DriftInput).repair
        before = await self.part.compare(repair=repair)
        return answer(before, status=HTTPStatus.ACCEPTED)


class WorkerBatchView(PartView):
    """Its entry of a batch."""

    view_path = f"{WORKER_PENDING}/{{batch_id}}"

    async def get(self, _request: web.Request, batch_id: UUID) -> web.Response:
        """Return it, or that there is none: with a 404 there would be no telling why."""
        return answer(await self.part.pending_batch(batch_id))
