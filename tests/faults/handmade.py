"""A small world, made by hand and whole, for tests that then break it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import orjson

from rules import topics
from tests.faults.checking.index import identity
from tests.faults.history import History, Op, Outcome, Sent
from tests.faults.sending import COMMANDS, SUGGESTIONS, enveloped
from tests.faults.world import BatchRow, ClassRow, EssayRow, Message, StudentRow, World

OWNER: Final = "lärare"
NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
WAIT: Final = timedelta(seconds=30)


@dataclass
class HandMade:
    """Builds a history and the world that belongs to it."""

    history: History = field(default_factory=History)
    classes: dict[str, ClassRow] = field(default_factory=dict)
    students: dict[str, StudentRow] = field(default_factory=dict)
    batches: dict[str, BatchRow] = field(default_factory=dict)
    essays: dict[str, EssayRow] = field(default_factory=dict)
    inbox: dict[str, str | None] = field(default_factory=dict)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    time: float = 0.0

    def world(self) -> World:
        """Return the world as it is now, with all of the topics stored."""
        ends = {(t, 0): len(self.messages.get(t, ())) for t in topics.CONSUMED}
        return World(
            classes=self.classes,
            students=self.students,
            batches=self.batches,
            essays=self.essays,
            inbox=self.inbox,
            progress=dict(ends),
            ends=ends,
            messages=self.messages,
            timeout_seconds=WAIT.total_seconds(),
        )

    # --- requests ------------------------------------------------------------------------------

    def op(
        self, kind: str, target: str | None, outcome: Outcome = Outcome.ACKED, **body: object
    ) -> Op:
        """Take down a request that ended before the next begins."""
        self.time += 2
        ended = None if outcome is Outcome.UNKNOWN else self.time + 1
        op = Op(str(uuid4()), kind, OWNER, target, body, self.time, ended=ended, outcome=outcome)
        return self.history.op(op)

    def new_class(self, outcome: Outcome = Outcome.ACKED) -> str:
        """Make a class, with its row and its event."""
        one, name = str(uuid4()), uuid4().hex
        op = self.op("class.create", one, outcome, name=name)
        self.classes[one] = ClassRow(one, OWNER, name, "SV1", 1)
        self.event(topics.CLASS_CREATED, one, op.id, user_id=OWNER, class_designation=name)
        return one

    def rename(self, one: str, outcome: Outcome = Outcome.ACKED) -> Op:
        """Change a class, with its event."""
        op = self.op("class.update", one, outcome, name=uuid4().hex)
        row = self.classes[one]
        self.classes[one] = replace(row, name=op.body["name"], version=row.version + 1)
        self.told(op)
        return op

    def told(self, op: Op) -> Message:
        """Publish the event of a change."""
        name = op.body["name"]
        return self.event(
            topics.CLASS_UPDATED, op.target or "", op.id, user_id=OWNER, class_designation=name
        )

    # --- messages ------------------------------------------------------------------------------

    def put(
        self,
        topic: str,
        key: str,
        value: bytes | None,
        headers: Any = (),  # noqa: ANN401
    ) -> Message:
        """Add a record to a topic's one partition."""
        of_topic = self.messages.setdefault(topic, [])
        message = Message(topic, 0, len(of_topic), 0, key.encode(), value, tuple(headers))
        of_topic.append(message)
        return message

    def event(self, topic: str, key: str, correlation_id: str, **data: object) -> Message:
        """Publish an event of the service's."""
        envelope = enveloped(topic, data) | {"correlation_id": correlation_id}
        header = ("event_id", envelope["event_id"].encode())
        return self.put(topic, key, orjson.dumps(envelope), [header])

    def notified(self, kind: str, correlation_id: str, batch_id: str) -> Message:
        """Publish a notification."""
        topic = topics.NOTIFICATION_REQUESTED
        return self.event(topic, OWNER, correlation_id, notification_type=kind, batch_id=batch_id)

    def sent(self, topic: str, key: str, envelope: dict[str, Any]) -> Message:
        """Have another service send a message that arrives."""
        self.time += 2
        value = orjson.dumps(envelope)
        ids = envelope["correlation_id"], envelope["event_id"]
        self.history.send(Sent(topic, key.encode(), value, (), self.time, *ids, acked=True))
        return self.put(topic, key, value)

    def poison(self, value: bytes) -> Message:
        """Have another service send what cannot be read; it is buried."""
        key = uuid4().hex
        sent = Sent(COMMANDS, key.encode(), value, (), self.time, readable=False, acked=True)
        self.history.send(sent)
        record = self.put(COMMANDS, key, value, [("trace", b"\xff")])
        self.inbox[identity(record)] = None
        self.bury(record, "unreadable")
        return record

    def bury(self, record: Message, reason: str) -> Message:
        """Put a record among the dead letters."""
        added = {
            "dlt-reason": reason,
            "dlt-topic": record.topic,
            "dlt-partition": str(record.partition),
            "dlt-offset": str(record.offset),
        }
        headers = [*record.headers, *((name, text.encode()) for name, text in added.items())]
        topic = topics.dead_letter_topic(record.topic)
        return self.put(topic, record.text_key, record.value, headers)

    # --- commands and batches ------------------------------------------------------------------

    def command(self, one: str, times: int = 1) -> Op:
        """Have a class renamed by a command that is sent so many times."""
        name = uuid4().hex
        data = {"command": "class.update", "user_id": OWNER, "class_id": one, "name": name}
        envelope = enveloped(COMMANDS, data)
        op = Op(
            envelope["correlation_id"], "class.update", OWNER, one, data, self.time, over_kafka=True
        )
        self.history.op(op)
        records = [self.sent(COMMANDS, OWNER, envelope) for _ in range(times)]
        self.inbox[envelope["event_id"]] = identity(records[0])
        row = self.classes[one]
        self.classes[one] = replace(row, name=name, version=row.version + 1)
        self.told(op)
        for number in range(times):
            self.result(envelope["event_id"], op.id, "duplicate" if number else "applied")
        return op

    def result(self, event_id: str, correlation_id: str, status: str) -> Message:
        """Publish a command's result."""
        topic = topics.COMMAND_RESULTS
        return self.event(topic, event_id, correlation_id, command_id=event_id, status=status)

    def batch(self, class_id: str, essays: int = 2) -> str:
        """Have a batch suggested, stored, and decided by the clock."""
        batch_id = str(uuid4())
        results = [{"essay_id": str(uuid4()), "suggestions": []} for _ in range(essays)]
        data = {"batch_id": batch_id, "class_id": class_id, "match_results": results}
        envelope = enveloped(SUGGESTIONS, data)
        record = self.sent(SUGGESTIONS, batch_id, envelope)
        correlation_id = record.correlation_id
        self.inbox[record.event_id] = None
        self.notified("student_matches_suggested", correlation_id, batch_id)
        due = NOON + WAIT
        for result in results:
            one = str(result["essay_id"])
            self.essays[one] = EssayRow(
                one, batch_id, None, "timeout_confirmed", "timeout", due, NOON, due
            )
        self.batches[batch_id] = BatchRow(batch_id, class_id, due)
        told = [
            {"essay_id": r["essay_id"], "student_id": None, "validation_method": "timeout"}
            for r in results
        ]
        self.event(topics.ASSOCIATIONS_CONFIRMED, batch_id, correlation_id, associations=told)
        self.event(topics.TIMEOUT_PROCESSED, batch_id, correlation_id)
        self.notified("student_associations_confirmed", correlation_id, batch_id)
        return batch_id
