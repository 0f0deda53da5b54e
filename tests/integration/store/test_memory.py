"""What holds for the in-memory store beyond the conformance tests: its atomicity and its clock."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rules import topics
from rules.changes import NewClassRequest, NewStudentRequest
from rules.errors import ServiceError
from rules.models import (
    Caller,
    Delivery,
    HumanDecision,
    MatchResult,
    NewClass,
    NewStudent,
    Policy,
    StudentChange,
    Suggestion,
    Trace,
)
from rules.open_batches import Ending
from rules.suggestions import Outcome
from store.memory.state import MemoryStore
from tests.integration.store.builders import (
    Stores,
    anew,
    deliver,
    make_classroom,
    new_student,
    parse,
    person,
    result,
    store_one,
    suggest,
)
from tests.support import past
from tests.support.stores import Clock, memory_parts

T = TypeVar("T")


def memory_stores(clock: Clock, policy: Policy | None = None) -> tuple[MemoryStore, Stores]:
    store = MemoryStore(policy or Policy(), clock.now)
    return store, memory_parts(store, clock.elapse)


def at_once(work: Awaitable[T]) -> T:
    """Run a coroutine that never waits: to everybody else it is a transaction."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("the operation waited, so others could see it half done")


def test_store_goes_by_the_time_of_the_day_unless_told_otherwise() -> None:
    before = datetime.now(UTC)
    assert before <= MemoryStore(Policy()).now() <= datetime.now(UTC)


async def test_parked_message_is_tried_less_and_less_often() -> None:
    clock = Clock()
    store, stores = memory_stores(clock, Policy(suggestion_retry=timedelta(hours=1)))
    await store_one(stores, deliver(UUID(int=1), result()))
    pauses = []
    for _ in range(7):
        [row] = store.parked.values()
        pauses.append((row.next_try - clock.now()).total_seconds())
        await stores.elapse(row.next_try - clock.now() - timedelta(microseconds=1))
        assert (await stores.inbox.retry_parked(parse, 10)).outcomes == []
        await stores.elapse(timedelta(microseconds=1))
        assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.PARKED]
    assert pauses == [0.5, 1, 2, 4, 5, 5, 5]


async def test_message_that_may_wait_only_shortly_is_tried_at_its_end() -> None:
    clock = Clock()
    store, stores = memory_stores(clock, Policy(suggestion_retry=timedelta(milliseconds=100)))
    await store_one(stores, deliver(UUID(int=1), result()))
    [row] = store.parked.values()
    assert row.next_try == row.deadline


async def test_essay_is_due_at_the_very_instant_and_not_before() -> None:
    clock = Clock()
    _, stores = memory_stores(clock)
    room = await make_classroom(stores, 1)
    delivery = deliver(room.id, result(suggest(room.students[0])))
    await store_one(stores, delivery)
    await stores.elapse(timedelta(hours=24) - timedelta(microseconds=1))
    decide = stores.timers.decide_due
    assert (await decide([delivery.message.batch_id])).essays == 0
    await stores.elapse(timedelta(microseconds=1))
    decided = await decide([delivery.message.batch_id])
    assert (decided.essays, decided.lateness) == (1, (0.0,))


# --- whatever is done in whatever order ----------------------------------------------------------

CLASSES = [UUID(int=100 + i) for i in range(3)]
STUDENTS = [UUID(int=200 + i) for i in range(5)]
BATCHES = [UUID(int=300 + i) for i in range(3)]
ESSAYS = [UUID(int=400 + i) for i in range(6)]
TEACHERS = ["teacher-1", "teacher-2"]

suggestions = st.builds(
    Suggestion,
    st.sampled_from(STUDENTS),
    st.sampled_from([0.5, 0.69, 0.7, 0.9, 1.0]),
    st.just(("name",)),
)
results = st.builds(
    MatchResult, st.sampled_from(ESSAYS), st.lists(suggestions, max_size=2).map(tuple)
)
deliveries = st.builds(
    lambda class_id, batch_id, found: deliver(class_id, *found, batch_id=batch_id),
    st.sampled_from(CLASSES),
    st.sampled_from(BATCHES),
    st.lists(results, max_size=3),
)
decisions = st.builds(
    HumanDecision,
    st.sampled_from(ESSAYS),
    st.booleans(),
    st.none() | st.sampled_from(STUDENTS),
)


class AnyOrder(RuleBasedStateMachine):
    """Does anything in any order and looks at the promises after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.delivered: list[Delivery] = []
        self.said_to_timers: dict[str, dict[str, Any]] = {}
        self.confirmed: Counter[str] = Counter()
        self.timed_out: Counter[str] = Counter()
        self.numbers = itertools.count()

    @initialize(auto=st.sampled_from([None, 0.9]), retry=st.sampled_from([0, 60]))
    def open(self, auto: float | None, retry: int) -> None:
        policy = Policy(auto_confirm=auto, suggestion_retry=timedelta(seconds=retry))
        self.store, self.stores = memory_stores(self.clock, policy)

    def as_teacher(self, index: int) -> Caller:
        return Caller(TEACHERS[index % 2], Trace(UUID(int=next(self.numbers))))

    @rule(index=st.integers(0, 2), teacher=st.integers(0, 1))
    def create_class(self, index: int, teacher: int) -> None:
        request = NewClassRequest(self.as_teacher(teacher), NewClass(CLASSES[index], "9A", "SV1"))
        at_once(self.stores.classes.create_classes([request]))

    @rule(index=st.integers(0, 2), teacher=st.integers(0, 1))
    def delete_class(self, index: int, teacher: int) -> None:
        with contextlib.suppress(ServiceError):
            at_once(self.stores.classes.delete_class(self.as_teacher(teacher), CLASSES[index]))

    @rule(
        index=st.integers(0, 4),
        teacher=st.integers(0, 1),
        joined=st.sets(st.sampled_from(CLASSES), max_size=2),
        email=st.none() | st.sampled_from(["a@b.example", "A@B.example", "c@d.example"]),
    )
    def create_student(
        self, index: int, teacher: int, joined: set[UUID], email: str | None
    ) -> None:
        new = NewStudent(STUDENTS[index], person("First", "Last"), email, tuple(joined))
        request = NewStudentRequest(self.as_teacher(teacher), new)
        at_once(self.stores.classes.create_students([request]))

    @rule(
        index=st.integers(0, 4),
        teacher=st.integers(0, 1),
        joined=st.sampled_from(CLASSES),
        left=st.sampled_from(CLASSES),
    )
    def move_student(self, index: int, teacher: int, joined: UUID, left: UUID) -> None:
        change = StudentChange(
            add_class_ids=(joined,), remove_class_ids=() if left == joined else (left,)
        )
        caller = self.as_teacher(teacher)
        with contextlib.suppress(ServiceError):
            at_once(self.stores.classes.update_student(caller, STUDENTS[index], change))

    @rule(index=st.integers(0, 4), teacher=st.integers(0, 1))
    def delete_student(self, index: int, teacher: int) -> None:
        with contextlib.suppress(ServiceError):
            at_once(self.stores.classes.delete_student(self.as_teacher(teacher), STUDENTS[index]))

    @rule(new=st.lists(deliveries, min_size=1, max_size=3))
    def suggest(self, new: list[Delivery]) -> None:
        outcomes = at_once(self.stores.inbox.store_suggestions(new)).outcomes
        assert len(outcomes) == len(new)
        assert Outcome.DUPLICATE not in outcomes
        self.delivered += new

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        again = data.draw(st.sampled_from(self.delivered))
        before = dict(self.store.associations)
        [outcome] = at_once(self.stores.inbox.store_suggestions([again])).outcomes
        assert outcome is Outcome.DUPLICATE
        assert self.store.associations == before

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        replayed = anew(data.draw(st.sampled_from(self.delivered)))
        [outcome] = at_once(self.stores.inbox.store_suggestions([replayed])).outcomes
        if outcome is not Outcome.DUPLICATE:
            self.delivered.append(replayed)

    @rule(limit=st.integers(1, 3))
    def retry(self, limit: int) -> None:
        at_once(self.stores.inbox.retry_parked(parse, limit))

    @rule(hours=st.sampled_from([0.0001, 0.01, 1, 23, 24]))
    def elapse(self, hours: float) -> None:
        at_once(self.stores.elapse(timedelta(hours=hours)))

    @rule(
        batch_id=st.sampled_from(BATCHES),
        teacher=st.integers(0, 1),
        chosen=st.lists(decisions, min_size=1, max_size=3),
    )
    def confirm(self, batch_id: UUID, teacher: int, chosen: list[HumanDecision]) -> None:
        before = dict(self.store.associations)
        try:
            at_once(self.stores.associations.confirm(self.as_teacher(teacher), batch_id, chosen))
        except ServiceError:
            assert self.store.associations == before

    @rule(batch_ids=st.lists(st.sampled_from(BATCHES), max_size=4))
    def decide_due(self, batch_ids: list[UUID]) -> None:
        at_once(self.stores.timers.decide_due(batch_ids))
        overdue = at_once(self.stores.timers.overdue(10, 0))
        assert not set(batch_ids) & set(overdue)

    @rule(limit=st.integers(1, 3))
    def settle(self, limit: int) -> None:
        closed = at_once(self.stores.open_batches.settle(limit))
        assert all(one.ending is Ending.CLASS_DELETED for one in closed)
        assert at_once(self.stores.open_batches.settle_idle(limit)) == []

    @rule(batch_ids=st.lists(st.sampled_from(BATCHES), max_size=2))
    def rearm(self, batch_ids: list[UUID]) -> None:
        at_once(self.stores.timers.rearm(batch_ids))

    @invariant()
    def timers_say_what_is_pending(self) -> None:
        self.read_published()
        armed = {k: v for k, v in self.said_to_timers.items() if v["event"] == "armed"}
        pending = at_once(self.stores.timers.pending_batches(None, 100))
        waiting = {str(batch.batch_id) for batch in pending}
        of_deleted = {str(b.id) for b in self.store.batches.values() if b.class_id is None}
        assert waiting <= armed.keys() <= waiting | of_deleted
        for batch in pending:
            said = armed[str(batch.batch_id)]
            assert said["pending_count"] == batch.pending_count
            assert datetime.fromisoformat(said["confirm_by"]) == batch.confirm_by

    @invariant()
    def batches_close_once_and_with_nothing_pending(self) -> None:
        self.read_published()
        assert set(self.confirmed.values()) <= {1}
        assert self.timed_out.keys() <= self.confirmed.keys()
        states = at_once(self.stores.timers.batch_states(BATCHES))
        closed = {str(state.batch_id) for state in states if state.closed_at is not None}
        assert closed == self.confirmed.keys()
        assert all(s.pending_count == 0 for s in states if s.closed_at is not None)

    @invariant()
    def open_batches_of_a_class_have_something_pending(self) -> None:
        for batch in self.store.batches.values():
            if batch.closed_at is None and batch.class_id is not None:
                assert self.store.pending_of(batch.id)

    @invariant()
    def nothing_points_at_what_is_gone(self) -> None:
        students = self.store.students.keys()
        for association in self.store.associations.values():
            named = {association.suggested_student_id, association.student_id} - {None}
            assert named <= students
            assert not association.pending or association.student_id is None
        for student in self.store.students.values():
            for class_id in student.class_ids:
                assert self.store.classes[class_id].owner_id == student.owner_id
                assert student.id in self.store.members(class_id)
        for class_id in self.store.classes:
            for student_id in self.store.members(class_id):
                assert class_id in self.store.students[student_id].class_ids

    @invariant()
    def emails_are_unique_for_each_owner(self) -> None:
        emails = [(s.owner_id, s.email.lower()) for s in self.store.students.values() if s.email]
        assert len(emails) == len(set(emails))

    @invariant()
    def parked_messages_are_still_in_the_inbox(self) -> None:
        assert self.store.parked.keys() <= self.store.inbox.keys()

    def teardown(self) -> None:
        """See every batch that was ever accepted closed once its last deadline has come."""
        if not hasattr(self, "stores"):
            return
        at_once(self.stores.elapse(timedelta(minutes=2)))
        at_once(self.stores.inbox.retry_parked(parse, 100))
        at_once(self.stores.elapse(timedelta(hours=24)))
        at_once(self.stores.timers.decide_due(at_once(self.stores.timers.overdue(10, 0))))
        at_once(self.stores.open_batches.settle(10))
        assert all(batch.closed_at for batch in self.store.batches.values())
        self.batches_close_once_and_with_nothing_pending()
        at_once(past.check(self.stores.past))

    def read_published(self) -> None:
        for one in at_once(self.stores.published()):
            if one.topic == topics.TIMERS:
                self.said_to_timers[str(one.key)] = one.data
            elif one.topic == topics.ASSOCIATIONS_CONFIRMED:
                self.confirmed[str(one.key)] += 1
                check_confirmed(one.data)
            elif one.topic == topics.TIMEOUT_PROCESSED:
                self.timed_out[str(one.key)] += 1


def check_confirmed(data: dict[str, Any]) -> None:
    summary = data["validation_summary"]
    total = summary["total_associations"]
    assert total == len(data["associations"])
    assert summary["confirmed"] + summary["rejected"] == total
    assert summary["human"] + summary["timeout"] + summary["auto"] == total
    assert data["timeout_triggered"] == (summary["timeout"] > 0)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_refused_student_leaves_no_trace() -> None:
    store, stores = memory_stores(Clock())
    request = NewStudentRequest(
        Caller("teacher", Trace(UUID(int=1))), new_student(email="a@b.example", class_ids=CLASSES)
    )
    at_once(stores.classes.create_students([request]))
    assert (store.students, store.email_holder("teacher", "a@b.example")) == ({}, None)
