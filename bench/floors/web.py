"""aiohttp alone: with a fixed answer, and with the service's own statement through asyncpg.

If that statement builds the answer, also with a statement whose rows become the answer here.

`python -m bench.floors.web PORT FIXED`: FIXED is a JSON file with the service's answers,
by the name of the case.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import orjson
import uvloop
from aiohttp import web

from bench import events, seed
from bench.floors.server import FLOOR_DSN, serve
from rules.models import NewStudent, PersonName
from store.postgres import packs, sql

POOL_SIZE: Final = 10
#: The columns of each row in an answer, without repetitions.
CLASS_COLUMNS: Final = ("id", "name", "course_code", "created_at", "updated_at")
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


class Statements:
    """Paths that do the same in the database as the service's, and nothing else."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        """Build the messages of every new student and class."""
        self._pool = pool
        name = PersonName("Đorđe", "Åkerblom", "Đorđe Åkerblom")
        of_student = events.messages_of_one(NewStudent(uuid4(), name, None, ()))
        self._of_student = packs.numbered(of_student)
        self._of_class = packs.numbered(events.messages_of_class())

    async def post_student(self, request: web.Request) -> web.Response:
        """Insert a student with enrolment, messages and what is remembered, in one statement."""
        body = orjson.loads(await request.read())
        name, new = body["person_name"], uuid4()
        first, last = name["first_name"], name["last_name"]
        student = ([new], [seed.OWNER], [first], [last], [f"{first} {last}"], [body["email"]])
        enrolment = ([UUID(i) for i in body["class_ids"]], [new] * len(body["class_ids"]))
        messages = ([new] * len(self._of_student[0]), *self._of_student)
        others = ([uuid4()], [body["email"]], [False], [seed.OWNER], [None])
        values = (*student, *enrolment, *messages, *others)
        row = await self._pool.fetchrow(sql.INSERT_STUDENTS, *values)
        return _json({**body, **dict(row or {})}, status=201)

    async def post_class(self, request: web.Request) -> web.Response:
        """Insert a class with its messages and what is remembered, in one statement."""
        body = orjson.loads(await request.read())
        new = uuid4()
        cls = ([new], [seed.OWNER], [body["name"]], body["course_codes"])
        messages = ([new] * len(self._of_class[0]), *self._of_class)
        row = await self._pool.fetchrow(sql.INSERT_CLASSES, *cls, *messages, [uuid4()], [None])
        return _json(dict(row or {}), status=201)

    async def get_student(self, request: web.Request) -> web.Response:
        """Select a student."""
        student_id = UUID(request.match_info["student_id"])
        row = await self._pool.fetchrow(sql.GET_STUDENT, student_id, seed.OWNER)
        return _json(dict(row or {}))

    async def get_class(self, request: web.Request) -> web.Response:
        """Select a class with its students, as the JSON of the answer."""
        class_id = UUID(request.match_info["class_id"])
        row = await self._pool.fetchrow(sql.CLASS_DOCUMENT, class_id, seed.OWNER)
        return _answer(row["document"] if row else b"")

    async def get_roster(self, request: web.Request) -> web.Response:
        """Select the students of a class, as the JSON of the answer."""
        class_id = UUID(request.match_info["class_id"])
        return _answer(await self._pool.fetchval(sql.ROSTER_DOCUMENT, class_id, seed.OWNER))

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
    "get_student": (web.get, "/students/{student_id}", 200),
    "get_class": (web.get, "/{class_id}", 200),
    "get_roster": (web.get, "/{class_id}/roster", 200),
}


async def main(port: int, dsn: str, fixed: Mapping[str, bytes]) -> None:
    """Serve until SIGTERM."""
    pool = await asyncpg.create_pool(
        dsn,
        min_size=POOL_SIZE,
        max_size=POOL_SIZE,
        reset=_leave,
        server_settings={"jit": "off"},
    )
    statements = Statements(pool)
    app = web.Application()
    app.router.add_routes(
        [
            route(f"/{kind}/v1/classes{path}", handler)
            for case, (route, path, status) in ROUTES.items()
            for kind, handler in (
                ("sql", getattr(statements, case)),
                ("fixed", _fixed(fixed[case], status)),
                ("rows", getattr(statements, f"{case}_rows", None)),
            )
            if handler
        ]
    )
    await serve(app, port)
    await pool.close()


if __name__ == "__main__":
    answers = orjson.loads(Path(sys.argv[2]).read_bytes())
    uvloop.run(
        main(int(sys.argv[1]), os.environ[FLOOR_DSN], {k: v.encode() for k, v in answers.items()})
    )
