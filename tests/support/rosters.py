"""Classes and their students as a store holds them, read past it: the service reads documents."""

from dataclasses import replace
from typing import Protocol
from uuid import UUID

from rules.errors import ClassNotFoundError
from rules.models import ClassDetail, StudentRecord
from store.memory.state import MemoryStore
from store.postgres import rows
from store.postgres.database import Database

CLASS = """
select *, (
    select count(*) from students where not is_placeholder
        and id in (select student_id from enrollments where class_id = classes.id)
) as student_count
from classes where id = $1 and ($2::text is null or owner_id = $2)
"""
STUDENTS = """
select *, array(select class_id from enrollments where student_id = id order by 1) as class_ids
from students where id in (select student_id from enrollments where class_id = $1)
order by last_name, first_name, id
"""


class RosterReader(Protocol):
    """Reads what a class is and who is in it, for its owner; None is another service."""

    async def get_class(self, owner_id: str | None, class_id: UUID) -> ClassDetail:
        """Return a class with its students. Raises ClassNotFoundError."""

    async def roster(self, class_id: UUID, owner_id: str | None) -> list[StudentRecord]:
        """Return a class's students by name. Raises ClassNotFoundError."""


class MemoryRosters:
    """Reads the state of the in-memory store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def get_class(self, owner_id: str | None, class_id: UUID) -> ClassDetail:
        record = self._store.classes.get(class_id)
        if record is None or owner_id not in (None, record.owner_id):
            raise ClassNotFoundError
        students = [self._store.students[i] for i in self._store.members(class_id)]
        students.sort(key=lambda s: (s.name.last_name, s.name.first_name, s.id))
        pupils = [s for s in students if not s.is_placeholder]
        return ClassDetail(replace(record, student_count=len(pupils)), tuple(students))

    async def roster(self, class_id: UUID, owner_id: str | None) -> list[StudentRecord]:
        return list((await self.get_class(owner_id, class_id)).students)


class PostgresRosters:
    """Reads the rows of PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_class(self, owner_id: str | None, class_id: UUID) -> ClassDetail:
        async with self._database.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(CLASS, class_id, owner_id)
            found = await connection.fetch(STUDENTS, class_id)
        if row is None:
            raise ClassNotFoundError
        return ClassDetail(rows.class_record(row), tuple(map(rows.student_record, found)))

    async def roster(self, class_id: UUID, owner_id: str | None) -> list[StudentRecord]:
        return list((await self.get_class(owner_id, class_id)).students)
