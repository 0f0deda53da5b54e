"""Which events were handled before: rows of the inbox, in the transaction that handles them.

Events are known by topic and id. Rows with a delivery are of commands, the others of suggestions or
of dead letters. Mostly the row has the event's own id, by which an older version beside this one
knows it, too.
"""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from rules import topics
from rules.inbox import id_beside
from store.postgres import sql
from store.postgres.database import Connection


async def enter_suggestions(connection: Connection, event_ids: Collection[UUID]) -> set[UUID]:
    """Claim event ids; return those that were handled before."""
    entered = await connection.fetch(sql.inbox.ENTER_INBOX, list(event_ids))
    handled = set(event_ids) - {row["id"] for row in entered}
    if not handled:
        return handled
    taken = await connection.fetch(sql.inbox.ENTERED_BY_COMMANDS, list(handled))
    beside = _beside(topics.MATCHES_SUGGESTED, (row["id"] for row in taken))
    if beside:
        entered = await connection.fetch(sql.inbox.ENTER_INBOX, list(beside))
        handled -= {beside[row["id"]] for row in entered}
    return handled


async def leave(connection: Connection, event_ids: Collection[UUID]) -> None:
    """Forget suggestions, so that a replay of their dead letters is handled."""
    beside = _beside(topics.MATCHES_SUGGESTED, event_ids)
    await connection.execute(sql.inbox.LEAVE_INBOX, [*event_ids, *beside])


async def enter_commands(
    connection: Connection, claimed: Mapping[UUID, UUID]
) -> dict[UUID, UUID | None]:
    """Claim event ids for deliveries; return those handled before, with their first deliveries."""
    handled = await _enter_commands(connection, claimed)
    beside = _beside(topics.COMMANDS, (i for i, delivery in handled.items() if delivery is None))
    if beside:
        own = await _enter_commands(connection, {i: claimed[beside[i]] for i in beside})
        handled = {i: delivery for i, delivery in handled.items() if delivery is not None}
        handled |= {beside[i]: delivery for i, delivery in own.items()}
    return handled


async def _enter_commands(
    connection: Connection, claimed: Mapping[UUID, UUID]
) -> dict[UUID, UUID | None]:
    entered = await connection.fetch(
        sql.inbox.ENTER_COMMANDS, list(claimed), list(claimed.values())
    )
    others = claimed.keys() - {row["id"] for row in entered}
    if not others:
        return {}
    found = await connection.fetch(sql.inbox.FIRST_DELIVERIES, list(others))
    return {row["id"]: row["delivery"] for row in found}


def _beside(topic: str, event_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return event ids by the ids that they have where another topic's event has their own."""
    return {id_beside(topic, event_id): event_id for event_id in event_ids}
