"""What is known of a batch, in memory."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from rules.corrections import decision_of
from rules.dead_letters.letters import event_id_of, instant_of
from rules.history import Entity
from rules.models import Association, OutboxMessage
from rules.story import (
    OF_OWNER,
    BatchOfClass,
    Essay,
    Named,
    Parked,
    StoredBatch,
    Story,
    Unsent,
    is_about,
)
from store.memory.state import MemoryStore, ParkedMessage


class MemoryStories:
    """Implements StoryProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def named(self, wanted: UUID) -> list[Named]:
        store = self._store
        if wanted in store.batches or any(p.batch_id == wanted for p in store.parked.values()):
            return [Named(wanted)]
        if wanted in store.associations:
            return [Named(store.associations[wanted].batch_id)]
        found: dict[UUID, set[UUID]] = {
            batch.id: set()
            for batch in store.batches.values()
            if batch.trace.correlation_id == wanted
        }
        for association in self._changed_under(wanted):
            found.setdefault(association.batch_id, set()).add(association.essay_id)
        return [Named(batch_id, tuple(sorted(found[batch_id]))) for batch_id in sorted(found)]

    async def of_class(self, class_id: UUID, most: int) -> list[BatchOfClass]:
        found = [
            BatchOfClass(batch.id, self._store.begun[batch.id], batch.closed_at)
            for batch in self._store.batches.values()
            if batch.class_id == class_id
        ]
        found.sort(key=lambda one: (one.created_at, one.batch_id), reverse=True)
        return found[:most]

    async def story(self, batch_id: UUID) -> Story | None:
        stored = self._stored(batch_id)
        parked = [p for p in self._store.parked.values() if p.batch_id == batch_id]
        if stored is None and not parked:
            return None
        return Story(
            batch_id,
            stored,
            tuple(self._essay(a) for a in self._store.associations_of(batch_id)),
            tuple(map(_parked, parked)),
            tuple(sorted(self._unsent(batch_id, stored), key=lambda one: one.number)),
        )

    def _changed_under(self, correlation_id: UUID) -> Iterable[Association]:
        for change in self._store.changes:
            cause = change.entity, change.correlation_id
            if cause == (Entity.ASSOCIATION, correlation_id):
                association = self._store.associations.get(change.id)
                if association is not None:
                    yield association

    def _stored(self, batch_id: UUID) -> StoredBatch | None:
        batch = self._store.batches.get(batch_id)
        if batch is None:
            return None
        cls = self._store.class_of_batch(batch_id)
        deleted_id = None if cls else batch.deleted_class_id
        deleted = self._store.deleted_classes.get(deleted_id) if deleted_id else None
        owned = cls or deleted
        return StoredBatch(
            batch.trace.correlation_id,
            batch.class_id or batch.deleted_class_id,
            cls is None,
            owned.owner_id if owned else None,
            self._store.begun[batch_id],
            batch.closed_at,
            self._store.deleted_at[deleted.id] if deleted else None,
            deleted.deleted_by if deleted else None,
        )

    def _essay(self, association: Association) -> Essay:
        current = decision_of(association)
        past = self._store.past.get(association.essay_id, ())
        is_suggested = association.suggested_student_id is not None
        return Essay(
            association.essay_id,
            association.created_at,
            association.confirm_by,
            is_suggested,
            not is_suggested and bool(association.suggestions),
            (*past, *([current] if current else [])),
        )

    def _unsent(self, batch_id: UUID, stored: StoredBatch | None) -> Iterable[Unsent]:
        owner = stored.owner_id if stored else None
        for shard in self._store.outbox:
            for waiting in shard.values():
                for number, message in waiting.numbered():
                    if _concerns(message, batch_id, owner):
                        event_id = event_id_of(message.headers)
                        yield Unsent(number, message.topic, event_id, waiting.written_at)
        for number, aside in self._store.set_aside.items():
            message, at = aside.message, aside.written_at
            if _concerns(message, batch_id, owner):
                event_id = event_id_of(message.headers)
                reason = aside.reason and aside.reason.value
                yield Unsent(number, message.topic, event_id, at, aside.since, reason)


def _concerns(message: OutboxMessage, batch_id: UUID, owner: str | None) -> bool:
    """Whether a message has the key of a batch, or tells its owner of it."""
    if message.topic in OF_OWNER:
        is_owners = owner is not None and message.key == owner.encode()
        return is_owners and is_about(batch_id, message.key, message.value)
    return message.key == str(batch_id).encode()


def _parked(message: ParkedMessage) -> Parked:
    record = message.record
    return Parked(
        message.event_id,
        record.topic,
        record.partition,
        record.offset,
        instant_of(record.timestamp_ms),
        message.tries,
        message.next_try,
        message.deadline,
    )
