"""Messages become associations, wait, are buried or are known already: none is lost."""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import topics
from rules.dead_letters.messages import Reason
from rules.models import Batch, ClassSummary, Delivery, Method, Policy, Status
from rules.suggestions import MAX_ESSAYS, Outcome, SuggestionFacts, SuggestionPlan, plan
from tests.unit.rules import members as contract
from tests.unit.rules.strategies import (
    BATCH,
    BATCHES,
    CLASS,
    CLASSES,
    CORRELATION,
    DAY,
    ESSAYS,
    NOW,
    STUDENTS,
    TRACE,
    data,
    deliver,
    deliveries,
    envelope,
    result,
)

POLICY = Policy()


def facts(
    *,
    classes: Mapping[UUID, ClassSummary] | None = None,
    members: Mapping[UUID, AbstractSet[UUID]] | None = None,
    students: AbstractSet[UUID] = frozenset(STUDENTS),
    batches: Mapping[UUID, Batch] | None = None,
    handled: AbstractSet[UUID] = frozenset(),
    held: AbstractSet[UUID] = frozenset(),
    expired: AbstractSet[UUID] = frozenset(),
    essays: AbstractSet[UUID] = frozenset(),
) -> SuggestionFacts:
    """One class with the first three students, unless told otherwise."""
    return SuggestionFacts(
        now=NOW,
        handled=handled,
        held=held,
        expired=expired,
        classes={CLASS.id: CLASS} if classes is None else classes,
        members={CLASS.id: frozenset(STUDENTS[:3])} if members is None else members,
        students=students,
        batches=batches or {},
        associated_essays=dict.fromkeys(essays, BATCHES[0]),
        sizes={BATCHES[0]: len(essays)},
    )


# --- storing -----------------------------------------------------------------------------------


def test_message_is_stored_with_a_new_batch() -> None:
    delivery = deliver(1, result(ESSAYS[0], STUDENTS[0], confidence=0.8), result(ESSAYS[1]))
    made = plan([delivery], facts(), POLICY)
    assert (made.outcomes, made.stored) == ([Outcome.STORED], [delivery])
    assert made.new_batches == {BATCHES[0]: Batch(BATCHES[0], CLASS.id, None, TRACE)}
    matched, unmatched = made.associations
    assert (matched.essay_id, matched.suggested_student_id) == (ESSAYS[0], STUDENTS[0])
    assert (matched.confidence, matched.match_reasons) == (0.8, ("name",))
    assert (unmatched.essay_id, unmatched.suggested_student_id) == (ESSAYS[1], None)
    assert (unmatched.confidence, unmatched.match_reasons) == (0.0, ())
    assert {a.confirm_by for a in made.associations} == {NOW + DAY}
    assert all(a.status is Status.PENDING for a in made.associations)
    assert made.touched_batches == [BATCHES[0]]


def test_what_the_teacher_sees_of_an_essay_is_stored() -> None:
    first, second, other = STUDENTS[0], STUDENTS[1], STUDENTS[5]
    found = result(ESSAYS[0], other, second, first)._replace(filename="å" * 256)
    nobody = result(ESSAYS[1], other)._replace(filename="b.docx")
    matched, unmatched = plan([deliver(1, found, nobody)], facts(), POLICY).associations
    assert matched.suggestions == found.suggestions[1:]
    assert (matched.suggested_student_id, matched.filename) == (second, "å" * 255)
    assert (unmatched.suggestions, unmatched.filename) == ((), "b.docx")


def test_teacher_is_asked_once_for_each_message() -> None:
    batch = [deliver(i, result(ESSAYS[i], STUDENTS[0])) for i in (1, 2)]
    made = plan(batch, facts(), POLICY)
    assert [message.topic for message in made.messages] == [topics.NOTIFICATION_REQUESTED] * 2
    asked = data(made.messages[0])
    assert envelope(made.messages[0])["correlation_id"] == str(CORRELATION)
    assert asked["notification_type"] == "student_matches_suggested"
    assert asked["deadline_timestamp"] == "2026-11-21T08:15:30.123456Z"
    assert asked["action_required"] is True
    assert set(asked["payload"]) == contract.PAYLOADS["student_matches_suggested"]


def test_message_joins_an_open_batch() -> None:
    made = plan([deliver(1, result(ESSAYS[0]))], facts(batches={BATCH.id: BATCH}), POLICY)
    assert (made.outcomes, made.new_batches) == ([Outcome.STORED], {})


def test_timeout_is_the_policys() -> None:
    policy = Policy(timeout=timedelta(minutes=90))
    made = plan([deliver(1, result(ESSAYS[0]))], facts(), policy)
    assert made.associations[0].confirm_by == NOW + timedelta(minutes=90)


def test_known_essays_are_left_alone_and_nobody_is_asked_again() -> None:
    known = facts(essays=frozenset(ESSAYS[:1]))
    made = plan([deliver(1, result(ESSAYS[0], STUDENTS[0]))], known, POLICY)
    assert (made.outcomes, made.associations, made.messages) == ([Outcome.NOTHING_NEW], [], [])
    assert (made.closed, made.elsewhere) == (set(), [])


@pytest.mark.parametrize("brings", ["nothing", "essays of another batch"])
def test_batch_that_gets_nothing_to_decide_is_closed(brings: str) -> None:
    known = facts(essays=frozenset(ESSAYS[:1]))
    results = [result(ESSAYS[0], STUDENTS[0])] if brings != "nothing" else []
    empty = deliver(1, *results, batch_id=BATCHES[1])
    late = deliver(2, result(ESSAYS[1]), batch_id=BATCHES[1])
    made = plan([empty, late], known, POLICY)
    assert made.outcomes == [Outcome.CLOSED, Outcome.DEAD_LETTERED]
    assert [letter.reason for letter in made.dead_letters] == [Reason.BATCH_CLOSED]
    assert made.closed == {*made.touched_batches} == {BATCHES[1]}
    assert (made.associations, made.messages) == ([], [])
    named = [one.batches for one in made.elsewhere]
    assert named == ([{ESSAYS[0]: BATCHES[0]}] if results else [])


def test_essays_of_another_batch_are_named_beside_what_is_stored() -> None:
    known = facts(essays=frozenset(ESSAYS[:2]))
    delivery = deliver(1, *map(result, ESSAYS[:3]), batch_id=BATCHES[1])
    made = plan([delivery], known, POLICY)
    assert (made.outcomes, made.closed) == ([Outcome.STORED], set())
    [left_out] = made.elsewhere
    assert left_out.message is delivery.message
    assert left_out.batches == dict.fromkeys(ESSAYS[:2], BATCHES[0])


@pytest.mark.parametrize("closed", [True, False])
def test_batch_of_a_deleted_class_takes_nothing(*, closed: bool) -> None:
    gone = Batch(BATCHES[0], None, NOW if closed else None, TRACE)
    known = facts(classes={}, batches={gone.id: gone})
    made = plan([deliver(1, result(ESSAYS[0]))], known, POLICY)
    assert [letter.reason for letter in made.dead_letters] == [Reason.CLASS_DELETED]


@pytest.mark.parametrize("again", [True, False])
def test_message_for_a_deleted_class_does_not_wait(*, again: bool) -> None:
    known = replace(facts(classes=None if again else {}), deleted_classes={CLASS.id})
    made = plan([deliver(1, result(ESSAYS[0]))], known, POLICY)
    assert made.outcomes == [Outcome.STORED if again else Outcome.DEAD_LETTERED]
    assert [letter.reason for letter in made.dead_letters] == [Reason.CLASS_DELETED] * (not again)


def test_known_essay_is_no_reason_to_wait_for_its_student() -> None:
    known = facts(essays=frozenset(ESSAYS[:1]), students=frozenset())
    made = plan([deliver(1, result(ESSAYS[0], STUDENTS[5]))], known, POLICY)
    assert made.outcomes == [Outcome.NOTHING_NEW]


def test_first_result_of_an_essay_counts() -> None:
    results = [result(ESSAYS[0], STUDENTS[i]) for i in (1, 0)]
    made = plan([deliver(1, *results), deliver(2, results[1])], facts(), POLICY)
    assert [a.suggested_student_id for a in made.associations] == [STUDENTS[1]]


@pytest.mark.parametrize(
    ("threshold", "confidence", "confirmed"),
    [
        (None, 1.0, False),
        (0.9, 0.9, True),
        (0.9, 0.8999999, False),
        (0.0, 0.0, True),
        (1.0, 1.0, True),
    ],
)
def test_auto_confirmation(threshold: float | None, confidence: float, *, confirmed: bool) -> None:
    found = result(ESSAYS[0], STUDENTS[0], confidence=confidence)
    made = plan([deliver(1, found)], facts(), Policy(auto_confirm=threshold))
    assert [a.method is Method.AUTO for a in made.associations] == [confirmed]


def test_nobody_is_never_confirmed_automatically() -> None:
    made = plan([deliver(1, result(ESSAYS[0]))], facts(), Policy(auto_confirm=0.0))
    assert [a.method for a in made.associations] == [None]


# --- refusing and waiting ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "outcome", "reason"),
    [
        (facts(), Outcome.STORED, None),
        (facts(handled={UUID(int=1)}), Outcome.DUPLICATE, None),
        (facts(held={BATCHES[0]}), Outcome.PARKED, None),
        (facts(held={BATCHES[1]}), Outcome.STORED, None),
        (facts(handled={UUID(int=1)}, held={BATCHES[0]}), Outcome.DUPLICATE, None),
        (facts(classes={}), Outcome.PARKED, None),
        (
            facts(classes={}, expired={UUID(int=1)}),
            Outcome.DEAD_LETTERED,
            Reason.CLASS_NOT_FOUND,
        ),
        (facts(classes={}, expired={UUID(int=2)}), Outcome.PARKED, None),
        (facts(students=frozenset(), members={}), Outcome.PARKED, None),
        (
            facts(students=frozenset(), members={}, expired={UUID(int=1)}),
            Outcome.STORED,
            None,
        ),
        (facts(members={}), Outcome.STORED, None),
        (
            facts(batches={BATCH.id: replace(BATCH, closed_at=NOW)}),
            Outcome.DEAD_LETTERED,
            Reason.BATCH_CLOSED,
        ),
        (
            facts(batches={BATCH.id: replace(BATCH, class_id=CLASSES[1])}),
            Outcome.DEAD_LETTERED,
            Reason.BATCH_OF_ANOTHER_CLASS,
        ),
        (
            facts(batches={BATCH.id: replace(BATCH, class_id=None)}),
            Outcome.DEAD_LETTERED,
            Reason.CLASS_DELETED,
        ),
        (
            facts(batches={BATCH.id: replace(BATCH, closed_at=NOW)}, held={BATCH.id}),
            Outcome.PARKED,
            None,
        ),
        # A closed batch is no reason to wait for a student first.
        (
            facts(batches={BATCH.id: replace(BATCH, closed_at=NOW)}, students=frozenset()),
            Outcome.DEAD_LETTERED,
            Reason.BATCH_CLOSED,
        ),
    ],
)
def test_outcome(known: SuggestionFacts, outcome: Outcome, reason: Reason | None) -> None:
    delivery = deliver(1, result(ESSAYS[0], STUDENTS[0]))
    made = plan([delivery], known, POLICY)
    assert made.outcomes == [outcome]
    assert [letter.reason for letter in made.dead_letters] == ([reason] if reason else [])
    assert [letter.record for letter in made.dead_letters] == ([delivery.record] if reason else [])
    assert made.dead_lettered_events == ([UUID(int=1)] if reason else [])
    assert made.parked == ([delivery] if outcome is Outcome.PARKED else [])
    assert bool(made.associations) is (outcome is Outcome.STORED)


def test_message_in_a_list_is_measured_by_the_ones_before_it() -> None:
    made = plan(
        [
            deliver(1, result(ESSAYS[0], STUDENTS[0])),
            deliver(1, result(ESSAYS[1], STUDENTS[0])),
            deliver(2, result(ESSAYS[2]), class_id=CLASSES[1]),
            deliver(3, result(ESSAYS[0], STUDENTS[1])),
        ],
        facts(classes={c: replace(CLASS, id=c) for c in CLASSES}),
        POLICY,
    )
    assert made.outcomes == [
        Outcome.STORED,
        Outcome.DUPLICATE,
        Outcome.DEAD_LETTERED,
        Outcome.NOTHING_NEW,
    ]
    assert [a.essay_id for a in made.associations] == [ESSAYS[0]]


def test_parked_message_holds_those_behind_it_in_its_batch() -> None:
    missing = UUID(int=999)
    made = plan(
        [
            deliver(1, result(ESSAYS[0], missing)),
            deliver(2, result(ESSAYS[1])),
            deliver(3, result(ESSAYS[2]), batch_id=BATCHES[1]),
        ],
        facts(),
        POLICY,
    )
    assert made.outcomes == [Outcome.PARKED, Outcome.PARKED, Outcome.STORED]


# --- how many essays a batch has --------------------------------------------------------------


def full(size: int = MAX_ESSAYS, known: int = 0) -> SuggestionFacts:
    """Return a batch of this size, which has the first `known` essays."""
    open_batch = facts(batches={BATCH.id: BATCH}, essays=frozenset(ESSAYS[:known]))
    return replace(open_batch, sizes={BATCH.id: size})


def many(count: int) -> Delivery:
    return deliver(1, *(result(UUID(int=10_000 + number)) for number in range(count)))


@pytest.mark.parametrize(
    ("delivery", "known", "outcome"),
    [
        (many(MAX_ESSAYS), facts(), Outcome.STORED),
        (many(MAX_ESSAYS + 1), facts(), Outcome.DEAD_LETTERED),
        (deliver(1, result(ESSAYS[0])), full(MAX_ESSAYS - 1), Outcome.STORED),
        (deliver(1, result(ESSAYS[0])), full(), Outcome.DEAD_LETTERED),
        (deliver(1, result(ESSAYS[0])), full(MAX_ESSAYS + 7), Outcome.DEAD_LETTERED),
        # What is there already is no addition, nor is an essay that is named twice two.
        (deliver(1, *map(result, ESSAYS[:2])), full(MAX_ESSAYS + 7, known=2), Outcome.NOTHING_NEW),
        (deliver(1, *map(result, ESSAYS[:2])), full(MAX_ESSAYS - 1, known=1), Outcome.STORED),
        (deliver(1, *[result(ESSAYS[0])] * 3), full(MAX_ESSAYS - 1), Outcome.STORED),
        # A batch that cannot take a message is no reason to wait for a student first.
        (deliver(1, result(ESSAYS[0], UUID(int=999))), full(), Outcome.DEAD_LETTERED),
    ],
)
def test_batch_takes_so_many_essays(
    delivery: Delivery, known: SuggestionFacts, outcome: Outcome
) -> None:
    made = plan([delivery], known, POLICY)
    assert made.outcomes == [outcome]
    refused = outcome is Outcome.DEAD_LETTERED
    assert [letter.reason for letter in made.dead_letters] == [Reason.BATCH_TOO_LARGE] * refused
    assert bool(made.associations) is (not refused and len(known.associated_essays) < 2)


def test_messages_of_one_list_fill_a_batch_together() -> None:
    made = plan([deliver(i, result(ESSAYS[i])) for i in range(3)], full(MAX_ESSAYS - 2), POLICY)
    assert made.outcomes == [Outcome.STORED, Outcome.STORED, Outcome.DEAD_LETTERED]
    other = deliver(4, result(ESSAYS[4]), batch_id=BATCHES[1])
    assert plan([other], full(), POLICY).outcomes == [Outcome.STORED]


# --- for whatever comes ------------------------------------------------------------------------

known_facts = st.builds(
    lambda classes, enrolled, students, closed, held, expired, essays: facts(
        classes={c: replace(CLASS, id=c) for c in classes},
        members={c: frozenset(enrolled & students) for c in classes},
        students=frozenset(students),
        batches={
            b: Batch(b, CLASSES[i % 3], NOW if is_closed else None, TRACE)
            for i, (b, is_closed) in enumerate(closed.items())
        },
        held=frozenset(held),
        expired=frozenset(UUID(int=i) for i in expired),
        essays=frozenset(essays),
    ),
    st.sets(st.sampled_from(CLASSES)),
    st.sets(st.sampled_from(STUDENTS)),
    st.sets(st.sampled_from(STUDENTS)),
    st.dictionaries(st.sampled_from(BATCHES), st.booleans()),
    st.sets(st.sampled_from(BATCHES), max_size=1),
    st.sets(st.integers(1, 12)),
    st.sets(st.sampled_from(ESSAYS), max_size=3),
)
lists = st.lists(deliveries, max_size=6)


def after(known: SuggestionFacts, made: SuggestionPlan) -> SuggestionFacts:
    """Return the facts as they are once a plan was carried out."""
    kept = {d.message.event_id for d in (*made.stored, *made.parked)}
    return replace(
        known,
        handled={*known.handled, *kept},
        held={*known.held, *(d.message.batch_id for d in made.parked)},
        batches={
            batch_id: replace(batch, closed_at=NOW) if batch_id in made.closed else batch
            for batch_id, batch in {**known.batches, **made.new_batches}.items()
        },
        associated_essays={
            **known.associated_essays,
            **{a.essay_id: a.batch_id for a in made.associations},
        },
        sizes=Counter(known.sizes) + Counter(a.batch_id for a in made.associations),
    )


@given(lists, known_facts)
def test_no_message_is_lost(messages: list[Delivery], known: SuggestionFacts) -> None:
    made = plan(messages, known, POLICY)
    assert len(made.outcomes) == len(messages)
    for outcomes, somewhere in (
        ({Outcome.STORED, Outcome.CLOSED, Outcome.NOTHING_NEW}, made.stored),
        ({Outcome.PARKED}, made.parked),
    ):
        wanted = [m for m, o in zip(messages, made.outcomes, strict=True) if o in outcomes]
        assert somewhere == wanted
    buried = [
        m.record for m, o in zip(messages, made.outcomes, strict=True) if o is Outcome.DEAD_LETTERED
    ]
    assert [letter.record for letter in made.dead_letters] == buried
    accounted = {m.message.event_id for m in (*made.stored, *made.parked)} | {
        *made.dead_lettered_events
    }
    assert {m.message.event_id for m in messages} == accounted


@given(lists, known_facts)
def test_every_essay_of_a_stored_message_has_one_association(
    messages: list[Delivery], known: SuggestionFacts
) -> None:
    made = plan(messages, known, POLICY)
    new = [a.essay_id for a in made.associations]
    assert len(new) == len(set(new))
    assert not set(new) & known.associated_essays.keys()
    stored = {r.essay_id for d in made.stored for r in d.message.results}
    assert stored <= set(new) | known.associated_essays.keys()
    assert set(new) <= stored


@given(lists, known_facts)
def test_only_members_of_the_batchs_class_are_suggested(
    messages: list[Delivery], known: SuggestionFacts
) -> None:
    made = plan(messages, known, POLICY)
    batches = {**known.batches, **made.new_batches}
    for association in made.associations:
        batch = batches[association.batch_id]
        assert batch.class_id is not None
        assert batch.closed_at is None
        if association.suggested_student_id is None:
            assert (association.confidence, association.match_reasons) == (0.0, ())
        else:
            assert association.suggested_student_id in known.members[batch.class_id]


@given(lists, known_facts, st.randoms(use_true_random=False))
def test_redelivery_in_any_order_changes_nothing(
    messages: list[Delivery], known: SuggestionFacts, chance: object
) -> None:
    made = plan(messages, known, POLICY)
    kept = [*made.stored, *made.parked]
    again = sorted(kept, key=lambda _: chance.random())  # type: ignore[attr-defined]
    second = plan(again, after(known, made), POLICY)
    assert second.outcomes == [Outcome.DUPLICATE] * len(again)
    assert second == SuggestionPlan(outcomes=second.outcomes)


@given(lists, known_facts)
def test_list_has_the_effect_of_its_messages_one_by_one(
    messages: list[Delivery], known: SuggestionFacts
) -> None:
    # But for a dead letter that comes twice in the list: it is buried once.
    first: dict[UUID, Delivery] = {}
    for message in messages:
        first.setdefault(message.message.event_id, message)
    unique = list(first.values())
    together = plan(unique, known, POLICY)
    current, outcomes, associations = known, [], []
    for message in unique:
        one = plan([message], current, POLICY)
        current = after(current, one)
        outcomes += one.outcomes
        associations += one.associations
    assert together.outcomes == outcomes
    assert together.associations == associations


@given(lists, known_facts)
def test_batch_keeps_the_order_of_its_messages(
    messages: list[Delivery], known: SuggestionFacts
) -> None:
    made = plan(messages, known, POLICY)
    waiting = set(known.held)
    for message, outcome in zip(messages, made.outcomes, strict=True):
        if message.message.batch_id in waiting:
            assert outcome in (Outcome.PARKED, Outcome.DUPLICATE)
        if outcome is Outcome.PARKED:
            waiting.add(message.message.batch_id)


@given(lists, known_facts)
def test_nothing_waits_for_ever(messages: list[Delivery], known: SuggestionFacts) -> None:
    everything = frozenset(m.message.event_id for m in messages)
    made = plan(messages, replace(known, held=frozenset(), expired=everything), POLICY)
    assert Outcome.PARKED not in made.outcomes


@given(lists, known_facts)
def test_each_accepted_batch_has_something_to_decide_or_is_closed(
    messages: list[Delivery], known: SuggestionFacts
) -> None:
    made = plan(messages, known, POLICY)
    size = Counter(known.sizes) + Counter(a.batch_id for a in made.associations)
    assert made.touched_batches == sorted(made.touched_batches)
    accepted = {d.message.batch_id for d in made.stored}
    assert made.closed == {batch_id for batch_id in accepted if not size[batch_id]}
    assert set(made.new_batches) - known.sizes.keys() <= set(made.touched_batches) <= accepted
