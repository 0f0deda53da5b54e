"""A small world, made by hand and whole, for tests that then break it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import orjson

from devstack.rig.envelopes import COMMANDS, SUGGESTIONS
from faults.checker.index import identity
from faults.history import Attempt, History, Op, Outcome, Sent, Undecodable
from faults.sender import FLOOD, FLOOD_TOPIC, enveloped
from faults.world import (
    BatchRow,
    ClassRow,
    DecisionRow,
    EssayRow,
    Message,
    StudentRow,
    World,
)
from rules import topics

OWNER: Final = "lärare"
IMPORTER: Final = "skola"
SURE: Final = 0.9
#: Beyond the offsets of what a small world has.
DAMAGED_AT: Final = 10_000
NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
WAIT: Final = timedelta(seconds=30)


@dataclass
class SmallWorld:
    """Builds a history and the world that belongs to it."""

    history: History = field(default_factory=lambda: History(NOON))
    classes: dict[str, ClassRow] = field(default_factory=dict)
    students: dict[str, StudentRow] = field(default_factory=dict)
    enrollments: set[tuple[str, str]] = field(default_factory=set)
    batches: dict[str, BatchRow] = field(default_factory=dict)
    essays: dict[str, EssayRow] = field(default_factory=dict)
    past: dict[str, list[DecisionRow]] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    inbox: dict[str, str | None] = field(default_factory=dict)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    set_aside: list[Message] = field(default_factory=list)
    time: float = 0.0

    def world(self) -> World:
        """Return the world as it is now, with all of the topics stored."""
        ends = {(t, 0): len(self.messages.get(t, ())) for t in topics.CONSUMED}
        return World(
            classes=self.classes,
            students=self.students,
            enrollments=frozenset(self.enrollments),
            batches=self.batches,
            essays=self.essays,
            history=self.past,
            keys=self.keys,
            inbox=self.inbox,
            progress=dict(ends),
            ends=ends,
            messages=self.messages,
            set_aside=self.set_aside,
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
        op.attempts.append(Attempt(op.id, op.began, outcome=outcome, ended=ended))
        if outcome is Outcome.ACKED:
            self.answered(op, _answer(op))
        return self.history.op(op)

    def answered(self, op: Op, answer: Any) -> None:  # noqa: ANN401  # JSON
        """Answer a request, and keep the answer."""
        op.answer, op.status = answer, 200
        op.attempts[-1].status = self.keys[op.id] = op.status
        op.attempts[-1].content = orjson.dumps(answer)

    def again(self, op: Op) -> Attempt:
        """Have a request repeated, and answered with what was kept."""
        first = op.attempts[0]
        self.time += 3
        one = replace(first, id=str(uuid4()), began=self.time - 1, ended=self.time)
        op.attempts.append(replace(one, is_replay=True))
        return op.attempts[-1]

    def lost(self, op: Op) -> Op:
        """Have the first answer to a request lost, and a repetition answered."""
        self.again(op)
        first = op.attempts[0]
        first.outcome, first.status, first.content, first.ended = Outcome.UNKNOWN, None, b"", None
        op.ended = op.attempts[1].ended
        return op

    def new_class(self, outcome: Outcome = Outcome.ACKED) -> str:
        """Make a class, with its row and its event."""
        one, name = str(uuid4()), uuid4().hex
        op = self.op("class.create", one, outcome, name=name)
        self.classes[one] = ClassRow(one, OWNER, name, "SV1", 1)
        self.event(topics.CLASS_CREATED, one, op.id, user_id=OWNER, class_designation=name)
        self.notified("class_created", op.id)
        return one

    def new_student(self, class_id: str) -> str:
        """Make a student of a class, with all that belongs to it."""
        one, name = str(uuid4()), {"first_name": uuid4().hex, "last_name": "Berg"}
        op = self.op("student.create", one, person_name=name, class_ids=[class_id])
        self.students[one] = StudentRow(one, OWNER, name["first_name"], name["last_name"], None, 1)
        self.enrollments.add((class_id, one))
        told = {**name, "class_ids": [class_id], "created_by_user_id": OWNER}
        self.event(topics.STUDENT_CREATED, one, op.id, **told)
        self.notified("student_added_to_class", op.id)
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

    def notified(
        self, kind: str, correlation_id: str, batch_id: str | None = None, teacher: str = OWNER
    ) -> Message:
        """Publish a notification."""
        told = {"notification_type": kind, "batch_id": batch_id, "teacher_id": teacher}
        return self.event(topics.NOTIFICATION_REQUESTED, teacher, correlation_id, **told)

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

    def bad_timer(self) -> Message:
        """Have somebody write to the topic of timers what cannot be read; it is buried."""
        sent = Sent(topics.TIMERS, b"k", b"no timer", (), self.time, readable=False, acked=True)
        self.history.send(sent)
        record = self.put(topics.TIMERS, "k", b"no timer")
        self.inbox[identity(record)] = None
        return self.bury(record, "unreadable")

    def damaged(self, topic: str = COMMANDS) -> Message:
        """Have a record batch damaged on the broker's disk, and passed over."""
        offset = DAMAGED_AT + len(self.history.undecodable)
        self.history.undecodable.append(Undecodable(topic, 0, offset, self.time))
        self.inbox[uuid4().hex] = None
        return self.bury(Message(topic, 0, offset, 0, None, None, ()), "undecodable_batch")

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
        body = {"class_id": one, "name": name}
        statuses = ["applied", *["duplicate"] * (times - 1)]
        op = self._given(OWNER, "class.update", one, body, statuses)
        row = self.classes[one]
        self.classes[one] = replace(row, name=name, version=row.version + 1)
        self.told(op)
        return op

    def _given(
        self, user: str, kind: str, target: str, body: dict[str, Any], statuses: Sequence[str]
    ) -> Op:
        """Have a command sent as often as it has results, which are published."""
        command = {"student.join": "student.create"}.get(kind, kind)
        envelope = enveloped(COMMANDS, {"command": command, "user_id": user, **body})
        op = Op(envelope["correlation_id"], kind, user, target, body, self.time, over_kafka=True)
        self.history.op(op)
        records = [self.sent(COMMANDS, user, envelope) for _ in statuses]
        self.inbox[envelope["event_id"]] = identity(records[0])
        for status in statuses:
            self.result(envelope["event_id"], op.id, status)
        return op

    def result(self, event_id: str, correlation_id: str, status: str) -> Message:
        """Publish a command's result."""
        topic = topics.COMMAND_RESULTS
        return self.event(topic, event_id, correlation_id, command_id=event_id, status=status)

    def flood(self, rows: int = 3) -> Op:
        """Have the outbox filled with rows that nobody reads."""
        op = self.history.op(Op(str(uuid4()), FLOOD, "", None, {"rows": rows}, self.time))
        op.outcome = Outcome.ACKED
        for number in range(rows):
            self.event(FLOOD_TOPIC, "flood", op.id, sequence=number)
        return op

    def imported(self, kind: str, target: str, status: str = "applied", **data: object) -> Op:
        """Have somebody who gives commands only give one; return it with its result published."""
        return self._given(IMPORTER, kind, target, data, [status])

    def imported_class(self) -> str:
        """Have a class made by a command."""
        one, name = str(uuid4()), uuid4().hex
        op = self.imported("class.create", one, class_id=one, name=name, course_codes=["SV1"])
        self.classes[one] = ClassRow(one, IMPORTER, name, "SV1", 1)
        self.event(topics.CLASS_CREATED, one, op.id, user_id=IMPORTER, class_designation=name)
        self.notified("class_created", op.id, teacher=IMPORTER)
        return one

    def batch(self, class_id: str, essays: int = 2) -> str:
        """Have a batch without suggestions stored, and decided by the clock."""
        return self._batch(class_id, [None] * essays)

    def sure_batch(self, class_id: str, student: str) -> str:
        """Have a batch stored with a sure suggestion, which the clock keeps."""
        return self._batch(class_id, [student])

    def decided_batch(self, class_id: str, student: str, essays: int = 2) -> Op:
        """Have a batch of suggestions decided by its teacher; return what was asked."""
        batch_id = self._batch(class_id, [student] * essays, by_clock=False)
        ids = [essay.essay_id for essay in self.essays.values() if essay.batch_id == batch_id]
        decisions = [{"essay_id": one, "confirmed": True} for one in ids]
        return self.op("associations.confirm", batch_id, associations=decisions)

    def _suggested(self, batch_id: str, class_id: str, results: list[dict[str, Any]]) -> Message:
        """Have a message handled."""
        data = {"batch_id": batch_id, "class_id": class_id, "match_results": results}
        record = self.sent(SUGGESTIONS, batch_id, enveloped(SUGGESTIONS, data))
        self.inbox[record.event_id] = None
        return record

    def empty_batch(self, class_id: str, essays: Sequence[str] = ()) -> str:
        """Have a batch closed at once, since it has no essays, or only those of others."""
        batch_id = str(uuid4())
        results = [{"essay_id": one, "suggestions": []} for one in essays]
        record = self._suggested(batch_id, class_id, results)
        self.batches[batch_id] = BatchRow(batch_id, class_id, NOON)
        self._closed(batch_id, class_id, record.correlation_id, [], by_clock=False)
        return batch_id

    def _closed(
        self,
        batch_id: str,
        class_id: str,
        correlation_id: str,
        associations: list[dict[str, object]],
        *,
        by_clock: bool,
    ) -> None:
        """Publish what a batch publishes when it closes."""
        told = {
            "class_id": class_id,
            "associations": associations,
            "timeout_triggered": by_clock,
        }
        self.event(topics.ASSOCIATIONS_CONFIRMED, batch_id, correlation_id, **told)
        self.notified("student_associations_confirmed", correlation_id, batch_id)
        if by_clock:
            self.event(topics.TIMEOUT_PROCESSED, batch_id, correlation_id, user_id=OWNER)
            self.notified("validation_timeout_processed", correlation_id, batch_id)

    def _batch(self, class_id: str, students: list[str | None], *, by_clock: bool = True) -> str:
        batch_id = str(uuid4())
        results = [
            {"essay_id": str(uuid4()), "suggestions": _suggestions(student)} for student in students
        ]
        record = self._suggested(batch_id, class_id, results)
        self.notified("student_matches_suggested", record.correlation_id, batch_id)
        at = NOON + (WAIT if by_clock else timedelta(seconds=self.time))
        method = ("timeout_confirmed", "timeout") if by_clock else ("confirmed", "human")
        who = "SYSTEM_TIMEOUT" if by_clock else OWNER
        for result, student in zip(results, students, strict=True):
            one, sure = str(result["essay_id"]), SURE if student else 0.0
            self.essays[one] = EssayRow(
                one, batch_id, student, sure, student, *method, who, at, NOON, NOON + WAIT
            )
        self.batches[batch_id] = BatchRow(batch_id, class_id, at)
        told: list[dict[str, object]] = [
            {"essay_id": r["essay_id"], "student_id": student, "validation_method": method[1]}
            for r, student in zip(results, students, strict=True)
        ]
        self._closed(batch_id, class_id, record.correlation_id, told, by_clock=by_clock)
        return batch_id

    # --- classes that are deleted, and mistakes that are mended ---------------------------------

    def essays_of(self, batch_id: str) -> list[EssayRow]:
        """Return the essays of a batch."""
        return [essay for essay in self.essays.values() if essay.batch_id == batch_id]

    def deleted_class(self) -> str:
        """Have a class deleted whose batch was open; return the batch."""
        class_id = self.new_class()
        batch_id = str(uuid4())
        result: dict[str, Any] = {"essay_id": str(uuid4()), "suggestions": []}
        record = self._suggested(batch_id, class_id, [result])
        self.notified("student_matches_suggested", record.correlation_id, batch_id)
        op = self.op("class.delete", class_id)
        del self.classes[class_id]
        self.event(topics.CLASS_DELETED, class_id, op.id, user_id=OWNER)
        one, at = result["essay_id"], NOON + timedelta(seconds=self.time)
        decided = (None, "rejected", "human", OWNER, at)
        self.essays[one] = EssayRow(one, batch_id, None, 0.0, *decided, NOON, NOON + WAIT)
        self.batches[batch_id] = BatchRow(batch_id, None, at)
        told: dict[str, object] = {"essay_id": one, "student_id": None}
        told["validation_method"] = "human"
        self._closed(batch_id, class_id, record.correlation_id, [told], by_clock=False)
        late = self._suggested(batch_id, class_id, [{"essay_id": str(uuid4()), "suggestions": []}])
        del self.inbox[late.event_id]
        self.inbox[identity(late)] = None
        self.bury(late, "class_deleted")
        return batch_id

    def correct(self, essay_id: str, student: str | None) -> Op:
        """Have a decision corrected."""
        essay = self.essays[essay_id]
        op = self.op("associations.correct", essay.batch_id, essay_id=essay_id, student_id=student)
        assert essay.decision is not None
        self.past.setdefault(essay_id, []).append(essay.decision)
        status = "confirmed" if student else "rejected"
        at = NOON + timedelta(hours=1, seconds=self.time)
        self.essays[essay_id] = replace(
            essay,
            student_id=student,
            status=status,
            method="human",
            validated_by=OWNER,
            validated_at=at,
        )
        self.told_corrected(op, essay_id, student)
        return op

    def told_corrected(self, op: Op, essay_id: str, student: str | None) -> Message:
        """Publish the event of a correction, or of an essay whose student was merged."""
        return self.event(
            topics.ASSOCIATION_UPDATED,
            self.essays[essay_id].batch_id,
            op.id,
            essay_id=essay_id,
            student_id=student,
            created_by_user_id=OWNER,
        )

    def merge(self, one: str, into: str) -> Op:
        """Have a student made one with another of the same classes."""
        op = self.op("student.merge", one, into=into)
        del self.students[one]
        self.enrollments = {(c, s) for c, s in self.enrollments if s != one}
        row = self.students[into]
        self.students[into] = replace(row, version=row.version + 1)
        name = {"first_name": row.first_name, "updated_by_user_id": OWNER}
        self.event(topics.STUDENT_UPDATED, into, op.id, **name)
        for essay in [e for e in self.essays.values() if e.student_id == one]:
            self.essays[essay.essay_id] = replace(essay, student_id=into)
            self.told_corrected(op, essay.essay_id, into)
        for essay in [e for e in self.essays.values() if e.suggested_student_id == one]:
            self.essays[essay.essay_id] = replace(essay, suggested_student_id=into)
        self.past = {i: [_moved(d, one, into) for d in past] for i, past in self.past.items()}
        self.event(topics.STUDENT_DELETED, one, op.id, deleted_by_user_id=OWNER)
        return op

    def leave(self, one: str, class_id: str) -> Op:
        """Have a student leave a class."""
        op = self.op("student.update", one, remove_class_ids=[class_id])
        self.enrollments.remove((class_id, one))
        row = self.students[one]
        self.students[one] = replace(row, version=row.version + 1)
        told = {"first_name": row.first_name, "updated_by_user_id": OWNER}
        self.event(topics.STUDENT_UPDATED, one, op.id, **told, remove_class_ids=[class_id])
        return op

    def left_again(self, one: str, class_id: str) -> Op:
        """Have a command take a student out of a class where it is not: nothing changes."""
        body = {"student_id": one, "remove_class_ids": [class_id]}
        return self._given(IMPORTER, "student.update", one, body, ["applied"])

    def joined(self, one: str, class_id: str) -> Op:
        """Have a student of an importer's join a second class by a command."""
        row = self.students[one]
        name = {"first_name": row.first_name, "last_name": row.last_name}
        body = {"student_id": one, "person_name": name, "class_ids": [class_id]}
        op = self._given(IMPORTER, "student.join", one, body, ["applied"])
        self.enrollments.add((class_id, one))
        self.students[one] = replace(row, version=row.version + 1)
        told = {**name, "updated_by_user_id": IMPORTER, "add_class_ids": [class_id]}
        self.event(topics.STUDENT_UPDATED, one, op.id, **told)
        self.notified("student_added_to_class", op.id, teacher=IMPORTER)
        return op

    def imported_student(self, class_id: str) -> str:
        """Have a student of a class made by a command."""
        one, name = str(uuid4()), {"first_name": uuid4().hex, "last_name": "Berg"}
        body = {"student_id": one, "person_name": name, "class_ids": [class_id]}
        op = self._given(IMPORTER, "student.create", one, body, ["applied"])
        self.students[one] = StudentRow(
            one, IMPORTER, name["first_name"], name["last_name"], None, 1
        )
        self.enrollments.add((class_id, one))
        told = {**name, "class_ids": [class_id], "created_by_user_id": IMPORTER}
        self.event(topics.STUDENT_CREATED, one, op.id, **told)
        self.notified("student_added_to_class", op.id, teacher=IMPORTER)
        return one


def _answer(op: Op) -> dict[str, Any] | None:
    """Return what the service says of a request that it has done; `op` is about to be done."""
    if op.kind.endswith(".delete"):
        return None
    if op.kind == "associations.confirm":
        counts = {"associations_confirmed": len(op.body["associations"])}
        zeros = {"associations_rejected": 0, "associations_pending": 0}
        return {"status": "confirmed", **counts, **zeros}
    if op.kind == "associations.correct":
        return dict(op.body)
    name = op.body.get("person_name", {})
    return {"id": op.body.get("into", op.target), "name": op.body.get("name"), **name}


def _moved(row: DecisionRow, one: str, into: str) -> DecisionRow:
    """Return a past decision as it is after a student was merged into another."""
    return replace(row, student_id=into) if row.student_id == one else row


def _suggestions(student: str | None) -> list[dict[str, object]]:
    return [{"student_id": student, "confidence_score": SURE}] if student else []
