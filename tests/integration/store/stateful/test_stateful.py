"""Whatever is done in whatever order, both stores do what the contract's rules say.

A small model (model.py) knows the rules. Each step is done to it and to both stores: what they
answer and publish, and everything that can be asked for then, is the same. In the end time passes:
every batch that was accepted has told that it is closed, exactly once.
"""

# ruff: noqa: FBT001  # hypothesis gives values to rules by their names

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

import pytest
import uvloop
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rules.models import Policy
from tests.integration.store.stateful import operations
from tests.integration.store.stateful.model import TIMEOUT, Name, Proposed, School
from tests.integration.store.stateful.operations import Operation, Suggest, answered, expected
from tests.integration.store.stateful.sides import Side, Told, model_view
from tests.support import past
from tests.support.profiles import by_profile
from tests.support.stores import memory_stores, postgres_stores

OWNERS: Final = ("teacher-1", "teacher-2")
CLASSES: Final = [UUID(int=100 + i) for i in range(5)]
STUDENTS: Final = [UUID(int=200 + i) for i in range(8)]
BATCHES: Final = [UUID(int=300 + i) for i in range(12)]
ESSAYS: Final = [UUID(int=400 + i) for i in range(48)]
NAMES: Final[list[Name]] = [("Åsa", "Öberg"), ("Bo", "Ek"), ("Cher", "Li")]
EMAILS: Final = [None, "a@b.example", "A@B.example", "c@d.example"]
STEPS: Final = 50
EXAMPLES: Final = by_profile(short=8, long=180)

T = TypeVar("T")

numbers = st.integers(0, 15)
#: Mostly who may do it, sometimes another.
strangers = st.sampled_from([False] * 9 + [True])
names = st.sampled_from(NAMES)
emails = st.sampled_from(EMAILS)
some_numbers = st.lists(numbers, max_size=2, unique=True)
confidences = st.sampled_from([0.4, 0.69, 0.7, 0.9, 1.0])
#: An essay by its number, and students by theirs, with the confidence in each.
matches = st.lists(
    st.tuples(numbers, st.lists(st.tuples(numbers, confidences), max_size=3)), max_size=4
)
#: Of a decision: an essay, whether confirmed, and a student; None for none.
choices = st.lists(st.tuples(numbers, st.booleans(), st.none() | numbers), max_size=3)


def nth(found: Sequence[T], number: int) -> T:
    return found[number % len(found)]


class BothStores(RuleBasedStateMachine):
    """Does anything to the model and to both stores."""

    #: How many steps were compared, over all examples.
    steps = 0
    dsn: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.open = AsyncExitStack()
        self.school = School()
        self.sides: list[Side] = []
        self.sent: list[Suggest] = []
        self.closed: Counter[object] = Counter()

    @initialize(auto=st.sampled_from([None, 0.95]))
    def begin(self, auto: float | None) -> None:
        self.school.auto = auto
        policy = Policy(auto_confirm=auto, suggestion_retry=timedelta(0))
        for stores in (memory_stores(policy), postgres_stores(self.dsn, policy)):
            self.sides.append(Side(self.runner.run(self.open.enter_async_context(stores))))
        for number, owner in enumerate(OWNERS):
            klass, *students = CLASSES[number], *STUDENTS[3 * number : 3 * number + 3]
            self.do(operations.CreateClass(owner, klass, "9A", "SV1"))
            for student, name in zip(students, NAMES, strict=True):
                self.do(operations.CreateStudent(owner, student, name, None, (klass,)))
            proposed = [[(students[0], 0.9), (students[1], 0.5)], [(students[1], 0.4)], []]
            essays = ESSAYS[3 * number : 3 * number + 3]
            self.send(BATCHES[number], klass, list(zip(essays, proposed, strict=True)))
            decision = (essays[0], True, students[0])
            self.do(operations.Confirm(owner, BATCHES[number], (decision,), None, by_command=False))
            whom = students[1]
            self.do(operations.Correct(owner, BATCHES[number], essays[0], whom, by_command=False))

    def teardown(self) -> None:
        try:
            if self.sides and not self.failed:
                self.at_the_end()
        finally:
            self.runner.run(self.open.aclose())
            self.runner.close()

    # --- each step ------------------------------------------------------------------------------

    failed = False

    def do(self, operation: Operation) -> None:
        """Do something everywhere; what follows from it is the same."""
        self.failed = True  # unless this method ends
        wanted = expected(operation, self.school)
        told = self.school.take_told()
        view = model_view(OWNERS, self.school)
        for side in self.sides:
            self.runner.run(self.compare(side, operation, wanted, told, view))
        self.closed.update(one[1] for one in told if one[0] == "batch.confirmed")
        type(self).steps += 1
        self.failed = False

    async def compare(
        self,
        side: Side,
        operation: Operation,
        wanted: object,
        told: Sequence[Told],
        view: dict[str, object],
    ) -> None:
        answer = await answered(operation, side)
        published, letters = await side.take_told(self.school)
        if answer == "dead_lettered":
            [answer] = letters
        assert answer == wanted
        assert Counter(published) == Counter(told)
        assert await side.view(OWNERS, self.school) == view

    def at_the_end(self) -> None:
        """Let time pass: what was accepted closes, once, and the past explains what there is."""
        self.do(operations.Elapse(TIMEOUT))
        self.do(operations.DecideDue(tuple(self.school.batches)))
        self.do(operations.Settle())
        assert self.closed == Counter(self.school.batches.keys())
        in_memory, on_postgres = (self.runner.run(side.remembered()) for side in self.sides)
        for entity in in_memory | on_postgres:
            assert in_memory.get(entity) == on_postgres.get(entity)
        for side in self.sides:
            self.runner.run(past.check(side.stores.past))

    # --- who and what ---------------------------------------------------------------------------

    def owner(self, class_id: UUID, *, stranger: bool) -> str:
        """Return whose class it is, or the other teacher."""
        klass = self.school.classes.get(class_id)
        owner = klass.owner if klass else OWNERS[0]
        return OWNERS[1 - OWNERS.index(owner)] if stranger else owner

    def teacher(self, student_id: UUID, *, stranger: bool) -> str:
        pupil = self.school.pupils.get(student_id)
        owner = pupil.owner if pupil else self.school.owner_of_unknown(student_id) or OWNERS[0]
        return OWNERS[1 - OWNERS.index(owner)] if stranger else owner

    def a_student(self, number: int) -> UUID:
        """Return a student, mostly one that is there, or the UNKNOWN one of a class."""
        unknown = [k.unknown for k in self.school.classes.values() if k.unknown]
        return nth([*self.school.pupils, *unknown, nth(STUDENTS, number)], number)

    def a_class(self, number: int) -> UUID:
        """Return a class, mostly one that is there."""
        return nth([*self.school.classes, nth(CLASSES, number)], number)

    def a_member(self, batch_id: UUID, number: int) -> UUID:
        """Return a student of a batch's class, or one who may be elsewhere."""
        batch = self.school.batches[batch_id]
        members = sorted(self.school.members(batch.class_id)) or STUDENTS
        return nth([*members, nth(STUDENTS, number)], number)

    def a_batch(self, number: int, *, decided: bool = False) -> tuple[UUID, UUID]:
        """Return a batch and its class: mostly one with essays that are pending, or decided."""
        batches = dict(reversed(self.school.batches.items()))
        fitting = [
            batch_id
            for batch_id, batch in batches.items()
            if not batch.deleted_by and any(e.pending != decided for e in batch.essays.values())
        ]
        # What the clock decided of a batch that is open yet is rare, and has rules of its own.
        rare = [i for i in fitting if decided and batches[i].pending and self.by_clock(i)]
        batch_id = nth([*rare, *rare, *fitting, *fitting, *batches], number)
        return batch_id, batches[batch_id].class_id

    def by_clock(self, batch_id: UUID) -> list[UUID]:
        """Return the essays of a batch that the clock has decided."""
        essays = self.school.batches[batch_id].essays
        return [one for one, essay in essays.items() if essay.method == "timeout"]

    def an_essay(self, batch_id: UUID, number: int, *, decided: bool = False) -> UUID:
        """Return an essay of a batch, mostly pending, or decided; seldom another's."""
        own = self.school.batches[batch_id].essays
        fitting = [one for one, essay in own.items() if essay.pending != decided]
        rare = self.by_clock(batch_id) if decided else []
        return nth([*rare, *fitting, *fitting, *own, nth(ESSAYS, number)], number)

    # --- classes and students -------------------------------------------------------------------

    @precondition(lambda self: len(self.school.classes) < len(CLASSES))
    @rule(index=numbers, teacher=st.sampled_from(OWNERS), course=st.sampled_from(["SV1", "SV2"]))
    def create_class(self, index: int, teacher: str, course: str) -> None:
        self.do(operations.CreateClass(teacher, nth(CLASSES, index), "9A", course))

    @rule(index=numbers, name=st.sampled_from(["9A", "9B"]), stranger=strangers)
    def update_class(self, index: int, name: str, stranger: bool) -> None:
        klass = self.a_class(index)
        self.do(operations.UpdateClass(self.owner(klass, stranger=stranger), klass, name))

    @rule(index=numbers, stranger=strangers)
    def delete_class(self, index: int, stranger: bool) -> None:
        klass = self.a_class(index)
        self.do(operations.DeleteClass(self.owner(klass, stranger=stranger), klass))

    @rule(
        index=numbers, teacher=st.sampled_from(OWNERS), name=names, email=emails, joins=some_numbers
    )
    def create_student(
        self, index: int, teacher: str, name: Name, email: str | None, joins: list[int]
    ) -> None:
        """Create one as over HTTP, where its id is always a new one."""
        free = [one for one in STUDENTS if one not in self.school.pupils]
        if free:
            own = self.joined(teacher, joins)
            self.do(operations.CreateStudent(teacher, nth(free, index), name, email, own))

    def joined(self, owner: str, joins: Sequence[int]) -> tuple[UUID, ...]:
        """Return classes, mostly of this teacher."""
        own = [i for i, klass in self.school.classes.items() if klass.owner == owner]
        return tuple(dict.fromkeys(nth([*own, *own, *own, nth(CLASSES, j)], j) for j in joins))

    @rule(
        index=numbers,
        rows=st.lists(st.tuples(numbers, names, emails), min_size=1, max_size=2),
        stranger=strangers,
    )
    def register(
        self, index: int, rows: list[tuple[int, Name, str | None]], stranger: bool
    ) -> None:
        klass = self.a_class(index)
        # The same id twice is no roster, which the form of the command sees to.
        students = {nth(STUDENTS, number): (name, email) for number, name, email in rows}
        listed = tuple((student, *row) for student, row in students.items())
        owner = self.owner(klass, stranger=stranger)
        self.do(operations.Register(owner, klass, listed))

    @rule(
        index=numbers,
        name=st.none() | names,
        email=emails,
        joins=some_numbers,
        stranger=strangers,
    )
    def update_student(
        self,
        index: int,
        name: Name | None,
        email: str | None,
        joins: list[int],
        stranger: bool,
    ) -> None:
        student = self.a_student(index)
        owner = self.teacher(student, stranger=stranger)
        own = self.joined(owner, joins)
        self.do(operations.UpdateStudent(owner, student, name, email, own))

    @rule(index=numbers, number=numbers)
    def leave(self, index: int, number: int) -> None:
        student = self.a_student(index)
        pupil = self.school.pupils.get(student)
        classes = sorted(pupil.classes) if pupil else []
        owner = self.teacher(student, stranger=False)
        left = nth(classes or CLASSES, number)
        self.do(operations.UpdateStudent(owner, student, leaves=(left,)))

    @rule(index=numbers, stranger=strangers)
    def delete_student(self, index: int, stranger: bool) -> None:
        student = self.a_student(index)
        owner = self.teacher(student, stranger=stranger)
        self.do(operations.DeleteStudent(owner, student))

    @rule(index=numbers, other=numbers, by_command=st.booleans(), stranger=strangers)
    def merge(self, index: int, other: int, by_command: bool, stranger: bool) -> None:
        student = self.a_student(index)
        owner = self.teacher(student, stranger=stranger)
        own = [i for i, pupil in self.school.pupils.items() if pupil.owner == owner]
        into = nth([*own, *own, self.a_student(other)], other)
        self.do(operations.Merge(owner, student, into, by_command))

    # --- batches --------------------------------------------------------------------------------

    @rule(index=numbers, number=numbers, found=matches)
    def suggest(
        self, index: int, number: int, found: list[tuple[int, list[tuple[int, float]]]]
    ) -> None:
        """Send the suggestions of a new batch."""
        free = [one for one in BATCHES if one not in self.school.batches]
        if free:
            klass = self.a_class(index)
            self.send(nth(free, number), klass, self.matched(klass, found))

    @rule(
        number=numbers,
        index=numbers,
        found=matches,
        elsewhere=strangers,
    )
    def suggest_more(
        self,
        number: int,
        index: int,
        found: list[tuple[int, list[tuple[int, float]]]],
        elsewhere: bool,
    ) -> None:
        """Send more for a batch that is there, seldom with another class."""
        batch_id, class_id = self.a_batch(number)
        class_id = nth(CLASSES, index) if elsewhere else class_id
        self.send(batch_id, class_id, self.matched(class_id, found))

    def send(
        self, batch_id: UUID, class_id: UUID, results: list[tuple[UUID, list[Proposed]]]
    ) -> None:
        message = operations.message(batch_id, class_id, results)
        self.sent.append(message)
        self.do(message)

    def matched(
        self, class_id: UUID, found: list[tuple[int, list[tuple[int, float]]]]
    ) -> list[tuple[UUID, list[Proposed]]]:
        """Return match results: students of the class mostly, half of the essays new."""
        members = sorted(self.school.members(class_id))
        results = []
        for essay, proposed in found:
            students = [*members, *members, *STUDENTS]
            ones: list[Proposed] = [(nth(students, number), sure) for number, sure in proposed]
            own = list(dict(ones).items())
            taken = {e for batch in self.school.batches.values() for e in batch.essays}
            new = [e for e in ESSAYS if e not in taken]
            results.append((nth([*new[:6], *ESSAYS[:6]], essay), own))
        return results

    @precondition(lambda self: self.sent)
    @rule(number=numbers)
    def send_again(self, number: int) -> None:
        self.do(operations.Again(nth(self.sent, number)))

    @rule(
        number=numbers,
        chosen=choices,
        least=st.sampled_from([None, None, 0.4, 0.69, 0.7, 0.9]),
        by_command=st.booleans(),
        stranger=strangers,
    )
    def confirm(
        self,
        number: int,
        chosen: list[tuple[int, bool, int | None]],
        least: float | None,
        by_command: bool,
        stranger: bool,
    ) -> None:
        batch_id, class_id = self.a_batch(number)
        decisions = tuple(
            (
                self.an_essay(batch_id, essay),
                confirmed,
                None if student is None else self.a_member(batch_id, student),
            )
            for essay, confirmed, student in chosen
        )
        if not decisions and least is None:
            least = 0.5
        owner = self.owner(class_id, stranger=stranger)
        self.do(operations.Confirm(owner, batch_id, decisions, least, by_command))

    @rule(
        number=numbers,
        essay=numbers,
        student=st.none() | numbers,
        by_command=st.booleans(),
        stranger=strangers,
    )
    def correct(
        self,
        number: int,
        essay: int,
        student: int | None,
        by_command: bool,
        stranger: bool,
    ) -> None:
        batch_id, class_id = self.a_batch(number, decided=True)
        essay_id = self.an_essay(batch_id, essay, decided=True)
        whom = None if student is None else self.a_member(batch_id, student)
        owner = self.owner(class_id, stranger=stranger)
        self.do(operations.Correct(owner, batch_id, essay_id, whom, by_command))

    @rule(number=numbers, essay=numbers, stranger=strangers)
    def history(self, number: int, essay: int, stranger: bool) -> None:
        batch_id, class_id = self.a_batch(number, decided=True)
        owner = self.owner(class_id, stranger=stranger)
        self.do(operations.History(owner, batch_id, self.an_essay(batch_id, essay, decided=True)))

    @rule(hours=st.sampled_from([1, 6, 12]))
    def decide_due(self, hours: int) -> None:
        self.do(operations.Elapse(hours))
        self.do(operations.DecideDue(tuple(self.school.batches)))

    @precondition(lambda self: any(b.deleted_by for b in self.school.batches.values()))
    @rule()
    def settle(self) -> None:
        self.do(operations.Settle())


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_both_stores_do_what_the_rules_say_in_any_order(migrated_database: str) -> None:
    class Here(BothStores):
        dsn = migrated_database

    run_state_machine_as_test(
        Here, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None)
    )
    assert Here.steps >= by_profile(short=200, long=10_000)
