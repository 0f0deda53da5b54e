"""Whether a command is a repetition."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from uuid import UUID

from rules.commands.orders import CommandDelivery


class Arrival(Enum):
    """How a delivered command relates to earlier ones.

    `FIRST`: its event id is new. `REPEATED`: its sender sent the event id again and expects a
    result. `REDELIVERED`: Kafka redelivered a record that has its result or its dead letter.
    """

    FIRST = auto()
    REPEATED = auto()
    REDELIVERED = auto()


def arrivals(
    deliveries: Sequence[CommandDelivery],
    identities: Sequence[UUID],
    known: AbstractSet[UUID],
    handled: Mapping[UUID, UUID | None],
) -> list[Arrival]:
    """Return for each delivery whether it is a repetition.

    `identities` are those of the deliveries (`delivery_id`), `known` those already answered or
    dead-lettered, `handled` the event ids already handled, each with its first delivery.
    """
    seen = set(known)
    firsts = dict(handled)
    found = []
    for delivery, identity in zip(deliveries, identities, strict=True):
        event_id = delivery.command.event_id
        if identity in seen or firsts.get(event_id) == identity:
            found.append(Arrival.REDELIVERED)
        elif event_id in firsts:
            found.append(Arrival.REPEATED)
        else:
            found.append(Arrival.FIRST)
            firsts[event_id] = identity
        seen.add(identity)
    return found
