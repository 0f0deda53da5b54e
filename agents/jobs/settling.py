"""What becomes of the packs that the relay has tried to publish."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rules.models import OutboxMessage
from store.protocols.outbox import NotArrivedError, Pack, Refusal, Unsent


@dataclass(slots=True)
class ShardFailure:
    """Why a shard stays: the first error, and the topics and partitions of all."""

    error: BaseException
    places: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Settled:
    """The packs of which nothing is left to send, what was sent of them, and what was not.

    `set_aside` has numbers, as the outbox takes them.
    """

    done: list[Pack] = field(default_factory=list)
    sent: list[OutboxMessage] = field(default_factory=list)
    refused: list[tuple[OutboxMessage, Refusal]] = field(default_factory=list)
    set_aside: dict[int, Refusal | None] = field(default_factory=dict)
    failures: dict[int, ShardFailure] = field(default_factory=dict)


def free(packs: Iterable[Pack]) -> list[OutboxMessage]:
    """Return the messages that need not wait for one that is set aside, in order."""
    messages: list[OutboxMessage] = []
    for pack in packs:
        if pack.held:
            messages += (m for i, m in enumerate(pack.messages) if i not in pack.held)
        else:
            messages += pack.messages
    return messages


def settled(packs: Sequence[Pack], unsent: Unsent) -> Settled:
    """Sort out packs whose free messages were sent, but for `unsent`.

    From the first pack on in which a message failed all of its shard stays, whatever of it was
    sent: what is gone is always the beginning.
    """
    if not (unsent.failed or unsent.refused or any(pack.held for pack in packs)):
        return Settled(list(packs), free(packs))
    result = Settled()
    begin = 0
    for pack in packs:
        numbers = [pack.id + i for i in range(len(pack.messages)) if i not in pack.held]
        end = begin + len(numbers)
        for position in unsent.failed.keys() & set(range(begin, end)) if unsent.failed else ():
            _note_failure(result, pack.shard, unsent.failed[position])
        if pack.shard not in result.failures:
            _finish(result, pack, numbers, begin, unsent)
        begin = end
    return result


def _finish(
    result: Settled, pack: Pack, numbers: Sequence[int], begin: int, unsent: Unsent
) -> None:
    result.done.append(pack)
    if not pack.held and not unsent.refused:
        result.sent += pack.messages
        return
    result.set_aside |= {pack.id + position: None for position in pack.held}
    for position, number in enumerate(numbers, begin):
        message = pack.messages[number - pack.id]
        if position not in unsent.refused:
            result.sent.append(message)
            continue
        reason = result.set_aside[number] = unsent.refused[position]
        if reason is not None:
            result.refused.append((message, reason))


def _note_failure(result: Settled, shard: int, error: BaseException) -> None:
    failure = result.failures.setdefault(shard, ShardFailure(error))
    if isinstance(error, NotArrivedError):
        where = "" if error.partition is None else f"[{error.partition}]"
        failure.places.add(f"{error.topic}{where}")
