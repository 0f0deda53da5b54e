"""Dead letters on PostgreSQL: how they are published, what people decided, how replays ended."""

from collections.abc import Sequence
from uuid import UUID

from rules.dead_letters.letters import Address, Stretch
from rules.dead_letters.messages import DeadLetter, dead_letter_message, delivery_id
from rules.dead_letters.replays import Decided, Ended, LetterDecision, Replay, failed_again
from store.clock import utc_now
from store.postgres import outbox, rows, sql
from store.postgres.database import Connection, Database


async def note(connection: Connection, ended: Sequence[Ended]) -> None:
    """Store how replays ended, in the transaction that handles them."""
    values = [(one.replay_id, one.outcome, one.reason) for one in ended]
    if values:
        await connection.execute(sql.dead_letters.NOTE_REPLAYS, *outbox.transposed(values, 3))


async def publish(connection: Connection, letters: Sequence[DeadLetter]) -> int:
    """Publish records to their dead-letter topics, each delivery once; return how many were new."""
    by_id = {delivery_id(letter.record): letter for letter in letters}
    new = {row["id"] for row in await connection.fetch(sql.inbox.ENTER_INBOX, list(by_id))}
    at = utc_now()
    messages = [dead_letter_message(letter, at) for i, letter in by_id.items() if i in new]
    await outbox.put(connection, messages)
    await note(connection, failed_again(by_id[i] for i in new))
    return len(messages)


class PostgresDeadLetters:
    """Implements DeadLetterProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def decided(self, letters: Sequence[UUID]) -> dict[UUID, Decided]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.dead_letters.DECISIONS, letters)
        return {row["letter"]: _decided(row) for row in found}

    async def replay(self, replays: Sequence[Replay], *, again: bool) -> list[UUID]:
        async def work(connection: Connection) -> list[UUID]:
            values = [
                (r.letter, str(r.address), LetterDecision.REPLAYED.value, r.id) for r in replays
            ]
            decided = await _decide(connection, values, again=again)
            await outbox.put(connection, [r.message for r in replays if r.letter in decided])
            return [r.letter for r in replays if r.letter in decided]

        return await self._database.transact(work)

    async def drop(self, letters: Sequence[tuple[UUID, Address]], *, again: bool) -> list[UUID]:
        async def work(connection: Connection) -> list[UUID]:
            values = [
                (i, str(address), LetterDecision.DROPPED.value, None) for i, address in letters
            ]
            decided = await _decide(connection, values, again=again)
            return [letter for letter, _ in letters if letter in decided]

        return await self._database.transact(work)

    async def count_decided(self, stretches: Sequence[Stretch]) -> dict[str, int]:
        values = [(s.topic, s.partition, s.begin, s.end) for s in stretches]
        async with self._database.acquire() as connection:
            found = await connection.fetch(
                sql.dead_letters.COUNT_DECIDED, *outbox.transposed(values, 4)
            )
        return {row["topic"]: row["letters"] for row in found}

    async def forget(self, older_than_days: int) -> int:
        async with self._database.acquire() as connection:
            status: str = await connection.execute(
                sql.dead_letters.FORGET_DECISIONS, older_than_days
            )
        return int(status.rpartition(" ")[2])


async def _decide(
    connection: Connection,
    values: Sequence[tuple[UUID, str, str, UUID | None]],
    *,
    again: bool,
) -> set[UUID]:
    decided = await connection.fetch(
        sql.dead_letters.DECIDE_LETTERS, *outbox.transposed(values, 4), again
    )
    return {row["letter"] for row in decided}


def _decided(row: rows.Row) -> Decided:
    return Decided(
        letter=row["letter"],
        decision=LetterDecision(row["decision"]),
        at=row["decided_at"],
        replay_id=row["replay_id"],
        outcome=row["outcome"],
        reason=row["reason"],
        outcome_at=row["outcome_at"],
    )
