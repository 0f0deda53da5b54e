"""aiohttp alone: with a fixed answer, and with the service's own statement through asyncpg.

If that statement builds the answer, also with a statement whose rows become the answer here. What
is written together with others is one statement and one commit; its messages wait in packs, and
where they are sent, too, they go to Kafka after the answer.

`python -m bench.floors.web PORT BOOTSTRAP_SERVERS EVENTS_TOPIC FIXED`: FIXED is a JSON file with
the service's answers, by the name of the case.
"""

import gc
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import orjson
import uvloop
from aiohttp import web

from bench import seed
from bench.floors import storing
from bench.floors.posting import Pool, Posted, Poster
from bench.floors.server import FLOOR_DSN, serve
from bench.floors.students import Command, class_messages, rows, student_messages
from bench.packing import OPTIONS, Packer
from devstack.rig.kafka_clients import kafka_producer
from devstack.rig.tasks import background
from rules.ids import new_id
from store.postgres import sql
from store.postgres.database import PLANNING

POOL_SIZE: Final = 10
#: Classes in a page, if a client does not say.
PAGE: Final = 20
#: The columns of each row in an answer, without repetitions.
CLASS_COLUMNS: Final = ("id", "name", "course_code", "created_at", "updated_at")
LISTED_COLUMNS: Final = (*CLASS_COLUMNS, "external_id", "student_count")
MADE_STUDENT: Final = ("id", "legal_full_name", "created_at", "updated_at")
ROSTER_COLUMNS: Final = ("id", "first_name", "last_name", "legal_full_name", "email")
STUDENT_COLUMNS: Final = (*ROSTER_COLUMNS, "class_ids", "created_at", "updated_at")

#: A class with its students, as rows: the service's query before PostgreSQL built its answers.
CLASS_WITH_STUDENTS: Final = """
select students.*, array(
        select class_id from enrollments where student_id = students.id order by class_id
    ) as class_ids,
    classes.id as class_id, classes.owner_id as class_owner_id, classes.name as class_name,
    classes.course_code as class_course_code, classes.version as class_version,
    classes.created_at as class_created_at, classes.updated_at as class_updated_at
from classes
left join enrollments on enrollments.class_id = classes.id
left join lateral (
    select * from students where students.id = enrollments.student_id offset 0
) as students on true
where classes.id = $1 and ($2::text is null or classes.owner_id = $2)
order by students.last_name, students.first_name, students.id
"""

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Posts:
    """The paths that write, with the same statement for all that waits."""

    def __init__(self, pool: Pool, topic: str, packer: Packer | None = None) -> None:
        self._topic = topic
        self.students = Poster(pool, storing.POST_STUDENTS, packer)
        self.classes = Poster(pool, storing.POST_CLASSES, packer)

    async def post_student(self, request: web.Request) -> web.Response:
        """Store a student with enrolment, messages and what is remembered."""
        body = orjson.loads(await request.read())
        student = {**body, "student_id": str(new_id())}
        [class_id] = body["class_ids"]
        new = Command("", "", str(new_id()), seed.OWNER, class_id, [student])
        [row] = rows(new)
        made = await self.students.post(Posted(row, [*student_messages(new, self._topic)]))
        return _json({**body, **{name: made[name] for name in MADE_STUDENT}}, status=201)

    async def post_class(self, request: web.Request) -> web.Response:
        """Store a class with messages and what is remembered."""
        body = orjson.loads(await request.read())
        [course] = body["course_codes"]
        row = (new_id(), seed.OWNER, body["name"], course, new_id())
        made = await self.classes.post(Posted(row, class_messages(row, self._topic)))
        return _json({name: made[name] for name in CLASS_COLUMNS}, status=201)


class Statements:
    """Paths that read the same from the database as the service's, and nothing else."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def get_classes(self, _: web.Request) -> web.Response:
        """Select a page of classes."""
        found = await self._pool.fetch(sql.classes.LIST_CLASSES, seed.OWNER, PAGE, 0, None, None)
        classes = [{name: row[name] for name in LISTED_COLUMNS} for row in found[:PAGE]]
        return _json({"classes": classes, "pagination": {"limit": PAGE, "returned": PAGE}})

    async def get_student(self, request: web.Request) -> web.Response:
        """Select a student."""
        student_id = UUID(request.match_info["student_id"])
        row = await self._pool.fetchrow(sql.students.GET_STUDENT, student_id, seed.OWNER)
        return _json(dict(row or {}))

    async def get_class(self, request: web.Request) -> web.Response:
        """Select a class with its students, as the JSON of the answer."""
        class_id = UUID(request.match_info["class_id"])
        row = await self._pool.fetchrow(sql.documents.CLASS_DOCUMENT, class_id, seed.OWNER)
        return _answer(row["document"] if row else b"")

    async def get_roster(self, request: web.Request) -> web.Response:
        """Select the students of a class, as the JSON of the answer."""
        class_id = UUID(request.match_info["class_id"])
        return _answer(
            await self._pool.fetchval(sql.documents.ROSTER_DOCUMENT, class_id, seed.OWNER)
        )

    async def get_class_rows(self, request: web.Request) -> web.Response:
        """Select a class with its students, and build JSON from the rows."""
        rows = await self._class(request)
        cls = {name: rows[0][f"class_{name}"] for name in CLASS_COLUMNS}
        students = [{name: row[name] for name in STUDENT_COLUMNS} for row in rows]
        return _json({**cls, "students": students})

    async def get_roster_rows(self, request: web.Request) -> web.Response:
        """Select the students of a class, and build JSON from the rows."""
        rows = await self._class(request)
        return _json([{name: row[name] for name in ROSTER_COLUMNS} for row in rows])

    async def _class(self, request: web.Request) -> "list[asyncpg.Record]":
        class_id = UUID(request.match_info["class_id"])
        return await self._pool.fetch(CLASS_WITH_STUDENTS, class_id, seed.OWNER)


def _json(value: object, status: int = 200) -> web.Response:
    return _answer(orjson.dumps(value, default=str), status)


def _answer(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def _fixed(body: bytes, status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return _answer(body, status)

    return handler


async def _leave(_: object) -> None:
    """Skip the reset and its round trip: like the service's, these statements leave no state."""


Route = Callable[[str, Handler], web.RouteDef]
#: By case, which is also the name of the method above: its method, path and status. The students
#: come first: otherwise their path would match that of a class.
ROUTES: Final[Mapping[str, tuple[Route, str, int]]] = {
    "post_student": (web.post, "/students", 201),
    "post_class": (web.post, "", 201),
    "get_classes": (web.get, "", 200),
    "get_student": (web.get, "/students/{student_id}", 200),
    "get_class": (web.get, "/{class_id}", 200),
    "get_roster": (web.get, "/{class_id}/roster", 200),
}


async def main(port: int, servers: str, topic: str, dsn: str, fixed: Mapping[str, bytes]) -> None:
    """Serve until SIGTERM."""
    async with (
        asyncpg.create_pool(
            dsn,
            min_size=POOL_SIZE,
            max_size=POOL_SIZE,
            reset=_leave,
            server_settings=PLANNING,
        ) as pool,
        kafka_producer(servers, **OPTIONS) as producer,
    ):
        await pool.execute(storing.CREATE_PACKS)
        posts, sending = Posts(pool, topic), Posts(pool, topic, Packer(producer))
        app = web.Application()
        app.router.add_routes(_routes(posts, sending, Statements(pool), fixed))
        async with background(sending.students.run()), background(sending.classes.run()):
            await serve(app, port)


def _routes(
    posts: Posts, sending: Posts, reads: Statements, fixed: Mapping[str, bytes]
) -> list[web.RouteDef]:
    return [
        route(f"/{kind}/v1/classes{path}", handler)
        for case, (route, path, status) in ROUTES.items()
        for kind, handler in (
            ("sql", getattr(posts, case, None) or getattr(reads, case)),
            ("sent", getattr(sending, case, None)),
            ("fixed", _fixed(fixed[case], status)),
            ("rows", getattr(reads, f"{case}_rows", None)),
        )
        if handler
    ]


if __name__ == "__main__":
    answers = orjson.loads(Path(sys.argv[4]).read_bytes())
    as_bytes = {case: answer.encode() for case, answer in answers.items()}
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], os.environ[FLOOR_DSN], as_bytes))
