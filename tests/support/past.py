"""The changes that a store remembers, what there is, and that the one follows from the other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

import orjson

from rules.events.envelopes import to_json
from rules.history import (
    CLASS_MEMBERS,
    DECISION_MEMBERS,
    STUDENT_MEMBERS,
    SUGGESTION_MEMBERS,
    Change,
    ChangeKind,
    Entity,
    whole,
)
from rules.models import SYSTEM_AUTO
from store.memory.state import MemoryStore
from store.postgres import rows
from store.postgres.database import Database

#: What an entity is, its id, and for an enrollment the class.
Key: TypeAlias = tuple[Entity, UUID, UUID | None]
Json: TypeAlias = Mapping[str, Any]
#: The version and the members of each.
World: TypeAlias = dict[Key, tuple[int | None, Json]]

#: What later rows tell of an association; its first row tells nothing.
ASSOCIATION_MEMBERS: Final[Mapping[str, str]] = {**SUGGESTION_MEMBERS, **DECISION_MEMBERS}

CHANGES: Final = "select * from changes order by id"
CLASSES: Final = "select *, 0 as student_count from classes"
STUDENTS: Final = """
select *, array(select class_id from enrollments where student_id = id) as class_ids from students
"""
ASSOCIATIONS: Final = "select * from associations"


@dataclass(frozen=True, slots=True)
class Remembered:
    """A change as it is read."""

    owner_id: str
    entity: Entity
    id: UUID
    kind: ChangeKind
    by: str
    correlation_id: UUID | None
    class_id: UUID | None
    version: int | None
    before: Json | None
    after: Json | None

    @property
    def key(self) -> Key:
        return self.entity, self.id, self.class_id if self.entity is Entity.ENROLLMENT else None


class Past(Protocol):
    """Reads what a store remembers, and what it has now."""

    async def changes(self) -> list[Remembered]:
        """Return all changes, in the order of their ids."""

    async def world(self) -> World:
        """Return all classes, students, enrollments and associations that there are."""


class MemoryPast:
    """Reads the state of the in-memory store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def changes(self) -> list[Remembered]:
        return [as_read(change) for change in self._store.changes]

    async def world(self) -> World:
        store = self._store
        return _world(store.classes.values(), store.students.values(), store.associations.values())


class PostgresPast:
    """Reads the rows of PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def changes(self) -> list[Remembered]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(CHANGES)
        return [
            Remembered(
                row["owner_id"],
                Entity(row["entity"]),
                row["entity_id"],
                ChangeKind(row["kind"]),
                row["by_user"],
                row["correlation_id"],
                row["class_id"],
                row["version"],
                row["before"] and orjson.loads(row["before"]),
                row["after"] and orjson.loads(row["after"]),
            )
            for row in found
        ]

    async def world(self) -> World:
        async with self._database.acquire() as connection:
            return _world(
                map(rows.class_record, await connection.fetch(CLASSES)),
                map(rows.student_record, await connection.fetch(STUDENTS)),
                map(rows.association, await connection.fetch(ASSOCIATIONS)),
            )


def as_read(change: Change) -> Remembered:
    """Return a change as the table has it."""
    return Remembered(
        change.owner_id,
        change.entity,
        change.id,
        change.kind,
        change.by,
        change.correlation_id,
        change.class_id,
        change.version,
        as_json(change.before),
        as_json(change.after),
    )


def as_json(members: Json | None) -> Json | None:
    """Return members as they are read."""
    return None if members is None else _json(members)


def _json(value: object) -> Json:
    read: Json = orjson.loads(to_json(value))
    return read


def _world(classes: Iterable[Any], students: Iterable[Any], associations: Iterable[Any]) -> World:
    found: World = {}
    for one in classes:
        found[Entity.CLASS, one.id, None] = one.version, _json(whole(one, CLASS_MEMBERS))
    for one in students:
        found[Entity.STUDENT, one.id, None] = one.version, _json(whole(one, STUDENT_MEMBERS))
        found |= {(Entity.ENROLLMENT, one.id, class_id): (None, {}) for class_id in one.class_ids}
    for one in associations:
        known = _json(whole(one, ASSOCIATION_MEMBERS))
        found[Entity.ASSOCIATION, one.essay_id, None] = None, known
    return found


def replayed(changes: Iterable[Remembered]) -> World:
    """Return what there is after these changes, which must follow from each other."""
    world: World = {}
    for change in changes:
        version, known = world.pop(change.key, (0, {}))
        before, after = change.before or {}, change.after or {}
        if change.kind is ChangeKind.CREATED:
            assert not known, change
            assert change.before is None, change
        else:
            assert _some(before).items() <= known.items(), (change, known)
        if change.version is not None:
            grown = change.kind is not ChangeKind.DELETED
            assert change.version == (version or 0) + grown, change
        if change.kind is ChangeKind.DELETED:
            assert (change.after, before) == (None, known), change
        else:
            world[change.key] = change.version, _some({**known, **after})
    return world


def unwound(changes: Iterable[Remembered], world: World) -> World:
    """Return what associations were at first, going back from what they are now."""
    known, first = {key: members for key, (_, members) in world.items()}, dict[Key, Any]()
    for change in changes:
        now = known.pop(change.key)
        before, after = change.before or {}, change.after or {}
        assert _some(after).items() <= now.items(), (change, now)
        if change.kind is ChangeKind.CREATED:
            assert (change.before, change.after) == (None, None), change
            first[change.key] = None, now
        else:
            assert change.kind is ChangeKind.UPDATED, change
            known[change.key] = _some({**now, **before})
    assert not known, known
    return first


def _some(members: Json) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


async def check(past: Past) -> None:
    """Check that what there is follows from what is remembered."""
    changes, world = await past.changes(), await past.world()
    associations = {k: one for k, one in world.items() if k[0] is Entity.ASSOCIATION}
    others = {k: one for k, one in world.items() if k[0] is not Entity.ASSOCIATION}
    assert replayed(c for c in changes if c.entity is not Entity.ASSOCIATION) == others
    of_associations = [c for c in reversed(changes) if c.entity is Entity.ASSOCIATION]
    for key, (_, members) in unwound(of_associations, associations).items():
        # What is decided at once is so by the service; all other decisions are changes.
        assert members.get("validated_by") in (None, SYSTEM_AUTO), (key, members)
