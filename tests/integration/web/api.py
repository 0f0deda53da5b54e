"""A real server for the tests, and a client that speaks for a teacher or for a service."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import quote
from uuid import UUID

import aiohttp
import faust
import orjson
from aiohttp import web
from faust.web.drivers.aiohttp import Web as AiohttpWeb
from multidict import CIMultiDict
from yarl import URL

from devstack.ports import LOOPBACK
from devstack.rig import http
from rules.suggestions import Outcome
from store.protocols.associations import AssociationRepositoryProtocol
from store.protocols.classes import ClassRepositoryProtocol
from store.protocols.feed import FeedProtocol
from store.protocols.idempotency import IdempotencyProtocol
from store.protocols.imports import ImportsProtocol
from store.protocols.inbox import InboxProtocol
from store.protocols.queries import QueryProtocol
from store.protocols.timers import TimerProtocol
from tables.inspection import TableInspector
from tables.partitioning import Partitioning
from telemetry.metrics import Metrics
from tests.integration.store.builders import Stores, deliver, result, suggest
from tests.integration.web.console.letters import FakeEvents, FakeLetters
from tests.integration.web.fakes import (
    PARTITIONS,
    FakeHealth,
    FakePeers,
    FakeReconciler,
    FakeStatus,
    FakeTables,
    partition_of,
)
from tests.support import conformance
from web.console.desk import Desk
from web.console.figures import Figures
from web.console.sessions import SignIn
from web.inspection.cluster import Cluster
from web.inspection.parts import LocalPart
from web.inspection.peers import PeerClient
from web.limits import ConnectionLimits
from web.middleware import application_options
from web.notifications.streams import Streams
from web.operations import Operation
from web.planning.planner import Planner
from web.routes import install
from web.services import WebConfig, WebServices
from web.table import ROUTED
from web.tokens import TokenCheck

INTERNAL_KEY: Final = "intern-schlüssel"
SERVICE: Final[Mapping[str, str]] = {
    "X-Internal-API-Key": INTERNAL_KEY,
    "X-Service-ID": "essay_lifecycle_service",
}
TEACHER: Final = "lärare-1"
#: For the store, on a busy machine.
PATIENCE_SECONDS: Final = 30.0
OTHER: Final = "lärare-2"


class Backend(Protocol):
    """A store of either kind, for the API to work on."""

    @property
    def classes(self) -> ClassRepositoryProtocol: ...

    @property
    def associations(self) -> AssociationRepositoryProtocol: ...

    @property
    def inbox(self) -> InboxProtocol: ...

    @property
    def timers(self) -> TimerProtocol: ...

    @property
    def queries(self) -> QueryProtocol: ...

    @property
    def idempotency(self) -> IdempotencyProtocol: ...

    @property
    def imports(self) -> ImportsProtocol: ...

    @property
    def feed(self) -> FeedProtocol: ...


@dataclass(frozen=True)
class Setup:
    """What a server is started with."""

    store: Backend
    timeout_seconds: float = 30
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    keys: tuple[str, ...] = (INTERNAL_KEY,)
    health: FakeHealth = field(default_factory=FakeHealth)
    tables: FakeTables = field(default_factory=FakeTables)
    reconciler: FakeReconciler = field(default_factory=FakeReconciler)
    status: FakeStatus = field(default_factory=FakeStatus)
    peers: FakePeers = field(default_factory=FakePeers)
    metrics: Metrics = field(default_factory=Metrics)
    has_part: bool = True
    origins: frozenset[str] = frozenset()
    #: Stands for everything that looks into the stream table.
    inspection: Any = None
    #: None: users need no tokens.
    tokens: TokenCheck | None = None
    #: None: operators have no pages.
    desk: Desk | None = None
    sign_in: SignIn = SignIn.GATEWAY
    console: bool = True
    #: None: open ones hear nothing.
    streams: Streams | None = None
    #: Its process is started when it is first needed, and ends with the server.
    planner: Planner = field(default_factory=Planner)
    changes: bool = True

    def services(self, client: PeerClient) -> WebServices:
        config = WebConfig(
            "class_management_service",
            "1.2.3",
            "test",
            self.keys,
            self.timeout_seconds,
            self.limits,
            self.origins,
            console=self.console,
            sign_in=self.sign_in,
            changes=self.changes,
        )
        tables = cast("TableInspector", self.tables)
        part = LocalPart(tables, self.reconciler, self.status.now) if self.has_part else None
        partitioning = Partitioning(PARTITIONS, partition_of)
        cluster = Cluster(part, self.peers.peers, client, partitioning, self.timeout_seconds)
        return WebServices(
            self.store.classes,
            self.store.associations,
            self.store.timers,
            self.store.queries,
            self.store.idempotency,
            self.store.imports,
            self.store.feed,
            self.health,
            self.inspection or cluster,
            self.inspection or part,
            lambda: self.peers.own,
            self.metrics,
            config,
            self.streams or Streams(lambda _: None),
            self.tokens,
            self.desk,
            self.planner,
        )


def desk_of(stores: Stores) -> Desk:
    """Return what operators' pages need, over a store."""
    figures = Figures(stores.overview, PATIENCE_SECONDS)
    letters = FakeLetters(stores.dead_letters)
    return Desk(stores.stories, stores.set_aside, figures, FakeStatus().now, letters, FakeEvents())


class Reply(http.Reply):
    """A response, and how a problem in it is checked."""

    def problem(self, status: int, error_code: str) -> Any:  # noqa: ANN401  # likewise
        """Check that this is such a problem, whole; return it."""
        assert (self.status, self.headers["Content-Type"]) == (status, "application/problem+json")
        document = self.json
        assert document["error_code"] == error_code
        assert document["status"] == status
        assert {"type", "title", "detail", "instance"} <= document.keys()
        assert document["correlation_id"] == self.headers["X-Correlation-ID"]
        assert ("errors" in document) == (status == 400)
        return document

    @property
    def pointers(self) -> list[str]:
        return [fault["pointer"] for fault in self.json["errors"]]


@dataclass(frozen=True)
class Api:
    """Speaks HTTP with one server."""

    session: aiohttp.ClientSession
    port: int
    setup: Setup

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str | None = TEACHER,
        headers: Mapping[str, str] | None = None,
        data: Any = None,  # noqa: ANN401  # aiohttp's
    ) -> Reply:
        """Send a request: `body` as JSON, or `data` as it is."""
        sent = CIMultiDict(headers or {})
        if user is not None:
            sent.setdefault("X-User-ID", quote(user))
        if body is not None:
            data = orjson.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        url = URL(f"http://127.0.0.1:{self.port}{path}", encoded=True)
        async with self.session.request(
            method, url, data=data, headers=sent, allow_redirects=False
        ) as response:
            reply = Reply(response.status, response.headers, await response.read())
        conformance.check(method, path, reply.status, reply.headers, reply.body)
        return reply

    async def get(
        self,
        path: str,
        user: str | None = TEACHER,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        return await self.send("GET", path, user=user, headers=headers)

    async def internal(self, path: str, method: str = "GET", body: object = None) -> Reply:
        """Ask as another service."""
        return await self.send(method, path, body, user=None, headers=SERVICE)

    async def new_class(self, name: str = "9A", user: str = TEACHER) -> str:
        reply = await self.send(
            "POST", "/v1/classes", {"name": name, "course_codes": ["SV1"]}, user=user
        )
        assert reply.status == 201, reply.body
        return str(reply.json["id"])

    async def new_student(
        self,
        first: str = "Åsa",
        last: str = "Öberg",
        email: str | None = None,
        *,
        class_ids: tuple[str, ...] = (),
        user: str = TEACHER,
    ) -> str:
        name = {"first_name": first, "last_name": last}
        body = {"person_name": name, "email": email, "class_ids": class_ids}
        reply = await self.send("POST", "/v1/classes/students", body, user=user)
        assert reply.status == 201, reply.body
        return str(reply.json["id"])

    async def new_batch(
        self, class_id: str, *student_ids: str | None, confidence: float = 0.9
    ) -> tuple[str, list[str]]:
        """Store suggestions, one essay for each student; return the batch and its essays."""
        results = [
            result(suggest(UUID(student_id), confidence)) if student_id else result()
            for student_id in student_ids
        ]
        delivery = deliver(UUID(class_id), *results)
        outcomes = (await self.setup.store.inbox.store_suggestions([delivery])).outcomes
        assert outcomes == [Outcome.STORED]
        return str(delivery.message.batch_id), [str(found.essay_id) for found in results]


def faust_app(directory: Path) -> faust.App:
    """Return an App as the composition root builds it, as far as HTTP goes."""
    return faust.App(
        "web-tests",
        broker="kafka://127.0.0.1:1",
        datadir=directory,
        web_application_options=application_options(),
    )


@asynccontextmanager
async def serving(
    setup: Setup, directory: Path, operations: Sequence[Operation] = ROUTED
) -> AsyncIterator[Api]:
    """Listen on a free port, through Faust's web server."""
    app = faust_app(directory)
    client = PeerClient("class_management_service", setup.keys[0] if setup.keys else "")
    install(app.web, setup.services(client), operations)
    runner = cast("AiohttpWeb", app.web)._runner  # Faust gives no other way
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    try:
        async with aiohttp.ClientSession(
            skip_auto_headers=["Content-Type", "Accept-Encoding"],
            connector=aiohttp.TCPConnector(force_close=True),
        ) as session:
            yield Api(session, runner.addresses[0][1], setup)
    finally:
        await client.close()
        await runner.cleanup()
