"""Classes and students in memory."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from rules import search
from rules.changes import NewClassRequest, NewStudentRequest, record_of
from rules.class_pages import ClassPage, ClassQuery, cut, place
from rules.conditions import Condition
from rules.documents import class_detail_json, roster_json
from rules.errors import ClassNotFoundError, ServiceError
from rules.events.envelopes import to_json
from rules.joining import Outcome, student_of
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    StudentChange,
    StudentRecord,
    TaggedClass,
)
from rules.open_batches import ClassDeletion
from rules.search import StudentPage, StudentQuery, is_asked_for, key_of
from rules.tags import class_tag
from store.memory import merging, roster, students
from store.memory.state import MemoryStore
from store.memory.trials import OnTrial


class MemoryClassRepository(OnTrial):
    """Implements ClassRepositoryProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self._cursor_key: Final = secrets.token_bytes(32)

    async def create_classes(
        self, requests: Sequence[NewClassRequest]
    ) -> list[ClassRecord | ServiceError]:
        return [record_of(roster.create_class(self._store, request)) for request in requests]

    async def list_classes(self, owner_id: str, query: ClassQuery) -> ClassPage:
        owned = [c for c in self._store.classes.values() if c.owner_id == owner_id]
        owned.sort(key=place, reverse=True)
        found = cut(query, owned)
        counted = (roster.counted(self._store, one) for one in found.classes)
        return replace(found, classes=tuple(counted))

    async def class_document(self, owner_id: str | None, class_id: UUID) -> bytes:
        record = self._class(owner_id, class_id)
        return to_json(class_detail_json(roster.detail(self._store, record)))

    async def update_class(
        self,
        caller: Caller,
        class_id: UUID,
        change: ClassChange,
        condition: Condition | None = None,
    ) -> TaggedClass:
        changed = roster.update_class(self._store, caller, class_id, change, condition)
        return TaggedClass(changed, class_tag(roster.detail(self._store, changed)))

    async def delete_class(
        self, caller: Caller, class_id: UUID, condition: Condition | None = None
    ) -> None:
        roster.delete_class(self._store, caller, class_id, condition)

    async def class_deletion(self, owner_id: str, class_id: UUID) -> ClassDeletion:
        self._store.class_of(owner_id, class_id)
        batches = self._store.batches.values()
        ended = [b.id for b in batches if b.class_id == class_id and b.closed_at is None]
        return ClassDeletion(len(ended), sum(len(self._store.pending_of(b)) for b in ended))

    async def roster_document(self, class_id: UUID, owner_id: str | None) -> bytes:
        self._class(owner_id, class_id)
        return to_json(roster_json(roster.by_name(self._store, class_id)))

    def _class(self, owner_id: str | None, class_id: UUID) -> ClassRecord:
        """Return a class of the owner, of anybody without one. Raises ClassNotFoundError."""
        if owner_id is not None:
            return self._store.class_of(owner_id, class_id)
        found = self._store.classes.get(class_id)
        if found is None:
            raise ClassNotFoundError
        return found

    async def create_students(
        self, requests: Sequence[NewStudentRequest]
    ) -> list[StudentRecord | ServiceError]:
        return [student_of(students.create_student(self._store, request)) for request in requests]

    async def register_students(self, requests: Sequence[NewStudentRequest]) -> list[Outcome]:
        return [students.create_student(self._store, one, joins=True) for one in requests]

    async def get_student(self, owner_id: str, student_id: UUID) -> StudentRecord:
        return self._store.student_of(owner_id, student_id)

    async def find_students(self, owner_id: str, query: StudentQuery) -> StudentPage:
        found = []
        for student in self._store.students.values():
            again = search.place(student, query.after)
            if again is not None and student.owner_id == owner_id and is_asked_for(student, query):
                found.append((student, again))
        found.sort(key=lambda one: (one[1], key_of(one[0])))
        return search.page(query, found, self._store.now())

    async def cursor_key(self) -> bytes:
        return self._cursor_key

    async def update_student(
        self,
        caller: Caller,
        student_id: UUID,
        change: StudentChange,
        condition: Condition | None = None,
    ) -> StudentRecord:
        return roster.update_student(self._store, caller, student_id, change, condition)

    async def delete_student(
        self, caller: Caller, student_id: UUID, condition: Condition | None = None
    ) -> None:
        roster.delete_student(self._store, caller, student_id, condition)

    async def merge_students(self, caller: Caller, student_id: UUID, into: UUID) -> StudentRecord:
        return merging.merge_students(self._store, caller, student_id, into)
