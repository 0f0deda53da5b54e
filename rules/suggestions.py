"""How match suggestions become associations (docs/contract.md, section 5).

A plan is computed from the messages and from facts that a store has read under lock; the store
executes it in the same transaction.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from rules.dead_letters.messages import DeadLetter, Reason, delivery_id
from rules.events import notifications
from rules.history import Cause
from rules.matching import MAX_FILENAME, Choice, choose, is_certain, usable
from rules.models import (
    SYSTEM_AUTO,
    Batch,
    ClassSummary,
    Delivery,
    MatchResult,
    Method,
    NewAssociation,
    OutboxMessage,
    Policy,
    Status,
    SuggestionMessage,
)

#: What a batch has at most, so that no event about it outgrows its topic. Larger ones that were
#: stored before stay and can be decided.
MAX_ESSAYS: Final = 2_000


class Outcome(StrEnum):
    """The outcome of a delivered message.

    `CLOSED`: its batch has no essays, and it brought none, so the batch is closed. `NOTHING_NEW`:
    it brought none to a batch that has some.
    """

    STORED = "stored"
    CLOSED = "closed"
    NOTHING_NEW = "nothing_new"
    DUPLICATE = "duplicate"
    PARKED = "parked"
    DEAD_LETTERED = "dead_lettered"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The essays of a message that other batches have, each with its batch."""

    message: SuggestionMessage
    batches: Mapping[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of messages: an outcome for each, in their order, and what was left out."""

    outcomes: Sequence[Outcome]
    elsewhere: Sequence[Elsewhere] = ()


@dataclass(frozen=True, slots=True)
class SuggestionFacts:
    """What the store knows of the classes, students and batches that the messages name.

    `now` is the database's clock. `handled` are event ids handled before, `held` batches with an
    earlier message still waiting, `expired` event ids that have waited long enough, `sizes` how
    many essays each batch has. `associated_essays` have their batches, `deleted_classes` are those
    among the named ones that once were.
    """

    now: datetime
    handled: AbstractSet[UUID]
    held: AbstractSet[UUID]
    expired: AbstractSet[UUID]
    classes: Mapping[UUID, ClassSummary]
    members: Mapping[UUID, AbstractSet[UUID]]
    students: AbstractSet[UUID]
    batches: Mapping[UUID, Batch]
    associated_essays: Mapping[UUID, UUID]
    sizes: Mapping[UUID, int]
    deleted_classes: AbstractSet[UUID] = frozenset()


class Part(NamedTuple):
    """The associations of a message: their batch, of what they are part, how many, and pending."""

    batch_id: UUID
    cause: Cause
    essays: int
    pending: int


@dataclass(slots=True)
class SuggestionPlan:
    """What to store; `outcomes` are in the order of the deliveries.

    `closed` are the batches that have nothing to decide: what comes after is refused.
    `dead_lettered_events` are the event ids of the dead-lettered messages: they leave the inbox, so
    that a replay of the dead letter is handled again.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    new_batches: dict[UUID, Batch] = field(default_factory=dict)
    associations: list[NewAssociation] = field(default_factory=list)
    messages: list[OutboxMessage] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    dead_lettered_events: list[UUID] = field(default_factory=list)
    stored: list[Delivery] = field(default_factory=list)
    parked: list[Delivery] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    """Of what the associations are part, in their order."""
    closed: set[UUID] = field(default_factory=set)
    elsewhere: list[Elsewhere] = field(default_factory=list)

    @property
    def touched_batches(self) -> list[UUID]:
        """The batches that got associations, or have none and close, in a fixed order."""
        return sorted({part.batch_id for part in self.parts} | self.closed)


def plan(deliveries: Sequence[Delivery], facts: SuggestionFacts, policy: Policy) -> SuggestionPlan:
    """Decide for each message, in order, whether and how it is stored."""
    planner = _Planner(facts, policy)
    planner.plan.outcomes += map(planner.handle, deliveries)
    return planner.plan


class _Planner:
    """Keeps track of what earlier messages of the same list changed."""

    def __init__(self, facts: SuggestionFacts, policy: Policy) -> None:
        self.facts = facts
        self.policy = policy
        self.confirm_by = facts.now + policy.timeout
        self.plan = SuggestionPlan()
        self.handled = set(facts.handled)
        self.held = set(facts.held)
        self.essays = dict(facts.associated_essays)
        self.sizes = Counter(facts.sizes)

    def handle(self, delivery: Delivery) -> Outcome:
        message = delivery.message
        if message.event_id in self.handled:
            return Outcome.DUPLICATE
        self.handled.add(message.event_id)
        if message.batch_id in self.held:
            return self._park(delivery)
        if self._class_deleted(message):
            return self._dead_letter(delivery, Reason.CLASS_DELETED, "the class was deleted")
        cls = self.facts.classes.get(message.class_id)
        if cls is None:
            return self._park_or_dead_letter(delivery)
        return self._refuse_for_batch(delivery) or self._match(delivery, cls)

    def _class_deleted(self, message: SuggestionMessage) -> bool:
        """Whether the class is gone: the batch's own, too, if its id has been used again."""
        batch = self._batch(message.batch_id)
        if batch is not None and batch.class_id is None:
            return True
        class_id = message.class_id
        return class_id in self.facts.deleted_classes and class_id not in self.facts.classes

    def _park_or_dead_letter(self, delivery: Delivery) -> Outcome:
        if self._may_wait(delivery):
            return self._park(delivery)
        return self._dead_letter(delivery, Reason.CLASS_NOT_FOUND, "the class does not exist")

    def _may_wait(self, delivery: Delivery) -> bool:
        return delivery.message.event_id not in self.facts.expired

    def _match(self, delivery: Delivery, cls: ClassSummary) -> Outcome:
        choices = self._choices(delivery.message)
        if choices and self.sizes[delivery.message.batch_id] + len(choices) > MAX_ESSAYS:
            detail = f"the batch would have more than {MAX_ESSAYS} essays"
            return self._dead_letter(delivery, Reason.BATCH_TOO_LARGE, detail)
        if self._may_wait(delivery) and any(choice.awaits_student for _, choice in choices):
            return self._park(delivery)
        return self._store(delivery, cls, choices)

    def _refuse_for_batch(self, delivery: Delivery) -> Outcome | None:
        message = delivery.message
        batch = self._batch(message.batch_id)
        if batch is None:
            return None
        if batch.class_id != message.class_id:
            detail = "the batch belongs to another class"
            return self._dead_letter(delivery, Reason.BATCH_OF_ANOTHER_CLASS, detail)
        if batch.closed_at is not None or batch.id in self.plan.closed:
            detail = "every essay of the batch was decided before"
            return self._dead_letter(delivery, Reason.BATCH_CLOSED, detail)
        return None

    def _batch(self, batch_id: UUID) -> Batch | None:
        return self.facts.batches.get(batch_id) or self.plan.new_batches.get(batch_id)

    def _choices(self, message: SuggestionMessage) -> list[tuple[MatchResult, Choice]]:
        members = self._members(message)
        return [
            (result, choose(result, members, self.facts.students))
            for result in _first_of_each_essay(message.results)
            if result.essay_id not in self.essays
        ]

    def _members(self, message: SuggestionMessage) -> AbstractSet[UUID]:
        return self.facts.members.get(message.class_id, frozenset())

    def _park(self, delivery: Delivery) -> Outcome:
        self.held.add(delivery.message.batch_id)
        self.plan.parked.append(delivery)
        return Outcome.PARKED

    def _dead_letter(self, delivery: Delivery, reason: Reason, detail: str) -> Outcome:
        self.plan.dead_letters.append(DeadLetter(delivery.record, reason, detail))
        self.plan.dead_lettered_events.append(delivery.message.event_id)
        return Outcome.DEAD_LETTERED

    def _store(
        self, delivery: Delivery, cls: ClassSummary, choices: Sequence[tuple[MatchResult, Choice]]
    ) -> Outcome:
        message = delivery.message
        self.plan.stored.append(delivery)
        if len(choices) < len(message.results):
            self._leave_out(message)
        if self._batch(message.batch_id) is None:
            batch = Batch(message.batch_id, cls.id, None, message.trace)
            self.plan.new_batches[batch.id] = batch
        members = self._members(message)
        new = [
            self._association(message.batch_id, result, choice, members)
            for result, choice in choices
        ]
        self.essays.update((association.essay_id, message.batch_id) for association in new)
        self.sizes[message.batch_id] += len(new)
        self.plan.associations.extend(new)
        if new:
            cause = Cause(cls.owner_id, cls.id, SYSTEM_AUTO, message.trace.correlation_id)
            pending = sum(association.method is None for association in new)
            self.plan.parts.append(Part(message.batch_id, cause, len(new), pending))
            self.plan.messages.append(self._notification(message, cls, new))
            return Outcome.STORED
        if self.sizes[message.batch_id]:
            return Outcome.NOTHING_NEW
        self.plan.closed.add(message.batch_id)
        return Outcome.CLOSED

    def _leave_out(self, message: SuggestionMessage) -> None:
        """Note the essays that another batch has."""
        batches = {
            result.essay_id: batch_id
            for result in message.results
            if (batch_id := self.essays.get(result.essay_id)) is not None
            and batch_id != message.batch_id
        }
        if batches:
            self.plan.elsewhere.append(Elsewhere(message, batches))

    def _association(
        self,
        batch_id: UUID,
        result: MatchResult,
        choice: Choice,
        members: AbstractSet[UUID],
    ) -> NewAssociation:
        suggestions = usable(result, members) if choice.suggestion else ()
        chosen = suggestions[0] if suggestions else None
        new = NewAssociation(
            essay_id=result.essay_id,
            batch_id=batch_id,
            suggested_student_id=chosen.student_id if chosen else None,
            confidence=chosen.confidence if chosen else 0.0,
            match_reasons=chosen.match_reasons if chosen else (),
            confirm_by=self.confirm_by,
            filename=result.filename and result.filename[:MAX_FILENAME],
            suggestions=suggestions,
        )
        return auto_confirmed(new) if is_certain(choice, self.policy) else new

    def _notification(
        self, message: SuggestionMessage, cls: ClassSummary, new: Sequence[NewAssociation]
    ) -> OutboxMessage:
        unmatched = sum(association.suggested_student_id is None for association in new)
        subject = notifications.Subject(
            cls.owner_id,
            message.trace,
            self.facts.now,
            class_id=cls.id,
            batch_id=message.batch_id,
            deadline=self.confirm_by,
        )
        return notifications.matches_suggested(subject, len(new) - unmatched, unmatched)


def auto_confirmed(new: NewAssociation) -> NewAssociation:
    """Return an association whose suggestion is confirmed at once."""
    return new._replace(
        status=Status.CONFIRMED,
        method=Method.AUTO,
        student_id=new.suggested_student_id,
        validated_by=SYSTEM_AUTO,
    )


def outcomes_of(
    deliveries: Iterable[Delivery], again: AbstractSet[UUID], planned: Iterable[Outcome]
) -> list[Outcome]:
    """Return each delivery's outcome; `again` are the identities left out of the plan."""
    rest = iter(planned)
    return [
        Outcome.DUPLICATE if delivery_id(delivery.record) in again else next(rest)
        for delivery in deliveries
    ]


def _first_of_each_essay(results: Iterable[MatchResult]) -> list[MatchResult]:
    first: dict[UUID, MatchResult] = {}
    for result in results:
        first.setdefault(result.essay_id, result)
    return list(first.values())
