"""What the service has of messages and answers: names are taken out, and what they do stays.

A message in the outbox is an accepted change: it is published, with its event's id and in its
place, without the names. An answer that is kept for an `Idempotency-Key` stays, too: a request that
comes again must have no second effect.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

import orjson

from rules import shards, topics
from rules.models import OutboxMessage
from rules.personal import redaction
from rules.personal.redaction import Json, Traces
from rules.personal.subjects import Known
from store.postgres import outbox, packs, rows, sql
from store.postgres.database import Connection
from store.postgres.privacy.work import Work

#: Messages and answers that are read at once: each may have a megabyte.
PAGE: Final = 200

Row: TypeAlias = "rows.Row | Mapping[str, Any]"

#: Returns a message's key and value as they are then, None if nothing changes.
Rewrite: TypeAlias = Callable[[Row], tuple[bytes | None, bytes | None] | None]

#: Rewrites a page of a shard behind a number; returns how many messages, and the last number that
#: was looked at.
Page: TypeAlias = Callable[[int, int, Connection], Awaitable[tuple[int, int | None]]]


async def forget_student(work: Work, known: Known) -> None:
    """Take a student out of all messages and answers."""
    student_id = work.erasure.subject.id
    essays = frozenset(map(str, known.essays))
    # Texts are searched for names only where all of them are of one owner.
    by_id, by_name = Traces(student_id, essays), Traces(student_id, essays, known.names)
    parts = [orjson.dumps(student_id)]
    published = partial(_published, by_id)
    await _queue(work, "outbox_packs", partial(_packs, parts, published))
    await _queue(work, "outbox_set_aside", partial(_set_aside, parts, published))
    await _parked(work, partial(_waiting, by_name))
    await _answers(work, known.owner_id, lambda value: redaction.of_student(value, by_name))


async def forget_user(work: Work, class_ids: frozenset[str]) -> None:
    """Take a user, and all names, out of the messages that are not published by themselves."""
    user_id, pseudonym = work.erasure.subject.id, work.erasure.pseudonym
    anonymous = partial(_anonymous, user_id, pseudonym)
    page = partial(_set_aside, [user_id.encode()], anonymous)
    await _queue(work, "outbox_set_aside", page)
    await _parked(work, partial(_of_classes, class_ids, user_id, pseudonym))


def _published(traces: Traces, row: Row) -> tuple[bytes | None, bytes | None] | None:
    # What a deletion says is what others know the student by: with it they delete it, too.
    if row["topic"] == topics.STUDENT_DELETED:
        return None
    after = redaction.rewritten(row["value"], lambda value: redaction.of_student(value, traces))
    return None if after is None else (row["key"], after)


def _waiting(traces: Traces, row: Row) -> tuple[bytes | None, bytes | None] | None:
    def rewrite(value: Json) -> Json:
        fewer = redaction.without_suggestions(value, traces.student_id)
        return value if fewer == value else redaction.of_student(fewer, traces)

    after = redaction.rewritten(row["value"], rewrite)
    return None if after is None else (row["key"], after)


def _anonymous(user_id: str, pseudonym: str, row: Row) -> tuple[bytes | None, bytes | None] | None:
    value = redaction.read(row["value"])
    if row["key"] != user_id.encode() and not redaction.mentions(value, user_id):
        return None
    return _without(user_id, pseudonym, row)


def _of_classes(
    class_ids: frozenset[str], user_id: str, pseudonym: str, row: Row
) -> tuple[bytes | None, bytes | None] | None:
    value = redaction.read(row["value"])
    data = value.get("data") if isinstance(value, dict) else None
    class_id = data.get("class_id") if isinstance(data, dict) else None
    if row["key"] != user_id.encode() and str(class_id).lower() not in class_ids:
        return None
    return _without(user_id, pseudonym, row)


def _without(user_id: str, pseudonym: str, row: Row) -> tuple[bytes | None, bytes | None] | None:
    """Return a message without names, with a pseudonym for the user, also as its key."""
    key = pseudonym.encode() if row["key"] == user_id.encode() else row["key"]
    value = redaction.rewritten(
        row["value"], lambda value: redaction.of_everybody(value, user_id, pseudonym)
    )
    if value is None and key == row["key"]:
        return None
    return key, row["value"] if value is None else value


async def _queue(work: Work, table: str, page: Page) -> None:
    for shard in range(shards.SHARDS):
        last: int | None = 0
        while last is not None:
            last = await _when_free(work, table, shard, partial(page, shard, last))


async def _when_free(
    work: Work,
    table: str,
    shard: int,
    page: Callable[[Connection], Awaitable[tuple[int, int | None]]],
) -> int | None:
    """Rewrite a page while no relay is at work in the shard: the two would wait for each other."""
    result: list[int | None] = []

    async def attempt(connection: Connection) -> tuple[int, bool]:
        if not await connection.fetchval(sql.privacy.TRY_SHARD, shard):
            return 0, False
        done, last = await page(connection)
        result[:] = [last]
        return done, True

    async def free() -> bool:
        return await work.portion(table, attempt)

    await work.until(free, f"a relay is at work in shard {shard} of the outbox")
    return result[0] if result else None


async def _packs(
    parts: Sequence[bytes], rewrite: Rewrite, shard: int, after: int, connection: Connection
) -> tuple[int, int | None]:
    sought = [*parts, *(topic.encode() for topic in sql.privacy.BY_ESSAY)]
    found = await connection.fetch(sql.privacy.PACKS, shard, after, sought, PAGE)
    contents = [(row["id"], row["content"]) for row in found if row["content"] is not None]
    new = [(pack_id, *_repacked(content, rewrite)) for pack_id, content in contents]
    changed = [(pack_id, content) for pack_id, content, done in new if done]
    if changed:
        columns = outbox.transposed(changed, 2)
        await connection.execute(sql.privacy.REWRITE_PACKS, shard, *columns)
    return sum(done for *_, done in new), found[-1]["id"] if found else None


def _repacked(content: bytes, rewrite: Rewrite) -> tuple[bytes, int]:
    """Return a pack whose messages are rewritten, and how many of them are others now."""
    before = packs.unpack(content)
    after = [_anew(message, rewrite) for message in before]
    done = sum(one is not other for one, other in zip(before, after, strict=True))
    return b"".join(map(packs.pack_message, after)), done


def _anew(message: OutboxMessage, rewrite: Rewrite) -> OutboxMessage:
    if message.value is None:
        return message
    row = {"topic": message.topic, "key": message.key, "value": message.value}
    new = rewrite(row)
    return (
        message
        if new is None
        else replace(message, key=new[0], value=new[1], own_headers=message.headers)
    )


async def _set_aside(
    parts: Sequence[bytes], rewrite: Rewrite, shard: int, after: int, connection: Connection
) -> tuple[int, int | None]:
    by_essay = list(sql.privacy.BY_ESSAY)
    found = await connection.fetch(sql.privacy.SET_ASIDE, shard, after, parts, by_essay, PAGE)
    new = _rewritten(found, rewrite)
    if new:
        columns = outbox.transposed(new, 3)
        await connection.execute(sql.privacy.REWRITE_SET_ASIDE, shard, *columns)
    return len(new), found[-1]["id"] if found else None


def _rewritten(
    found: Sequence[rows.Row], rewrite: Rewrite
) -> list[tuple[int, bytes | None, bytes | None]]:
    new = [(row["id"], rewrite(row)) for row in found if row["value"] is not None]
    return [(of_id, *message) for of_id, message in new if message]


async def _parked(work: Work, rewrite: Rewrite) -> None:
    async def page(after: int, connection: Connection) -> tuple[int, int | None]:
        found = await connection.fetch(sql.privacy.PARKED, after, PAGE)
        new = _rewritten(found, rewrite)
        if new:
            await connection.execute(sql.privacy.REWRITE_PARKED, *outbox.transposed(new, 3))
        return len(new), found[-1]["id"] if found else None

    last: int | None = 0
    while last is not None:
        last = await work.portion("parked", partial(page, last))


async def _answers(work: Work, owner_id: str, rewrite: Callable[[Json], Json]) -> None:
    async def page(after: str, connection: Connection) -> tuple[int, str | None]:
        found = await connection.fetch(sql.privacy.ANSWERS, owner_id, after, PAGE)
        bodies = [(row["key"], redaction.rewritten(row["body"], rewrite)) for row in found]
        new = [(key, body) for key, body in bodies if body is not None]
        if new:
            columns = outbox.transposed(new, 2)
            await connection.execute(sql.privacy.REWRITE_ANSWERS, owner_id, *columns)
        return len(new), found[-1]["key"] if found else None

    last: str | None = ""
    while last is not None:
        last = await work.portion("idempotency_keys", partial(page, last))
