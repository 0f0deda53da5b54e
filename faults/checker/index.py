"""Indexes of the history and the world."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from faults.history import History, Op, Outcome, Sent
from faults.world import EssayRow, Message, World
from rules import topics
from rules.dead_letters.messages import delivery_id
from rules.models import Record

#: Topic, partition and offset.
Place: TypeAlias = tuple[str, int, int]

KeyT = TypeVar("KeyT")
T = TypeVar("T")

#: The event of each kind of change.
EVENT_OF = {
    "class.create": topics.CLASS_CREATED,
    "class.update": topics.CLASS_UPDATED,
    "class.delete": topics.CLASS_DELETED,
    "student.create": topics.STUDENT_CREATED,
    "student.update": topics.STUDENT_UPDATED,
    "student.delete": topics.STUDENT_DELETED,
    "student.merge": topics.STUDENT_DELETED,
    "roster.register": topics.STUDENT_CREATED,
    # The same two commands as above, about students that are there: these join a class.
    "student.join": topics.STUDENT_UPDATED,
    "roster.join": topics.STUDENT_UPDATED,
}
CHANGES = tuple(dict.fromkeys(EVENT_OF.values()))
CONFIRM = "associations.confirm"
CORRECT = "associations.correct"
MERGE = "student.merge"
APPLIED = "applied"


class Proposal(NamedTuple):
    """What a message suggests for an essay, and when it was first sent."""

    batch_id: str
    student_id: str | None
    confidence: float
    sent: float | None


class Index:
    """The indexes that all checks share."""

    def __init__(self, history: History, world: World) -> None:
        self.history = history
        self.world = world
        self.ops: Mapping[str, Op] = {
            one: op for op in history.ops for one in (op.id, *op.correlation_ids)
        }
        self._by_batch: dict[str, Mapping[str, Sequence[Message]]] = {}

    @cached_property
    def sent_by_op(self) -> Mapping[str, Sequence[Sent]]:
        """The records that carry each command or message of suggestions."""
        return grouped((s.op_id, s) for s in self.history.sent if s.op_id)

    @cached_property
    def poison(self) -> Mapping[tuple[bytes | None, bytes | None], Sent]:
        """The unreadable records that were sent, by key and value."""
        return {(s.key, s.value): s for s in self.history.sent if not s.readable}

    @cached_property
    def consumed(self) -> Mapping[str, Mapping[str, Sequence[Message]]]:
        """By topic and event id, the readable records of the consumed topics."""
        return {
            topic: grouped(
                (m.event_id, m) for m in self.world.of(topic) if (m.key, m.value) not in self.poison
            )
            for topic in topics.CONSUMED
        }

    @cached_property
    def changes(self) -> Mapping[str, Mapping[str, Sequence[Message]]]:
        """By topic and operation, the events of changes without repetitions."""
        return {
            topic: grouped((self.origin(m), m) for m in self.world.events(topic))
            for topic in CHANGES
        }

    def origin(self, message: Message) -> str:
        """Return the id of a message's operation, which several requests may have asked for."""
        op = self.ops.get(message.correlation_id)
        return op.id if op else message.correlation_id

    @cached_property
    def made_by(self) -> Mapping[str, set[str]]:
        """By operation over HTTP, the correlation ids of those of its requests that took effect."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for topic in topics.PUBLISHED:
            for message in self.world.events(topic):
                op = self.ops.get(message.correlation_id)
                if op and op.attempts:
                    found[op.id].add(message.correlation_id)
        return found

    @cached_property
    def results(self) -> Mapping[str, Sequence[Message]]:
        """By a command's event id, its results without repetitions."""
        return grouped(
            (str(m.data.get("command_id")), m) for m in self.world.events(topics.COMMAND_RESULTS)
        )

    @cached_property
    def notifications(self) -> Mapping[tuple[str, str], Sequence[Message]]:
        """By correlation id and type, the notifications without repetitions."""
        return grouped(
            ((m.correlation_id, str(m.data.get("notification_type"))), m)
            for m in self.world.events(topics.NOTIFICATION_REQUESTED)
        )

    @cached_property
    def letters(self) -> Mapping[Place, Sequence[Message]]:
        """By the place of the original record, the dead letters of the consumed topics."""
        found: defaultdict[Place, list[Message]] = defaultdict(list)
        for topic in topics.CONSUMED:
            for letter in self.world.kept(topics.dead_letter_topic(topic)):
                found[place_of(letter)].append(letter)
        return found

    @cached_property
    def undecodable(self) -> set[Place]:
        """The places of record batches that were damaged."""
        return {(u.topic, u.partition, u.offset) for u in self.history.undecodable}

    @cached_property
    def foreign_timers(self) -> Mapping[tuple[bytes | None, bytes | None], Sent]:
        """What others than the service have written to the topic of timers, by key and value."""
        return {(s.key, s.value): s for s in self.history.sent if s.topic == topics.TIMERS}

    @cached_property
    def confirmed(self) -> Mapping[str, Sequence[Message]]:
        """By batch, the events of its closing."""
        return self.by_batch(topics.ASSOCIATIONS_CONFIRMED)

    @cached_property
    def notified_closed(self) -> Mapping[str, Sequence[Message]]:
        """By batch, the notifications of its closing."""
        return grouped(
            (str(m.data.get("batch_id")), m)
            for (_, kind), found in self.notifications.items()
            if kind == "student_associations_confirmed"
            for m in found
        )

    @cached_property
    def correlations_of_batch(self) -> Mapping[str, Sequence[str]]:
        """By batch, the correlation ids of its messages and of the decisions on it."""
        suggested = (
            (str(records[0].data.get("batch_id")), records[0].correlation_id)
            for records in self.consumed[topics.MATCHES_SUGGESTED].values()
        )
        decided = (
            (op.target, op.id)
            for op in self.history.ops
            if op.kind in {CONFIRM, CORRECT} and op.target
        )
        return grouped([*suggested, *decided])

    @cached_property
    def ops_of_target(self) -> Mapping[str, Sequence[Op]]:
        """By class, student or batch, what was requested of it."""
        return grouped((op.target, op) for op in self.history.ops if op.target)

    def by_batch(self, topic: str) -> Mapping[str, Sequence[Message]]:
        """By batch, a topic's events without repetitions."""
        if topic not in self._by_batch:
            self._by_batch[topic] = grouped((m.text_key, m) for m in self.world.events(topic))
        return self._by_batch[topic]

    @cached_property
    def memberships(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """By student, its classes."""
        return grouped((row[1], row) for row in self.world.enrollments)

    @cached_property
    def command_places(self) -> Mapping[str, tuple[int, int]]:
        """By correlation id, partition and offset of the record that first brings a command."""
        found: dict[str, tuple[int, int]] = {}
        for message in self.world.of(topics.COMMANDS):
            found.setdefault(message.correlation_id, (message.partition, message.offset))
        return found

    @cached_property
    def deleted_classes(self) -> set[str]:
        """The classes that were deleted."""
        return self._done("class.delete")

    @cached_property
    def deleted_students(self) -> set[str]:
        """The students that were deleted, or merged into another."""
        return self._done("student.delete") | self._done(MERGE)

    @cached_property
    def left(self) -> set[tuple[str, str]]:
        """The students that left a class, and which."""
        return {
            (op.target, class_id)
            for op in self.history.ops
            if op.target and op.body.get("remove_class_ids") and self.was_done(op)
            for class_id in op.body["remove_class_ids"]
        }

    @cached_property
    def left_since(self) -> Mapping[tuple[str, str], float]:
        """When a request was answered that took a student out of a class, which then stayed out."""
        joined = {
            (op.target, class_id)
            for op in self.history.ops
            for name in ("class_ids", "add_class_ids")
            for class_id in op.body.get(name, ())
            if op.kind != "student.create" and self.was_done(op)
        }
        return {
            (op.target, class_id): op.ended
            for op in self.history.ops
            if op.target and op.outcome is Outcome.ACKED and op.ended is not None
            for class_id in op.body.get("remove_class_ids", ())
            if (op.target, class_id) not in joined
        }

    @cached_property
    def merged(self) -> Mapping[str, str]:
        """The students that were merged into another, which has their essays now."""
        gone = self.changes[topics.STUDENT_DELETED]
        merges = (op for op in self.history.ops if op.kind == MERGE and gone.get(op.id))
        return {str(op.target): str(op.body["into"]) for op in merges}

    def is_same(self, told: str | None, row: str | None) -> bool:
        """Whether a row has the student that was told, or who was made of it since.

        A student that is deleted is null in rows.
        """
        while told is not None and told in self.merged:
            told = self.merged[told]
        return told == row or (row is None and told not in self.world.students)

    def _done(self, kind: str) -> set[str]:
        ops = (op for op in self.history.ops if op.kind == kind and self.was_done(op))
        return {op.target for op in ops if op.target}

    @cached_property
    def made_over_http(self) -> Mapping[str, float]:
        """The classes and students that a request is known to have created, and since when."""
        return {
            op.target: op.ended
            for op in self.history.ops
            if op.kind in {"class.create", "student.create"}
            and op.outcome is Outcome.ACKED
            and op.target
            and op.ended is not None
        }

    @cached_property
    def lasting_students(self) -> Mapping[str, float]:
        """Those of them that were not deleted, and have left no class."""
        made = self.made_over_http
        leaving = {student for student, _ in self.left}
        return {one: made[one] for one in made.keys() - self.deleted_students - leaving}

    @cached_property
    def proposed(self) -> Mapping[str, Sequence[Proposal]]:
        """By essay, its suggestions: those of each message that has it."""
        found: defaultdict[str, list[Proposal]] = defaultdict(list)
        for records in self.consumed[topics.MATCHES_SUGGESTED].values():
            sent, data = self.began(records[0].correlation_id), records[0].data
            for result in data["match_results"]:
                first = next(iter(result["suggestions"]), None)
                proposal = Proposal(
                    data["batch_id"],
                    first["student_id"] if first else None,
                    first["confidence_score"] if first else 0.0,
                    sent,
                )
                found[result["essay_id"]].append(proposal)
        return found

    def proposals(self, essay: EssayRow) -> Sequence[Proposal]:
        """Return what was suggested for an essay in its batch."""
        found = self.proposed.get(essay.essay_id, ())
        return [one for one in found if one.batch_id == essay.batch_id]

    @cached_property
    def class_of_batch(self) -> Mapping[str, str]:
        """By batch, its class, even if that has been deleted."""
        firsts = (records[0].data for records in self.consumed[topics.MATCHES_SUGGESTED].values())
        return {data["batch_id"]: data["class_id"] for data in firsts}

    def was_done(self, op: Op) -> bool:
        """Whether a change was done: acknowledged, however often it was asked for."""
        if not op.over_kafka:
            return op.outcome is Outcome.ACKED
        sent = self.sent_by_op.get(op.id, ())
        event_id = sent[0].event_id if sent else None
        results = self.results.get(event_id or "", ())
        return any(m.data.get("status") == APPLIED for m in results)

    def began(self, correlation_id: str) -> float | None:
        """Return when the operation with this correlation id began."""
        if op := self.ops.get(correlation_id):
            return op.began
        sent = self.sent_by_op.get(correlation_id)
        return sent[0].began if sent else None


def grouped(pairs: Iterable[tuple[KeyT, T]]) -> dict[KeyT, list[T]]:
    """Group items by key."""
    found: defaultdict[KeyT, list[T]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)


def place_of(letter: Message) -> Place:
    """Return the place of the record that became a dead letter."""
    return (
        letter.header("dlt-topic") or "",
        int(letter.header("dlt-partition") or -1),
        int(letter.header("dlt-offset") or -1),
    )


def identity(message: Message) -> str:
    """Return the id of a delivered record in the inbox."""
    record = Record(
        message.topic,
        message.partition,
        message.offset,
        message.timestamp_ms,
        message.key,
        message.value,
        message.headers,
    )
    return str(delivery_id(record))


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
