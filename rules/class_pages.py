"""Pages of a teacher's classes, newest first (docs/contract.md, section 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from rules.models import ClassRecord


class ClassPlace(NamedTuple):
    """Where a class stands in the list, which begins with the greatest place."""

    created_at: datetime
    class_id: UUID


@dataclass(frozen=True, slots=True)
class ClassQuery:
    """A page of at most `limit` classes, behind a place or from an offset on.

    With `external_id` only the class that another system calls so.
    """

    limit: int
    offset: int = 0
    after: ClassPlace | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClassPage:
    """Classes in their order; `more` if others follow."""

    classes: tuple[ClassRecord, ...]
    more: bool

    @property
    def next(self) -> ClassPlace | None:
        """The place behind which the next page begins, None if this is the last."""
        return place(self.classes[-1]) if self.more else None


def place(record: ClassRecord) -> ClassPlace:
    """Return where a class stands."""
    return ClassPlace(record.created_at, record.id)


def cut(query: ClassQuery, ordered: Sequence[ClassRecord]) -> ClassPage:
    """Return the page of classes that are given whole, in their order."""
    called = [c for c in ordered if query.external_id in (None, c.external_id)]
    behind = [c for c in called if query.after is None or place(c) < query.after]
    return page(query, behind[query.offset : query.offset + query.limit + 1])


def page(query: ClassQuery, found: Sequence[ClassRecord]) -> ClassPage:
    """Return a page of classes, of which one more is given than is wanted, if there are others."""
    return ClassPage(tuple(found[: query.limit]), len(found) > query.limit)
