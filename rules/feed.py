"""The feed of changes: what is told of each, from where on, and to whom it can be told no more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from rules.errors import ResyncRequiredError
from rules.history import (
    DECISION_MEMBERS,
    SUGGESTION_MEMBERS,
    Change,
    ChangeKind,
    Entity,
)

#: What is told of a new association, as it is when it is told (rules.history.Change).
ASSOCIATION_MEMBERS: Final[Mapping[str, str]] = {
    "batch_id": "batch_id",
    **SUGGESTION_MEMBERS,
    **DECISION_MEMBERS,
}


@dataclass(frozen=True, slots=True)
class Position:
    """The change up to which somebody has read: its number, and the epoch that numbered it.

    Another database, or an earlier state of this one, numbers in another epoch.
    """

    epoch: UUID
    sequence: int


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """Which changes are wanted: of one owner or of all, behind a position, so many at most.

    No position: from the oldest that is kept.
    """

    limit: int
    owner_id: str | None = None
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class FeedState:
    """How far the feed is: the last number given, and the last that is not told any more."""

    epoch: UUID
    sequence: int
    floor: int

    def begin(self, after: Position | None) -> int:
        """Return the number behind which to read. Raises ResyncRequiredError.

        A number that was not given yet is of what this database has lost.
        """
        if after is None:
            return self.floor
        if after.epoch != self.epoch or not self.floor <= after.sequence <= self.sequence:
            raise ResyncRequiredError
        return after.sequence

    def at(self, sequence: int) -> Position:
        """Return the position of a number."""
        return Position(self.epoch, sequence)


@dataclass(frozen=True, slots=True)
class ToldChange:
    """A change with its number, and when its transaction began.

    `current` has ASSOCIATION_MEMBERS of an association that was created, as they are now.
    """

    sequence: int
    at: datetime
    change: Change
    current: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Changes in their order, from where to go on, and whether there are more already."""

    changes: Sequence[ToldChange]
    next: Position
    more: bool


def page(state: FeedState, found: Sequence[ToldChange], limit: int) -> FeedPage:
    """Return the page of what was found, one change more than it may have at most.

    At the end it goes on behind all changes, others' too: who has few ages as slowly as who has
    many.
    """
    if len(found) <= limit:
        return FeedPage(found, state.at(state.sequence), more=False)
    return FeedPage(found[:limit], state.at(found[limit - 1].sequence), more=True)


@dataclass(frozen=True, slots=True)
class PastChange:
    """A change in the history of an entity; `id` rises with each."""

    id: int
    at: datetime
    change: Change


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Changes of an entity, oldest first; `next` is the id behind which to go on, if need be."""

    changes: Sequence[PastChange]
    next: int | None


def history_page(found: Sequence[PastChange], limit: int) -> HistoryPage:
    """Return the page of what was found, one change more than it may have at most."""
    shown = found[:limit]
    return HistoryPage(shown, shown[-1].id if len(found) > limit else None)


def data_of(told: ToldChange) -> dict[str, Any]:
    """Return what is told of a change: what it is now, or was when it was deleted."""
    change = told.change
    known = change.before if change.kind is ChangeKind.DELETED else change.after
    data = {**(told.current or {}), **(known or {})}
    if change.entity in {Entity.ENROLLMENT, Entity.ASSOCIATION}:
        data["class_id"] = change.class_id
    return data


def external_id_of(change: Change) -> str | None:
    """Return what other systems call a class or student, after the change or before its end."""
    known = change.before if change.kind is ChangeKind.DELETED else change.after
    found: str | None = (known or {}).get("external_id")
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database runs.

    `relation` names the database and a table in it, `system` the cluster (None: the account may not
    ask), `timeline` which of the pasts that a cluster may have had. None of it: not known yet.
    """

    relation: str | None
    system: str | None
    timeline: str | None

    def is_elsewhere(self, before: "Place") -> bool:
        """Whether the rows were brought here from elsewhere: transactions mean others there."""
        if before.relation is None:
            return False
        systems = {self.system, before.system} - {None}
        return self.relation != before.relation or len(systems) > 1

    def is_another_past(self, before: "Place") -> bool:
        """Whether what was told before may have been lost: restored, or a standby took over."""
        moved = before.timeline is not None and before.timeline != self.timeline
        return moved or self.is_elsewhere(before)
