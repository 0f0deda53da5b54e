"""Imports as tests have them: plans made by hand, and files sent over HTTP."""

import io
from typing import Final
from uuid import UUID

from rules.ids import new_id
from rules.imports.fingerprints import fingerprint, resting_students
from rules.imports.plans import ClassPlan, Mode, Plan, PlannedRow, RowKind, Summary
from rules.models import Caller, Trace
from store.protocols.imports import ImportsProtocol, NewImport
from tests.integration.web.api import TEACHER, Api, Reply
from web.operations import Operation
from web.uploads import CSV

IMPORTS: Final = "/v1/imports"
NEW_STUDENT: Final = {
    "first_name": "Eva",
    "last_name": "Ek",
    "full_name": "Eva Ek",
    "email": "eva@skola.se",
}


async def new_plan(
    imports: ImportsProtocol,
    class_id: str,
    user: str = TEACHER,
    *,
    students: int = 1,
    is_large: bool = False,
) -> str:
    """Store a plan that creates students in a class; return its id. No file is read for it."""
    target = UUID(class_id)
    state = await imports.roster_state(user, target)
    rows = tuple(
        PlannedRow(
            RowKind.CREATED,
            line=number + 2,
            class_id=target,
            student_id=new_id(),
            after={**NEW_STUDENT, "email": f"eva{number}@skola.se"},
        )
        for number in range(students)
    )
    rests_on = fingerprint(state, target, resting_students(rows)[target])
    size = len(state.classes[target].member_ids)
    part = ClassPlan(target, rests_on, is_large=is_large, changed=students, size=size)
    plan = Plan((part,), rows, Summary(created=students))
    caller = Caller(user, Trace(new_id(), None))
    record = await imports.add_import(caller, NewImport(new_id(), Mode.ADD, plan, target))
    return str(record.id)


async def tag_of(api: Api, import_id: str, user: str = TEACHER) -> dict[str, str]:
    """Return the `If-Match` with which an import is applied."""
    found = await api.get(f"{IMPORTS}/{import_id}", user=user)
    assert found.status == 200, found.body
    return {"If-Match": found.headers["ETag"]}


async def apply(api: Api, import_id: str, query: str = "") -> Reply:
    """Apply a plan as it is now, and have a worker do it; return the first answer."""
    headers = await tag_of(api, import_id)
    reply = await api.send("POST", f"{IMPORTS}/{import_id}/apply{query}", headers=headers)
    if reply.status == 202:
        await work(api)
    return reply


async def work(api: Api) -> None:
    """Do what workers do, until nothing is left."""
    while await api.setup.store.imports.apply_next():
        pass


async def make_ready(api: Api, operation: Operation, import_id: str) -> dict[str, str]:
    """Have an import as an operation wants it; return the headers that it takes."""
    if operation.name == "undoImport":
        assert (await apply(api, import_id)).status == 202
    return await tag_of(api, import_id) if operation.needs_match else {}


async def upload(
    api: Api,
    path: str,
    data: bytes | str,
    media_type: str = CSV,
    *,
    user: str = TEACHER,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Send a file."""
    body = io.BytesIO(data.encode() if isinstance(data, str) else data)
    sent = {"Content-Type": media_type, **(headers or {})}
    return await api.send("POST", path, data=body, user=user, headers=sent)
