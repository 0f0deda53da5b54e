"""What happened to a class or a student in the last 30 days, the newest first."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from aiohttp import web

from rules.feed import HistoryPage, PastChange
from rules.history import Change, ChangeKind, Entity
from rules.models import SYSTEM_AUTO, SYSTEM_TIMEOUT
from rules.shown import printable
from rules.text import joined
from web.calls import Call
from web.console.imports import Changed, changed
from web.console.notices import N_
from web.console.operations import page_operation
from web.console.people import class_names
from web.console.rendering import page
from web.console.views.classes import CLASS, CLASSES
from web.console.views.students import STUDENT, STUDENTS
from web.errors import NotFoundError
from web.operations import Operation
from web.services import WebServices

#: So many are shown. They are kept oldest first, so all are read to find the last ones.
_MOST: Final = 100
#: Of somebody who changes a student by a program all day it is not all.
_MOST_READS: Final = 50

_WHAT: Final[Mapping[tuple[Entity, ChangeKind], str]] = {
    (Entity.CLASS, ChangeKind.CREATED): N_("The class was made."),
    (Entity.CLASS, ChangeKind.UPDATED): N_("The class was changed."),
    (Entity.CLASS, ChangeKind.DELETED): N_("The class was deleted."),
    (Entity.STUDENT, ChangeKind.CREATED): N_("The student was made."),
    (Entity.STUDENT, ChangeKind.UPDATED): N_("The student was changed."),
    (Entity.STUDENT, ChangeKind.DELETED): N_("The student was deleted."),
    (Entity.ENROLLMENT, ChangeKind.CREATED): N_("Joined a class:"),
    (Entity.ENROLLMENT, ChangeKind.DELETED): N_("Left a class:"),
}
_SYSTEM: Final = frozenset({SYSTEM_AUTO, SYSTEM_TIMEOUT})

_Read: TypeAlias = Callable[[int | None], Awaitable[HistoryPage]]


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A change; `by` is "" for the service, and `is_own` says that it is who looks."""

    at: datetime
    by: str
    is_own: bool
    what: str
    class_id: UUID | None
    changes: tuple[Changed, ...]


async def show_class_history(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Show what happened to a class, also to a deleted one."""
    owner_id = call.user

    async def read(after: int | None) -> HistoryPage:
        return await services.feed.class_history(owner_id, class_id, after, _MOST)

    return await _history(services, call, read, Entity.CLASS, f"{CLASSES}/{class_id}")


async def show_student_history(services: WebServices, call: Call, student_id: UUID) -> web.Response:
    """Show what happened to a student and which classes it joined and left, likewise."""
    owner_id = call.user

    async def read(after: int | None) -> HistoryPage:
        return await services.feed.student_history(owner_id, student_id, after, _MOST)

    return await _history(services, call, read, Entity.STUDENT, f"{STUDENTS}/{student_id}")


async def _history(
    services: WebServices, call: Call, read: _Read, entity: Entity, address: str
) -> web.Response:
    if not services.config.changes:
        raise NotFoundError
    past = await _last(read)
    own = [one.change for one in past if one.change.entity is entity]
    return await page(
        call,
        "history.html",
        title=_name(own),
        address=None if own and own[-1].kind is ChangeKind.DELETED else address,
        past=[_shown(one, call.user) for one in reversed(past) if _says(one.change)],
        names=await class_names(services, call.user),
    )


async def _last(read: _Read) -> list[PastChange]:
    """Return the last changes, oldest first."""
    found, after = deque[PastChange](maxlen=_MOST), None
    for _ in range(_MOST_READS):
        read_now = await read(after)
        found.extend(read_now.changes)
        after = read_now.next
        if after is None:
            break
    return list(found)


def _says(change: Change) -> bool:
    """Whether there is something to show: joining a class changes a student, and none of it."""
    is_update = change.kind is ChangeKind.UPDATED
    return not is_update or bool(changed(change.before or {}, change.after or {}))


def _name(own: Iterable[Change]) -> str:
    """Return the last name that is known of a class or a student, "" if none changed."""
    known: dict[str, str] = {}
    for one in own:
        known |= {key: value for key, value in (one.after or one.before or {}).items() if value}
    return known.get("name") or joined(known.get("first_name", ""), known.get("last_name", ""))


def _shown(past: PastChange, user_id: str) -> ShownChange:
    change = past.change
    is_class = change.entity is Entity.ENROLLMENT
    return ShownChange(
        past.at,
        "" if change.by in _SYSTEM else printable(change.by),
        change.by == user_id,
        _WHAT.get((change.entity, change.kind), ""),
        change.class_id if is_class else None,
        changed(change.before or {}, change.after or {}),
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(f"{CLASS}/history", show_class_history),
    page_operation(f"{STUDENT}/history", show_student_history),
)
