"""What changed, in the order in which it is told, in memory: all that is there is committed."""

from typing import Final
from uuid import UUID

from rules.errors import ClassNotFoundError, StudentNotFoundError
from rules.feed import (
    ASSOCIATION_MEMBERS,
    FeedPage,
    FeedQuery,
    FeedState,
    HistoryPage,
    PastChange,
    Position,
    ToldChange,
    history_page,
    page,
)
from rules.history import Change, ChangeKind, Entity, values
from store.memory.state import MemoryStore


class MemoryFeed:
    """Implements FeedProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def changes(self, query: FeedQuery) -> FeedPage:
        state = self._state()
        begin = state.begin(query.after) - state.floor
        wanted = (
            self._told(index, change)
            for index, change in enumerate(self._store.changes[begin:], begin)
            if query.owner_id in {None, change.owner_id}
        )
        found = [told for told, _ in zip(wanted, range(query.limit + 1), strict=False)]
        return page(state, found, query.limit)

    async def end(self) -> Position:
        state = self._state()
        return state.at(state.sequence)

    async def waiting_seconds(self) -> float | None:
        return None

    async def number(self) -> int:
        return 0

    async def class_history(
        self, owner_id: str, class_id: UUID, after: int | None, limit: int
    ) -> HistoryPage:
        found = self._history(owner_id, class_id, {Entity.CLASS})
        record = self._store.classes.get(class_id)
        if not found and (record is None or record.owner_id != owner_id):
            raise ClassNotFoundError
        return _page(found, after, limit)

    async def student_history(
        self, owner_id: str, student_id: UUID, after: int | None, limit: int
    ) -> HistoryPage:
        found = self._history(owner_id, student_id, {Entity.STUDENT, Entity.ENROLLMENT})
        record = self._store.students.get(student_id)
        if not found and (record is None or record.owner_id != owner_id):
            raise StudentNotFoundError
        return _page(found, after, limit)

    def _state(self) -> FeedState:
        store = self._store
        floor = store.changes_forgotten
        return FeedState(store.feed_epoch, floor + len(store.changes), floor)

    def _told(self, index: int, change: Change) -> ToldChange:
        store = self._store
        essay = None
        if change.entity is Entity.ASSOCIATION and change.kind is ChangeKind.CREATED:
            essay = store.associations.get(change.id)
        current = None if essay is None else values(essay, ASSOCIATION_MEMBERS)
        number = store.changes_forgotten + index + 1
        return ToldChange(number, store.changed_at[index], change, current)

    def _history(self, owner_id: str, entity_id: UUID, what: set[Entity]) -> list[PastChange]:
        store = self._store
        return [
            PastChange(store.changes_forgotten + index + 1, store.changed_at[index], change)
            for index, change in enumerate(store.changes)
            if (change.owner_id, change.id) == (owner_id, entity_id) and change.entity in what
        ]


def _page(found: list[PastChange], after: int | None, limit: int) -> HistoryPage:
    behind = [one for one in found if one.id > (after or 0)]
    return history_page(behind[: limit + 1], limit)
