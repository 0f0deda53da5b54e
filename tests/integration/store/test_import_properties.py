"""Imports, hand edits and undos in any order: both stores do what the plans say, and the same."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.errors import ServiceError
from rules.ids import new_id
from rules.imports.files import FileClass, FileContents, FilePerson, FileRow, Format, Wish
from rules.imports.planning import make_plan
from rules.imports.plans import ImportRecord, Mode, Plan, PlannedRow, PlanOptions, RosterState
from rules.imports.undoing import make_undo
from rules.models import (
    ClassChange,
    EmailChange,
    ExternalIdChange,
    PersonName,
    Policy,
    StudentChange,
)
from store.protocols.imports import NewImport
from tests.integration.store.builders import (
    A_DAY,
    SOON,
    Stores,
    caller,
    deliver,
    make_student,
    new_student,
    result,
    store_one,
    suggest,
)
from tests.support import past
from tests.support.imports import all_rows, begun
from tests.support.profiles import by_profile
from tests.support.roster_states import apply
from tests.support.stores import memory_stores, postgres_stores

TEACHER: Final = caller()
OWNER: Final = TEACHER.user_id
NAMES: Final = [PersonName(f, m, f"{f} {m}") for f in ("Anna", "Bo") for m in ("Ek", "Berg")]
EMAILS: Final = ["a@x.se", "A@x.se", "b@x.se", "c@x.se"]
IDS: Final = ["1", "2", "3"]
Ids: TypeAlias = tuple[UUID, UUID]
A_TIME: Final = datetime(2026, 11, 20, tzinfo=UTC)
CLASS_NAMES: Final = ["9A", "9B", "9C"]

picks = st.integers(0, 1000)
people = st.builds(
    FilePerson,
    external_id=st.sampled_from([None, *IDS]),
    name=st.sampled_from(NAMES),
    email=st.sampled_from([None, *EMAILS]),
)
wishes = st.sampled_from([Wish.KEEP] * 6 + [Wish.LEAVE, Wish.DELETE])
lines = st.lists(st.tuples(people, st.sampled_from(CLASS_NAMES), wishes), max_size=6)


@dataclass(frozen=True, slots=True)
class Edit:
    """What a person changes by hand."""

    what: str
    pick: int
    other: int
    name: PersonName
    email: str | None
    external_id: str | None


edits = st.builds(
    Edit,
    what=st.sampled_from(
        ["change"] * 3
        + ["create", "delete", "join", "leave", "merge", "decide"]
        + ["rename"] * 2
        + ["delete class"]
    ),
    pick=picks,
    other=picks,
    name=st.sampled_from(NAMES),
    email=st.sampled_from([None, *EMAILS]),
    external_id=st.sampled_from([None, *IDS]),
)


@dataclass(frozen=True, slots=True)
class Import:
    """A file that is imported; `meanwhile` is done between the 202 and the first class."""

    lines: Sequence[tuple[FilePerson, str, Wish]]
    options: PlanOptions
    is_delta: bool
    meanwhile: Edit | None


@dataclass(frozen=True, slots=True)
class Undo:
    """An import is taken back."""

    pick: int
    meanwhile: Edit | None


seldom = st.none() | st.none() | edits
imports = st.builds(
    Import,
    lines=lines,
    options=st.builds(PlanOptions, mode=st.sampled_from(Mode), overwrite=st.booleans()),
    is_delta=st.booleans(),
    meanwhile=seldom,
)
stories = st.lists(
    imports | imports | edits | st.builds(Undo, picks, seldom),
    min_size=1,
    max_size=by_profile(short=6, long=12),
)


def file_of(some: Import) -> FileContents:
    """Return a file; only a delta wishes that somebody leaves."""
    rows = tuple(
        FileRow(line, person, name if wish is not Wish.DELETE else None, wish)
        for line, (person, name, wish) in enumerate(some.lines, 2)
        if some.is_delta or wish is Wish.KEEP
    )
    named = dict.fromkeys(row.class_key for row in rows if row.class_key)
    classes = tuple(FileClass(name, 1, name, course_code="SV1") for name in named)
    form = Format.ONEROSTER if some.is_delta else Format.CSV
    return FileContents(form, classes, rows, is_delta=some.is_delta)


def unversioned(state: RosterState) -> RosterState:
    """Return what a plan says of a state."""
    return RosterState(
        {i: replace(one, version=0) for i, one in state.classes.items()},
        {i: replace(one, version=0) for i, one in state.students.items()},
    )


@dataclass(slots=True)
class Story:
    """Both stores, to which the same happens."""

    sides: tuple[Stores, ...]
    applied: list[UUID] = field(default_factory=list)

    async def state(self) -> RosterState:
        """Return the state, which is the same on both sides."""
        first, second = [await one.imports.roster_state(OWNER, None) for one in self.sides]
        assert first == second
        return first

    async def happens(self, what: Edit | Import | Undo) -> None:
        """Do something on both sides."""
        state = await self.state()
        if isinstance(what, Edit):
            await self.edit(what, state)
        elif isinstance(what, Undo):
            await self.undo(what, state)
        else:
            plan = make_plan(file_of(what), state, what.options)
            await self.apply(plan, what.options.mode, state, what.meanwhile)
        await self.check_told()

    async def edit(self, edit: Edit, state: RosterState) -> None:
        ids = new_id(), new_id()
        outcomes = [str(await edited(one, edit, state, ids)) for one in self.sides]
        assert outcomes[0] == outcomes[1]

    async def undo(self, undo: Undo, state: RosterState) -> None:
        if not self.applied:
            return
        import_id = self.applied[undo.pick % len(self.applied)]
        first, second = [await one.imports.applied_rows(OWNER, import_id) for one in self.sides]
        assert first == second
        await self.apply(make_undo(first, state), Mode.ADD, state, undo.meanwhile, import_id)

    async def apply(
        self,
        plan: Plan,
        mode: Mode,
        state: RosterState,
        meanwhile: Edit | None,
        undoes: UUID | None = None,
    ) -> None:
        """Apply a plan, of which parts with errors are skipped."""
        new = NewImport(new_id(), mode, plan, undoes=undoes)
        records = [await one.imports.add_import(TEACHER, new) for one in self.sides]
        for side, record in zip(self.sides, records, strict=True):
            await begun(side.imports, TEACHER, record, force=True, skip_errors=True)
        if meanwhile is not None:
            await self.edit(meanwhile, state)
        steps = [await stepped(side) for side in self.sides]
        assert steps[0] == steps[1]
        done = [await side.imports.get_import(OWNER, new.id) for side in self.sides]
        assert seen(done[0]) == seen(done[1])
        if done[0].state.value == "applied":
            self.applied.append(new.id)
        await self.check_rows(new.id, plan.rows)
        after = await self.state()
        if meanwhile is None:
            expected = apply(plan, state, is_undo=undoes is not None)
            assert unversioned(after) == unversioned(expected)

    async def check_rows(self, import_id: UUID, planned: Sequence[PlannedRow]) -> None:
        first, second = [await all_rows(one.imports, OWNER, import_id) for one in self.sides]
        assert first == second
        assert len(first) == len(planned)

    async def check_told(self) -> None:
        """Check that both sides have published the same."""
        first, second = [await told(one) for one in self.sides]
        assert first == second


async def told(stores: Stores) -> Counter[str]:
    """Return what was published, without what differs each time."""
    return Counter(
        f"{one.topic} {one.key} {orjson.dumps(_lasting(one.data)).decode()}"
        for one in await stores.published()
    )


def _lasting(data: dict[str, Any]) -> dict[str, Any]:
    left_out = {"timestamp", "correlation_id", "processing_timestamp", "armed_at", "confirm_by"}
    left_out |= {"deadline_timestamp", "associations", "batch_id", "entity_id"}
    kept = {name: value for name, value in data.items() if name not in left_out}
    return {name: _lasting(v) if isinstance(v, dict) else v for name, v in kept.items()}


async def stepped(stores: Stores) -> list[tuple[str, bool]]:
    """Apply all, and return what became of each step."""
    steps = []
    while step := await stores.imports.step():
        assert step.error is None
        steps.append((str(step.left_out), step.applied))
    return steps


def seen(record: ImportRecord) -> ImportRecord:
    """Return an import without the clock of its store."""
    return replace(record, created_at=A_TIME, expires_at=A_TIME)


async def edited(stores: Stores, edit: Edit, state: RosterState, ids: Ids) -> object:
    """Change something by hand; return the refusal, or None."""
    students, classes = sorted(state.students), sorted(state.classes)
    repository = stores.classes
    try:
        if edit.what == "create":
            class_ids = [classes[edit.pick % len(classes)]] if classes else []
            wanted = replace(
                new_student(
                    edit.name.first_name, edit.name.last_name, edit.email, class_ids, ids[0]
                ),
                external_id=edit.external_id,
            )
            with suppress(AssertionError):
                await make_student(stores, TEACHER, wanted)
        elif classes and edit.what in {"rename", "delete class"}:
            class_id = classes[edit.pick % len(classes)]
            if edit.what == "rename":
                change = ClassChange(f"9{edit.other % 3}")
                await repository.update_class(TEACHER, class_id, change)
            else:
                await repository.delete_class(TEACHER, class_id)
        elif students:
            student_id = students[edit.pick % len(students)]
            await edited_student(stores, edit, state, student_id, ids)
    except ServiceError as refusal:
        return type(refusal).__name__
    return None


async def edited_student(
    stores: Stores, edit: Edit, state: RosterState, student_id: UUID, ids: Ids
) -> None:
    students, classes = sorted(state.students), sorted(state.classes)
    own = sorted(state.students[student_id].class_ids)
    repository = stores.classes
    if edit.what == "change":
        change = StudentChange(
            edit.name, EmailChange(edit.email), external_id=ExternalIdChange(edit.external_id)
        )
        await repository.update_student(TEACHER, student_id, change)
    elif edit.what == "delete":
        await repository.delete_student(TEACHER, student_id)
    elif edit.what == "merge":
        await repository.merge_students(TEACHER, student_id, students[edit.other % len(students)])
    elif edit.what == "join" and classes:
        change = StudentChange(add_class_ids=(classes[edit.other % len(classes)],))
        await repository.update_student(TEACHER, student_id, change)
    elif edit.what == "leave" and own:
        change = StudentChange(remove_class_ids=(own[edit.other % len(own)],))
        await repository.update_student(TEACHER, student_id, change)
    elif edit.what == "decide" and own:
        await decided(stores, own[edit.other % len(own)], student_id, ids)


async def decided(stores: Stores, class_id: UUID, student_id: UUID, ids: Ids) -> None:
    """Have the clock decide an essay for a student."""
    essay = result(suggest(student_id), essay_id=ids[1])
    await store_one(stores, deliver(class_id, essay, batch_id=ids[0]))
    await stores.elapse(A_DAY + SOON)
    await stores.timers.decide_due(await stores.timers.overdue(100, 0))


@pytest.mark.long
@settings(max_examples=by_profile(short=25, long=400), deadline=None)
@given(stories)
def test_whatever_happens_both_stores_do_what_the_plans_say(
    migrated_database: str, story: list[Edit | Import | Undo]
) -> None:
    async def run() -> None:
        policy = Policy()
        async with (
            memory_stores(policy) as memory,
            postgres_stores(migrated_database, policy) as postgres,
        ):
            both = Story((memory, postgres))
            for what in story:
                await both.happens(what)
            for side in both.sides:
                await past.check(side.past)

    asyncio.run(run())
