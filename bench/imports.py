"""A school's file of many rows: planned and applied over HTTP, while its classes are read."""

import asyncio
import csv
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4

import uvloop

from bench.http_load import HttpLoad, HttpResult, LoadError, loading
from devstack.http_client import Answer, ask
from devstack.rig.database import connected
from devstack.rig.waiting import until

CLASS_SIZE: Final = 30
COURSE: Final = "SV1"
IMPORTS: Final = "/v1/imports"
#: What the contract gives an upload, and a little for the answer.
PLAN_SECONDS: Final = 70.0
APPLIED_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 0.1

_HEADER: Final = (
    *("Class", "Class external id", "Course"),
    *("First name", "Last name", "Email", "External id"),
)


@dataclass(frozen=True)
class ImportLoad:
    """A file of new students in new classes, and what is read meanwhile."""

    port: int
    owner: str
    rows: int
    reads: HttpLoad
    """The length of the reads at rest; beside the import they last until it is applied."""


@dataclass(frozen=True)
class ImportResult:
    """The measurements; times in seconds."""

    planned: float
    applied: float
    at_rest: HttpResult
    while_planned: HttpResult
    while_applied: HttpResult


def people(rows: int, school: str) -> list[tuple[str, str, str, str, str, str, str]]:
    """Return the rows of a school's file; each class has CLASS_SIZE students."""
    return [
        (
            f"Klass {number // CLASS_SIZE}",
            f"{school}-klass-{number // CLASS_SIZE}",
            COURSE,
            f"Åsa{number}",
            f"Öberg{number % 997}",
            f"elev{number}@{school}.example",
            f"{school}-{number}",
        )
        for number in range(rows)
    ]


def file_of(rows: int, school: str) -> bytes:
    """Return a school's file, as a program that exports UTF-8 writes it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEADER)
    writer.writerows(people(rows, school))
    return text.getvalue().encode()


def carry_out(load: ImportLoad) -> ImportResult:
    """Import a file. Raises LoadError if it is not applied as a whole."""
    return uvloop.run(_carry_out(load))


async def _carry_out(load: ImportLoad) -> ImportResult:
    body = file_of(load.rows, f"skola{uuid4().hex[:8]}")
    async with loading(load.reads) as at_rest:
        await at_rest.ended
    endless = replace(load.reads, seconds=PLAN_SECONDS + APPLIED_SECONDS, warm_seconds=0.0)
    async with loading(endless) as planning:
        began = time.perf_counter()
        planned = await _send(load, IMPORTS, HTTPStatus.CREATED, body)
        plan_seconds = time.perf_counter() - began
    path, tag = planned.headers["Location"], planned.headers["ETag"]
    async with loading(endless) as applying:
        began = time.perf_counter()
        await _send(load, f"{path}/apply?force=true", HTTPStatus.ACCEPTED, tag=tag)
        await _applied(load, path)
        apply_seconds = time.perf_counter() - began
    return ImportResult(
        plan_seconds, apply_seconds, at_rest.result(), planning.result(), applying.result()
    )


async def _send(
    load: ImportLoad, path: str, status: HTTPStatus, body: bytes | None = None, tag: str = ""
) -> Answer:
    headers = {"X-User-ID": load.owner}
    if body is not None:
        headers["Content-Type"] = "text/csv; charset=utf-8"
    if tag:
        headers["If-Match"] = tag
    answer = await asyncio.to_thread(
        ask,
        load.port,
        path,
        method="POST",
        body=body,
        headers=headers,
        timeout=PLAN_SECONDS,
    )
    if answer.status != status:
        raise LoadError(f"POST {path}: {answer.status} {answer.text[:300]}")
    return answer


async def _applied(load: ImportLoad, path: str) -> None:
    async def ended() -> bool:
        return bool((await _look(load, path))["state"] != "applying")

    await until(
        "the import to be applied", ended, pause_seconds=LOOK_SECONDS, limit_seconds=APPLIED_SECONDS
    )
    there = await _look(load, path)
    if there["state"] != "applied" or there["summary"]["created"] != load.rows:
        raise LoadError(f"{path}: {there}")


async def _look(load: ImportLoad, path: str) -> dict[str, Any]:
    headers = {"X-User-ID": load.owner}
    answer = await asyncio.to_thread(ask, load.port, path, headers=headers)
    found: dict[str, Any] = json.loads(answer.body)
    return found


def copy(dsn: str, owner: str, rows: int) -> float:
    """Store the same rows by COPY in one transaction; return how many seconds that takes."""
    return uvloop.run(_copy(dsn, owner, people(rows, f"skola{uuid4().hex[:8]}")))


async def _copy(dsn: str, owner: str, rows: Sequence[tuple[str, ...]]) -> float:
    classes: dict[str, UUID] = {row[1]: uuid4() for row in rows}
    named = {row[1]: row[0] for row in rows}
    students = [(uuid4(), row) for row in rows]
    async with connected(dsn) as connection:
        began = time.perf_counter()
        async with connection.transaction():
            await connection.copy_records_to_table(
                "classes",
                columns=["id", "owner_id", "name", "course_code", "external_id"],
                records=[(one, owner, named[key], COURSE, key) for key, one in classes.items()],
            )
            await connection.copy_records_to_table(
                "students",
                columns=[
                    *("id", "owner_id", "first_name", "last_name", "legal_full_name"),
                    *("email", "email_key", "keyed_email", "external_id"),
                ],
                records=[
                    (
                        one,
                        owner,
                        row[3],
                        row[4],
                        f"{row[3]} {row[4]}",
                        row[5],
                        row[5],
                        row[5],
                        row[6],
                    )
                    for one, row in students
                ],
            )
            await connection.copy_records_to_table(
                "enrollments",
                columns=["class_id", "student_id", "owner_id"],
                records=[(classes[row[1]], one, owner) for one, row in students],
            )
        return time.perf_counter() - began
