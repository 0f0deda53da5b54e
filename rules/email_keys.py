"""Who of the students with one address has its key, where an earlier version took both."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

#: Owner and key.
OwnedKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Keyed:
    """A student and the key of its address, None without an address."""

    id: UUID
    owner_id: str
    key: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """The key that each student gets, None for none, and who loses one to an older student."""

    keys: Mapping[UUID, str | None]
    losing: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class Collision:
    """Students of one owner with one address, the oldest first: it has the key."""

    owner_id: str
    students: tuple[Keyed, ...]


def plan_keys(
    students: Iterable[Keyed], free: Iterable[OwnedKey], holders: Iterable[Keyed]
) -> KeyPlan:
    """Give each key to the oldest who wants it or has it.

    A key that is neither free nor of a known holder is for another time, with all who want it.
    """
    known = {(h.owner_id, h.key): h for h in holders}
    may_have = {*free, *known}
    keys: dict[UUID, str | None] = {}
    losing: list[UUID] = []
    for (owner_id, key), wanting in _by_key(students).items():
        if key is None:
            keys |= dict.fromkeys((one.id for one in wanting), None)
        elif (owner_id, key) in may_have:
            holder = known.get((owner_id, key))
            first = min([*wanting, *([holder] if holder else [])], key=_age)
            keys |= {one.id: key if one.id == first.id else None for one in wanting}
            if holder and holder.id != first.id:
                losing.append(holder.id)
    return KeyPlan(keys, losing)


def collisions(colliding: Iterable[Keyed], holders: Iterable[Keyed]) -> list[Collision]:
    """Return those who share an address, by their oldest student.

    One that has its address for itself by now is none.
    """
    groups = _by_key({one.id: one for one in (*colliding, *holders)}.values())
    found = [
        Collision(owner_id, tuple(sorted(students, key=_age)))
        for (owner_id, _), students in groups.items()
        if len(students) > 1
    ]
    return sorted(found, key=lambda one: _age(one.students[0]))


def _by_key(students: Iterable[Keyed]) -> dict[tuple[str, str | None], list[Keyed]]:
    groups: defaultdict[tuple[str, str | None], list[Keyed]] = defaultdict(list)
    for one in students:
        groups[one.owner_id, one.key].append(one)
    return groups


def _age(student: Keyed) -> tuple[datetime, UUID]:
    return student.created_at, student.id
