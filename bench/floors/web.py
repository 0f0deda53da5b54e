"""aiohttp alone: with a fixed answer, and with the service's own statement through asyncpg.

`python -m bench.floors.web PORT FIXED`: FIXED is a JSON file with the answers of the
service itself, by the name of the case.
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
from bench.floors.serving import FLOOR_DSN, serve
from rules.models import NewStudent, PersonName
from store.postgres import outbox, sql

POOL_SIZE: Final = 10

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Statements:
    """Each path does what the service's does in the database, and no more."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        """Take the pool, and build the messages that every new student gets."""
        self._pool = pool
        name = PersonName("Đorđe", "Åkerblom", "Đorđe Åkerblom")
        messages = events.messages_of_one(NewStudent(uuid4(), name, None, ()))
        self._messages = outbox.columns(messages)

    async def post_student(self, request: web.Request) -> web.Response:
        """Insert a student with its enrolment and its messages, in one statement."""
        body = orjson.loads(await request.read())
        name, new = body["person_name"], uuid4()
        first, last = name["first_name"], name["last_name"]
        student = ([new], [seed.OWNER], [first], [last], [f"{first} {last}"], [body["email"]])
        enrolment = ([UUID(i) for i in body["class_ids"]], [new] * len(body["class_ids"]))
        messages = ([new] * len(self._messages[0]), *self._messages)
        row = await self._pool.fetchrow(sql.INSERT_STUDENTS, *student, *enrolment, *messages)
        return _json({**body, **dict(row or {})}, status=201)

    async def get_student(self, request: web.Request) -> web.Response:
        """Select a student."""
        student_id = UUID(request.match_info["student_id"])
        row = await self._pool.fetchrow(sql.GET_STUDENT, student_id, seed.OWNER)
        return _json(dict(row or {}))

    async def get_class(self, request: web.Request) -> web.Response:
        """Select a class with its students."""
        class_id = UUID(request.match_info["class_id"])
        rows = await self._pool.fetch(sql.CLASS_WITH_STUDENTS, class_id, seed.OWNER)
        return _json([dict(row) for row in rows])


def _json(value: object, status: int = 200) -> web.Response:
    body = orjson.dumps(value, default=str)
    return web.Response(body=body, status=status, content_type="application/json")


def _fixed(body: bytes, status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, status=status, content_type="application/json")

    return handler


async def main(port: int, dsn: str, fixed: Mapping[str, bytes]) -> None:
    """Serve until SIGTERM."""
    pool = await asyncpg.create_pool(
        dsn, min_size=POOL_SIZE, max_size=POOL_SIZE, server_settings={"jit": "off"}
    )
    statements = Statements(pool)
    app = web.Application()
    students, student, cls = "students", "students/{student_id}", "{class_id}"
    app.router.add_routes(
        [
            web.post(f"/sql/v1/classes/{students}", statements.post_student),
            web.get(f"/sql/v1/classes/{student}", statements.get_student),
            web.get(f"/sql/v1/classes/{cls}", statements.get_class),
            web.post(f"/fixed/v1/classes/{students}", _fixed(fixed["post_student"], 201)),
            web.get(f"/fixed/v1/classes/{student}", _fixed(fixed["get_student"])),
            web.get(f"/fixed/v1/classes/{cls}", _fixed(fixed["get_class"])),
        ]
    )
    await serve(app, port)
    await pool.close()


if __name__ == "__main__":
    answers = orjson.loads(Path(sys.argv[2]).read_bytes())
    uvloop.run(
        main(int(sys.argv[1]), os.environ[FLOOR_DSN], {k: v.encode() for k, v in answers.items()})
    )
