"""Imports, in memory."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice
from uuid import UUID

from rules.changes import NewClassRequest, NewStudentRequest
from rules.conditions import Condition
from rules.emails import key_of
from rules.errors import (
    ImportNotFoundError,
    PreconditionFailedError,
    ServiceError,
)
from rules.imports.applying import (
    ENDED_KEPT,
    PLAN_KEPT,
    Facts,
    LeftOut,
    LeftOutError,
    Part,
    Step,
    changes_of,
    check_applicable,
    check_undoable,
    kept_by_hand,
    make_step,
    tell_changed,
)
from rules.imports.fingerprints import fingerprint, resting_students
from rules.imports.plans import (
    ClassPlan,
    ClassState,
    ImportRecord,
    ImportState,
    PlannedRow,
    RosterState,
    RowKind,
    StudentState,
)
from rules.models import Caller
from rules.tags import import_tag
from store.memory import roster, students
from store.memory.state import MemoryStore, StoredImport, StoredPart
from store.memory.trials import OnTrial
from store.protocols.imports import (
    ApplyOptions,
    ImportPage,
    ImportQuery,
    NewImport,
    RowPage,
    RowQuery,
    Stepped,
    StoredRow,
    Waiting,
)


class MemoryImports(OnTrial):
    """Implements ImportsProtocol."""

    async def roster_state(self, owner_id: str, class_id: UUID | None) -> RosterState:
        if class_id is not None:
            self._store.class_of(owner_id, class_id)
        return _state(self._store, owner_id)

    async def add_import(self, caller: Caller, new: NewImport) -> ImportRecord:
        now = self._store.now()
        record = ImportRecord(
            id=new.id,
            owner_id=caller.user_id,
            state=ImportState.PLANNED,
            mode=new.mode,
            class_id=new.class_id,
            summary=new.plan.summary,
            progress=0.0,
            version=1,
            created_at=now,
            expires_at=now + PLAN_KEPT,
            undoes=new.undoes,
            filename=new.filename,
            is_large=any(one.is_large for one in new.plan.classes),
        )
        parts = tuple(StoredPart(plan) for plan in new.plan.classes)
        self._store.imports[new.id] = StoredImport(record, parts, tuple(new.plan.rows), caller)
        return record

    async def get_import(self, owner_id: str, import_id: UUID) -> ImportRecord:
        return self._found(owner_id, import_id).record

    async def list_imports(self, owner_id: str, query: ImportQuery) -> ImportPage:
        own = [self._found(owner_id, i).record for i in self._ids_of(owner_id)]
        own.sort(key=_place, reverse=True)
        behind = (one for one in own if query.after is None or _place(one) < query.after)
        found = tuple(islice(behind, query.limit + 1))
        return ImportPage(found[: query.limit], len(found) > query.limit)

    async def import_rows(self, owner_id: str, import_id: UUID, query: RowQuery) -> RowPage:
        stored = self._found(owner_id, import_id)
        out = {p.plan.class_id for p in stored.parts if p.left_out is not None}
        rows = (
            StoredRow(number, row, row.class_id in out)
            for number, row in enumerate(stored.rows, start=1)
            if number > query.after and query.wants(row)
        )
        found = tuple(islice(rows, query.limit + 1))
        return RowPage(found[: query.limit], len(found) > query.limit)

    async def applied_rows(self, owner_id: str, import_id: UUID) -> list[PlannedRow]:
        stored = self._found(owner_id, import_id)
        check_undoable(stored.record.state)
        done = {p.plan.class_id for p in stored.parts if p.done}
        return [r for r in stored.rows if r.class_id in done and r.kind is not RowKind.ERROR]

    async def apply_import(
        self, caller: Caller, import_id: UUID, options: ApplyOptions, condition: Condition
    ) -> ImportRecord:
        stored = self._found(caller.user_id, import_id)
        condition.check(import_tag(stored.record))
        check_applicable(
            stored.record.state,
            [part.plan for part in stored.parts],
            stored.record.summary.errors,
            force=options.force,
            skip_errors=options.skip_errors,
        )
        parts = tuple(
            replace(p, left_out=LeftOut.ERRORS) if p.plan.has_errors else p for p in stored.parts
        )
        self._check_unmoved(caller.user_id, stored, parts)
        record = replace(stored.record, state=ImportState.APPLYING)
        return self._keep(replace(stored, record=record, parts=parts, caller=caller)).record

    async def apply_next(self) -> bool:
        return await self.step() is not None

    async def step(self) -> Stepped | None:
        applying = [
            one for one in self._store.imports.values() if one.record.state is ImportState.APPLYING
        ]
        if not applying:
            return None
        stored = min(applying, key=lambda one: one.stepped)
        index = next((i for i, part in enumerate(stored.parts) if part.pending), None)
        if index is None:
            return self._ended(stored)
        part = stored.parts[index]
        try:
            rows = _apply(self._store, stored, part.plan)
            part, stored = replace(part, done=True), replace(stored, rows=rows)
        except LeftOutError as error:
            part = replace(part, left_out=error.reason)
        parts = (*stored.parts[:index], part, *stored.parts[index + 1 :])
        last = max(one.stepped for one in self._store.imports.values())
        stored = replace(stored, parts=parts, stepped=last + 1)
        if not any(one.pending for one in parts):
            return self._ended(stored, part)
        stored = self._keep(stored)
        return Stepped(stored.record, stored.caller.trace, part.left_out, applied=part.done)

    async def waiting(self) -> Waiting:
        found = self._store.imports.values()
        return Waiting(sum(one.record.state is ImportState.APPLYING for one in found), 0.0)

    async def expire_imports(self) -> int:
        now, imports = self._store.now(), self._store.imports
        expired = 0
        for import_id, stored in list(imports.items()):
            record = stored.record
            if record.state is ImportState.PLANNED and record.expires_at <= now:
                ended = replace(record, state=ImportState.EXPIRED, version=record.version + 1)
                imports[import_id] = StoredImport(ended, (), (), stored.caller, now)
                expired += 1
            elif stored.ended_at is not None and stored.ended_at + ENDED_KEPT <= now:
                del imports[import_id]
        return expired

    async def wait(self, timeout_seconds: float) -> None:
        await self._store.applying.wait(timeout_seconds)

    def _ids_of(self, owner_id: str) -> list[UUID]:
        imports = self._store.imports.items()
        return [import_id for import_id, one in imports if one.record.owner_id == owner_id]

    def _found(self, owner_id: str, import_id: UUID) -> StoredImport:
        """Return an import as it is seen now: it may have expired, or have been taken back."""
        stored = self._store.imports.get(import_id)
        if stored is None or stored.record.owner_id != owner_id:
            raise ImportNotFoundError
        record = stored.record
        if record.state is ImportState.PLANNED and record.expires_at <= self._store.now():
            return replace(stored, record=replace(record, state=ImportState.EXPIRED))
        return replace(stored, record=replace(record, undone_by=self._undoing(import_id)))

    def _undoing(self, import_id: UUID) -> UUID | None:
        """Return the latest import that takes one back, if one has been or is being applied."""
        begun = ImportState.APPLYING, ImportState.APPLIED
        undoing = [
            one.record
            for one in self._store.imports.values()
            if one.record.undoes == import_id and one.record.state in begun
        ]
        return max(undoing, key=_place).id if undoing else None

    def _check_unmoved(
        self, owner_id: str, stored: StoredImport, parts: Iterable[StoredPart]
    ) -> None:
        state, resting = _state(self._store, owner_id), resting_students(stored.rows)
        for part in parts:
            plan = part.plan
            ids = resting.get(plan.class_id, frozenset[UUID]())
            if part.pending and fingerprint(state, plan.class_id, ids) != plan.fingerprint:
                raise PreconditionFailedError

    def _keep(self, stored: StoredImport) -> StoredImport:
        """Store an import that has changed, with its progress."""
        record = stored.record
        counts = Counter(row.class_id for row in stored.rows)
        over = sum(counts[one.plan.class_id] for one in stored.parts if not one.pending)
        total = sum(counts[one.plan.class_id] for one in stored.parts)
        kept = replace(
            stored,
            record=replace(
                record,
                version=record.version + 1,
                progress=1.0 if record.state is ImportState.APPLIED else _share(over, total),
                left_out=tuple(
                    one.plan.class_id
                    for one in stored.parts
                    if one.left_out is not None and one.plan.class_id is not None
                ),
            ),
        )
        self._store.imports[record.id] = kept
        self._store.applying.set()
        return kept

    def _ended(self, stored: StoredImport, part: StoredPart | None = None) -> Stepped:
        is_applied = any(one.done for one in stored.parts) or not stored.parts
        now = self._store.now()
        record = replace(
            stored.record,
            state=ImportState.APPLIED if is_applied else ImportState.FAILED,
            expires_at=now + ENDED_KEPT,
        )
        kept = self._keep(replace(stored, record=record, ended_at=now))
        left_out = part.left_out if part else None
        applied = bool(part and part.done)
        return Stepped(kept.record, kept.caller.trace, left_out, applied=applied)


def _share(over: int, total: int) -> float:
    return over / total if total else 0.0


def _place(record: ImportRecord) -> tuple[datetime, UUID]:
    return record.created_at, record.id


def _state(store: MemoryStore, owner_id: str) -> RosterState:
    """Return all classes and students of an owner."""
    decided = {one.student_id for one in store.associations.values() if not one.pending}
    classes = {
        one.id: ClassState(
            one.id,
            one.name,
            one.course_code,
            one.external_id,
            one.version,
            store.pupils(one.id),
            store.import_members.get(one.id),
            store.import_class_marks.get(one.id),
        )
        for one in store.classes.values()
        if one.owner_id == owner_id
    }
    found = {
        one.id: StudentState(
            one.id,
            one.name,
            one.email,
            one.external_id,
            one.version,
            frozenset(one.class_ids),
            store.import_marks.get(one.id),
            decided=one.id in decided,
        )
        for one in store.students.values()
        if one.owner_id == owner_id and not one.is_placeholder
    }
    return RosterState(classes, found)


def _part(stored: StoredImport, plan: ClassPlan) -> Part:
    rows = [row for row in stored.rows if row.class_id == plan.class_id]
    made = {
        row.student_id: row
        for row in stored.rows
        if row.kind is RowKind.CREATED and row.student_id and row.class_id != plan.class_id
    }
    resting = resting_students(stored.rows).get(plan.class_id, frozenset())
    is_undo = stored.record.undoes is not None
    return Part(plan, rows, resting, made, kept_by_hand(stored.rows, is_undo=is_undo))


def _apply(store: MemoryStore, stored: StoredImport, plan: ClassPlan) -> tuple[PlannedRow, ...]:
    """Apply a class's part; return the rows as they are then. Raises LeftOutError."""
    owner_id, part = stored.record.owner_id, _part(stored, plan)
    records = {
        one: store.students[one]
        for one in part.student_ids
        if one in store.students and store.students[one].owner_id == owner_id
    }
    cls = None if plan.class_id is None else store.classes.get(plan.class_id)
    step = make_step(part, Facts(cls, _state(store, owner_id), records))
    _check_unique(store, stored.caller, step)
    _carry_out(store, stored.caller, step)
    return tuple(_as_applied(row, step, part) for row in stored.rows)


def _as_applied(row: PlannedRow, step: Step, part: Part) -> PlannedRow:
    """Return a row; one whose student another part was to create has created it."""
    is_of_part = row.class_id == step.class_id and row.kind is RowKind.JOINED
    if not is_of_part or row.student_id not in step.created_here:
        return row
    return replace(row, kind=RowKind.CREATED, after=part.made[row.student_id].after)


def _check_unique(store: MemoryStore, caller: Caller, step: Step) -> None:
    """Check that addresses and external ids are free. Raises LeftOutError."""
    changing = {one.before.id for one in step.changed} | {one.id for one in step.deleted}
    taken = _Taken(store, caller.user_id, changing)
    for one in step.changed:
        taken.take(one.after.email, one.after.external_id)
    for new in step.created:
        taken.take(new.email, new.external_id)


class _Taken:
    """The addresses and external ids of an owner's students, some of whom change."""

    def __init__(self, store: MemoryStore, owner_id: str, changing: Iterable[UUID]) -> None:
        self._store = store
        self._owner_id = owner_id
        self._changing = frozenset(changing)
        self._emails: set[str] = set()
        self._called: set[str] = set()

    def take(self, email: str | None, external_id: str | None) -> None:
        """Raise LeftOutError if somebody else has one of them."""
        if email is not None:
            holder = self._store.email_holder(self._owner_id, email)
            self._take(key_of(email), holder, self._emails)
        if external_id is not None:
            holder = self._store.student_called(self._owner_id, external_id)
            self._take(external_id, holder, self._called)

    def _take(self, value: str, holder: UUID | None, taken: set[str]) -> None:
        if value in taken or (holder is not None and holder not in self._changing):
            raise LeftOutError(LeftOut.CONFLICT)
        taken.add(value)


def _carry_out(store: MemoryStore, caller: Caller, step: Step) -> None:
    try:
        _carry_out_class(store, caller, step)
    except ServiceError as error:
        raise LeftOutError(LeftOut.CONFLICT) from error
    class_id = step.class_id
    cls = None if class_id is None else store.classes[class_id].summary
    now = store.now()
    for gone in step.deleted:
        roster.delete_student(store, caller, gone.id)
    for one in step.changed:
        store.drop_student(one.before.id)
    for one in step.changed:
        after = replace(one.after, updated_at=now)
        store.put_student(after)
        store.remember(changes_of(caller, replace(one, after=after)))
        store.publish(tell_changed(caller, one, cls, now))
        roster.withdraw(store, caller, one.before.id, one.leaves)
    for new in step.created:
        students.add_student(store, NewStudentRequest(caller, new), [cls] if cls else [])
    store.import_marks.update(step.marks)
    if class_id is not None and step.members is not None:
        store.import_members[class_id] = step.members
    if class_id is not None and step.class_mark is not None:
        store.import_class_marks[class_id] = step.class_mark


def _carry_out_class(store: MemoryStore, caller: Caller, step: Step) -> None:
    """Create or change the class. Raises ServiceError."""
    if step.new_class:
        made = roster.create_class(store, NewClassRequest(caller, step.new_class))
        if isinstance(made, ServiceError):
            raise made
    if step.class_change and step.class_id is not None:
        roster.update_class(store, caller, step.class_id, step.class_change)
