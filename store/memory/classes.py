"""Classes and students in memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from rules import roster_events
from rules.changes import StudentDiff, changed_class, changed_student
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    ServiceError,
    StudentNotFoundError,
)
from rules.models import (
    Association,
    Caller,
    ClassChange,
    ClassDetail,
    ClassRecord,
    StudentChange,
    StudentRecord,
)
from store.memory.batches import withdraw
from store.memory.state import MemoryStore
from store.protocols import CreateClass, CreateStudent


class MemoryClassRepository:
    """Meets ClassRepositoryProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def create_classes(
        self, requests: Sequence[CreateClass]
    ) -> list[ClassRecord | ServiceError]:
        """Make classes, each for itself."""
        return [self._create_class(request) for request in requests]

    async def list_classes(self, owner_id: str, limit: int, offset: int) -> list[ClassRecord]:
        """Return the owner's classes, newest first."""
        owned = [c for c in self._store.classes.values() if c.owner_id == owner_id]
        owned.sort(key=lambda c: (c.created_at, c.id), reverse=True)
        return [self._counted(c) for c in owned[offset : offset + limit]]

    async def get_class(self, owner_id: str, class_id: UUID) -> ClassDetail:
        """Return a class with its students. Raises ClassNotFoundError."""
        record = self._store.class_of(owner_id, class_id)
        return ClassDetail(self._counted(record), tuple(self._students(class_id)))

    async def update_class(
        self, caller: Caller, class_id: UUID, change: ClassChange
    ) -> ClassRecord:
        """Change a class. Raises ClassNotFoundError."""
        record = self._store.class_of(caller.user_id, class_id)
        changed = changed_class(record, change)
        if changed is None:
            return self._counted(record)
        changed = replace(changed, version=record.version + 1, updated_at=self._store.now())
        self._store.classes[class_id] = changed
        self._store.publish(roster_events.class_updated(caller, changed))
        return self._counted(changed)

    async def delete_class(self, caller: Caller, class_id: UUID) -> None:
        """Delete a class with its enrolments and pending associations.

        Raises ClassNotFoundError.
        """
        self._store.class_of(caller.user_id, class_id)
        withdraw(self._store, class_id, caller.trace)
        self._store.drop_class(class_id)
        self._store.publish(roster_events.class_deleted(caller, class_id))

    async def roster(self, class_id: UUID, owner_id: str | None) -> list[StudentRecord]:
        """Return a class's students by name. Raises ClassNotFoundError."""
        if owner_id is not None:
            self._store.class_of(owner_id, class_id)
        elif class_id not in self._store.classes:
            raise ClassNotFoundError
        return self._students(class_id)

    async def create_students(
        self, requests: Sequence[CreateStudent]
    ) -> list[StudentRecord | ServiceError]:
        """Make students and enrol them, each for itself."""
        return [self._create_student(request) for request in requests]

    async def get_student(self, owner_id: str, student_id: UUID) -> StudentRecord:
        """Return a student. Raises StudentNotFoundError."""
        record = self._store.students.get(student_id)
        if record is None or record.owner_id != owner_id:
            raise StudentNotFoundError
        return record

    async def update_student(
        self, caller: Caller, student_id: UUID, change: StudentChange
    ) -> StudentRecord:
        """Change a student.

        Raises StudentNotFoundError, ClassNotFoundError, EmailConflictError.
        """
        record = await self.get_student(caller.user_id, student_id)
        joined = self._store.classes_of(caller.user_id, change.add_class_ids)
        self._store.classes_of(caller.user_id, change.remove_class_ids)
        diff = changed_student(record, change)
        if diff is None:
            return record
        self._refuse_taken_email(diff.record)
        changed = self._apply(diff)
        added = [cls for cls in joined if cls.id in diff.joins]
        self._store.publish(roster_events.student_updated(caller, changed, added, diff.leaves))
        return changed

    async def delete_student(self, caller: Caller, student_id: UUID) -> None:
        """Delete a student; its pending associations stay, unmatched.

        Raises StudentNotFoundError.
        """
        await self.get_student(caller.user_id, student_id)
        for association in self._store.associations.values():
            self._store.associations[association.essay_id] = _without(association, student_id)
        self._store.drop_student(student_id)
        self._store.publish(roster_events.student_deleted(caller, student_id))

    def _create_class(self, request: CreateClass) -> ClassRecord | ServiceError:
        caller, new = request.caller, request.new
        existing = self._store.classes.get(new.id)
        if existing is not None:
            same_owner = existing.owner_id == caller.user_id
            return self._counted(existing) if same_owner else ClassNotFoundError()
        now = self._store.now()
        record = ClassRecord(new.id, caller.user_id, new.name, new.course_code, 0, 1, now, now)
        self._store.classes[new.id] = record
        self._store.publish(roster_events.class_created(caller, new))
        return record

    def _create_student(self, request: CreateStudent) -> StudentRecord | ServiceError:
        caller, new = request.caller, request.new
        existing = self._store.students.get(new.id)
        if existing is not None:
            return existing if existing.owner_id == caller.user_id else StudentNotFoundError()
        try:
            classes = self._store.classes_of(caller.user_id, new.class_ids)
        except ClassNotFoundError as refusal:
            return refusal
        if new.email is not None and self._store.email_holder(caller.user_id, new.email):
            return EmailConflictError()
        self._store.add_student(caller, new, classes)
        return self._store.students[new.id]

    def _apply(self, diff: StudentDiff) -> StudentRecord:
        changed = replace(
            diff.record, version=diff.record.version + 1, updated_at=self._store.now()
        )
        self._store.put_student(changed)
        return changed

    def _refuse_taken_email(self, student: StudentRecord) -> None:
        if student.email is None:
            return
        holder = self._store.email_holder(student.owner_id, student.email)
        if holder not in (None, student.id):
            raise EmailConflictError

    def _counted(self, record: ClassRecord) -> ClassRecord:
        return replace(record, student_count=len(self._store.members(record.id)))

    def _students(self, class_id: UUID) -> list[StudentRecord]:
        students = [self._store.students[s] for s in self._store.members(class_id)]
        return sorted(students, key=lambda s: (s.name.last_name, s.name.first_name, s.id))


def _without(association: Association, student_id: UUID) -> Association:
    """Return an association as it is once a student is gone."""
    if student_id not in (association.suggested_student_id, association.student_id):
        return association
    suggested, decided = association.suggested_student_id, association.student_id
    if association.pending:
        return replace(association, suggested_student_id=None, confidence=0.0, match_reasons=())
    return replace(
        association,
        suggested_student_id=None if suggested == student_id else suggested,
        student_id=None if decided == student_id else decided,
    )
