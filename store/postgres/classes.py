"""Classes and students on PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

from rules import class_pages
from rules.changes import Created, NewClassRequest, NewStudentRequest, record_of
from rules.class_pages import ClassPage, ClassQuery
from rules.conditions import Condition
from rules.emails import key_of
from rules.errors import ClassNotFoundError, ServiceError, StudentNotFoundError
from rules.joining import Outcome, student_of
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    Policy,
    StudentChange,
    StudentRecord,
    TaggedClass,
)
from rules.open_batches import ClassDeletion
from rules.search import StudentPage, StudentQuery, is_asked_for, page
from store.postgres import merging, roster, rows, sql, students, tags
from store.postgres.coalescing import Coalescer
from store.postgres.database import Connection, Database


def _owner_of(request: NewClassRequest | NewStudentRequest) -> str:
    return request.caller.user_id


class PostgresClassRepository:
    """Implements ClassRepositoryProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy
        self._new_classes = Coalescer(self._create_classes, _owner_of)
        self._new_students = Coalescer(self._create_students, _owner_of)
        self._cursor_key: bytes | None = None

    async def create_classes(
        self, requests: Sequence[NewClassRequest]
    ) -> list[ClassRecord | ServiceError]:
        if self._database.is_joined:
            return await self._create_classes(requests)
        return await self._new_classes.ask(requests)

    async def list_classes(self, owner_id: str, query: ClassQuery) -> ClassPage:
        if query.external_id is not None:
            return await self._class_called(owner_id, query.external_id, query)
        after = query.after or (None, None)
        async with self._database.acquire() as connection:
            found = await connection.fetch(
                sql.classes.LIST_CLASSES, owner_id, query.limit, query.offset, *after
            )
        return class_pages.page(query, [rows.class_record(row) for row in found])

    async def _class_called(self, owner_id: str, external_id: str, query: ClassQuery) -> ClassPage:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.classes.CLASS_CALLED, owner_id, external_id)
        return class_pages.cut(query, [rows.class_record(row) for row in found])

    async def class_document(self, owner_id: str | None, class_id: UUID) -> bytes:
        async with self._database.acquire() as connection:
            return (await tags.class_document(connection, owner_id, class_id)).json

    async def update_class(
        self,
        caller: Caller,
        class_id: UUID,
        change: ClassChange,
        condition: Condition | None = None,
    ) -> TaggedClass:
        async def work(connection: Connection) -> TaggedClass:
            record = await roster.update_class(connection, caller, class_id, change, condition)
            return await tags.tagged_class(connection, record)

        return await self._database.transact(work)

    async def delete_class(
        self, caller: Caller, class_id: UUID, condition: Condition | None = None
    ) -> None:
        await self._database.transact(
            lambda connection: roster.delete_class(
                connection, caller, class_id, self._policy, condition
            )
        )

    async def class_deletion(self, owner_id: str, class_id: UUID) -> ClassDeletion:
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(sql.classes.CLASS_DELETION, class_id, owner_id)
        if row is None:
            raise ClassNotFoundError
        return ClassDeletion(row["batches_open"], row["associations_pending"])

    async def roster_document(self, class_id: UUID, owner_id: str | None) -> bytes:
        async with self._database.acquire() as connection:
            document: bytes | None = await connection.fetchval(
                sql.documents.ROSTER_DOCUMENT, class_id, owner_id
            )
        if document is None:
            raise ClassNotFoundError
        return document

    async def create_students(
        self, requests: Sequence[NewStudentRequest]
    ) -> list[StudentRecord | ServiceError]:
        if self._database.is_joined:
            return await self._create_students(requests)
        return await self._new_students.ask(requests)

    async def register_students(self, requests: Sequence[NewStudentRequest]) -> list[Outcome]:
        return await self._database.transact(
            lambda connection: students.create(connection, requests, joins=True)
        )

    async def get_student(self, owner_id: str, student_id: UUID) -> StudentRecord:
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(sql.students.GET_STUDENT, student_id, owner_id)
        if row is None:
            raise StudentNotFoundError
        return rows.student_record(row)

    async def find_students(self, owner_id: str, query: StudentQuery) -> StudentPage:
        if query.external_id is not None:
            return await self._student_called(owner_id, query.external_id, query)
        after = query.after
        begin = (*after.key, after.since, after.again) if after else (None,) * 5
        email_key = None if query.email is None else key_of(query.email)
        conditions = query.pattern, query.email, query.class_id, query.limit + 1, email_key
        async with self._database.acquire() as connection:
            found = await connection.fetch(
                sql.students.FIND_STUDENTS, owner_id, *begin, *conditions
            )
        students = [(rows.student_record(row), row["again"]) for row in found]
        return page(query, students, found[0]["read_at"]) if found else StudentPage(())

    async def _student_called(
        self, owner_id: str, external_id: str, query: StudentQuery
    ) -> StudentPage:
        """Return the page of one student, if the other conditions hold of it, too."""
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.students.STUDENT_CALLED, owner_id, external_id)
        students = map(rows.student_record, found)
        return StudentPage(tuple(one for one in students if is_asked_for(one, query)))

    async def cursor_key(self) -> bytes:
        if self._cursor_key is None:
            async with self._database.acquire() as connection:
                self._cursor_key = await connection.fetchval(sql.sessions.CURSOR_KEY)
        if self._cursor_key is None:
            raise LookupError("no key in cursor_keys")
        return self._cursor_key

    async def update_student(
        self,
        caller: Caller,
        student_id: UUID,
        change: StudentChange,
        condition: Condition | None = None,
    ) -> StudentRecord:
        return await self._database.transact(
            lambda connection: roster.update_student(
                connection, caller, student_id, change, condition
            )
        )

    async def delete_student(
        self, caller: Caller, student_id: UUID, condition: Condition | None = None
    ) -> None:
        await self._database.transact(
            lambda connection: roster.delete_student(connection, caller, student_id, condition)
        )

    async def merge_students(self, caller: Caller, student_id: UUID, into: UUID) -> StudentRecord:
        return await self._database.transact(
            lambda connection: merging.merge_students(connection, caller, student_id, into)
        )

    async def _create_classes(
        self, requests: Sequence[NewClassRequest]
    ) -> list[ClassRecord | ServiceError]:
        async def work(connection: Connection) -> list[Created[ClassRecord] | ServiceError]:
            return await roster.create_classes(connection, requests)

        return [record_of(made) for made in await self._database.run(work)]

    async def _create_students(
        self, requests: Sequence[NewStudentRequest]
    ) -> list[StudentRecord | ServiceError]:
        async def work(connection: Connection) -> list[Outcome]:
            return await students.create(connection, requests)

        return [student_of(made) for made in await self._database.run(work)]
