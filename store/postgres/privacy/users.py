"""Erasing a user: all that is its own is deleted, and a pseudonym stands for it in what stays."""

from collections.abc import Mapping
from functools import partial
from typing import Final
from uuid import UUID

import orjson

from rules.models import Caller, Policy
from rules.personal.subjects import Erasure, Subject
from store.postgres import open_batches, roster, sql
from store.postgres.database import Connection
from store.postgres.privacy import messages, students
from store.postgres.privacy.work import AT_ONCE, Work, begin, erasure
from store.protocols.privacy import NothingStoredError

#: In one a user may go on making classes: then it is not finished in the end.
ROUNDS: Final = 5

#: Where a pseudonym stands for the user.
_RENAMED: Final = (
    ("associations", sql.privacy.RENAME_DECIDERS),
    ("association_history", sql.privacy.RENAME_FORMER_DECIDERS),
    ("changes", sql.privacy.RENAME_CHANGES),
    ("students", sql.privacy.RENAME_PLACEHOLDERS),
    ("deleted_classes", sql.privacy.RENAME_DELETED_CLASSES),
)


async def begun(connection: Connection, subject: Subject, stored: Mapping[str, int]) -> Erasure:
    """Return the erasing of a user, begun now or before. Raises NothingStoredError."""
    found = await connection.fetchrow(sql.privacy.OPEN_ERASURE, subject.kind.value, subject.id)
    if found:
        return erasure(found)
    if not stored:
        raise NothingStoredError
    return await begin(connection, subject, None)


async def erase(work: Work) -> None:
    """Erase a user, its classes and its students."""
    user_id = work.erasure.subject.id
    # Of deleted classes long ago nothing says whose they were, but the students of their essays.
    await work.update("associations", sql.privacy.SCRUB_ESSAYS_OF_USER, user_id)
    for _ in range(ROUNDS):
        await _delete_all(work, user_id)
        await work.settled()
        if not await _owns(work, user_id):
            break
    else:
        work.unfinished.append("the user goes on making classes or students")
    await work.update("associations", sql.privacy.SCRUB_ESSAYS_OF_USER, user_id)
    await work.update("idempotency_keys", sql.privacy.DELETE_ANSWERS, user_id)
    await work.until(partial(_drained, work, user_id), "the outbox is not published")
    await messages.forget_user(work, await _class_ids(work, user_id))
    if work.unfinished:
        return  # what is left is found by the user's id
    await work.update("erasures", sql.privacy.FINISH_STUDENTS, user_id)
    for table, statement in _RENAMED:
        await work.update(table, statement, user_id, work.erasure.pseudonym)
    # Who numbers changes may have read them before.
    await work.settled()
    await work.update("feed", sql.privacy.RENAME_FEED, user_id, work.erasure.pseudonym)


async def _owns(work: Work, user_id: str) -> bool:
    found = [
        await work.find(statement, user_id)
        for statement in (sql.privacy.NEXT_STUDENT, sql.privacy.NEXT_CLASS)
    ]
    return any(found)


async def _delete_all(work: Work, user_id: str) -> None:
    """Delete the students and classes that there are, and close the batches.

    The imports go first: what is being applied would make others.
    """
    await work.update("imports", sql.privacy.END_IMPORTS, user_id)
    await work.update("import_rows", sql.privacy.DELETE_IMPORT_ROWS, user_id)
    await work.update("imports", sql.privacy.DELETE_IMPORTS, user_id)
    while student := await work.find(sql.privacy.NEXT_STUDENT, user_id):
        await students.remove(work, student["id"], user_id)
    while cls := await work.find(sql.privacy.NEXT_CLASS, user_id):
        delete = partial(_delete_class, work.caller(user_id), cls["id"], work.policy)
        await work.portion("classes", delete)
    await work.until(partial(_closed, work, user_id), "a batch of a deleted class is open")


async def _delete_class(
    caller: Caller, class_id: UUID, policy: Policy, connection: Connection
) -> tuple[int, None]:
    await roster.delete_class(connection, caller, class_id, policy)
    return 1, None


async def _closed(work: Work, user_id: str) -> bool:
    """Close the batches of deleted classes that no worker is closing; return whether all are."""
    async with work.database.acquire() as connection:
        found = await connection.fetch(sql.privacy.OPEN_BATCHES, user_id, AT_ONCE)
    for row in found:
        await work.portion("batches", partial(_close, row["id"], work.policy))
    return await work.find(sql.privacy.OPEN_BATCHES, user_id, 1) is None


async def _close(batch_id: UUID, policy: Policy, connection: Connection) -> tuple[int, None]:
    settled = await open_batches.settle(connection, batch_id, policy)
    return int(settled is not None), None


async def _drained(work: Work, user_id: str) -> bool:
    """Whether all messages with the user's id are published: they say that all is deleted."""
    waiting = await work.find(sql.privacy.WAITING, user_id.encode(), orjson.dumps(user_id))
    return waiting is None or waiting[0] == 0


async def _class_ids(work: Work, user_id: str) -> frozenset[str]:
    async with work.database.acquire() as connection:
        found = await connection.fetch(sql.privacy.CLASSES_OF_USER, user_id)
    return frozenset(str(row["id"]) for row in found)
