"""Executing commands in memory, each with its result."""

from collections.abc import Sequence
from typing import Final

from rules import topics
from rules.changes import NewClassRequest, NewStudentRequest
from rules.commands import orders
from rules.commands.deduplication import Arrival, arrivals
from rules.commands.orders import Command, CommandDelivery
from rules.commands.results import CommandResult, CommandStatus, answers, applied, created, rejected
from rules.commands.rosters import registered
from rules.dead_letters.messages import delivery_id
from rules.dead_letters.replays import endings_of
from rules.errors import ServiceError
from rules.inbox import id_beside
from rules.models import Caller
from rules.progress import Progress
from store.memory import (
    corrections,
    dead_letters,
    decisions,
    merging,
    progress,
    roster,
    students,
)
from store.memory.state import MemoryStore


class MemoryCommandRepository:
    """Implements CommandRepositoryProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def apply_commands(
        self, deliveries: Sequence[CommandDelivery], reached: Sequence[Progress] = ()
    ) -> list[CommandResult]:
        arrived = self._enter_inbox(deliveries)
        done = [
            _carry_out(self._store, delivery.command)
            for delivery, arrival in zip(deliveries, arrived, strict=True)
            if arrival is Arrival.FIRST
        ]
        results, messages = answers(deliveries, arrived, done, self._store.now())
        self._store.publish(messages)
        endings = endings_of(deliveries, [result.status for result in results])
        dead_letters.note(self._store, endings)
        progress.keep(self._store, reached)
        return results

    def _enter_inbox(self, deliveries: Sequence[CommandDelivery]) -> list[Arrival]:
        store = self._store
        identities = [delivery_id(delivery.record) for delivery in deliveries]
        event_ids = [delivery.command.event_id for delivery in deliveries]
        entries = {i: id_beside(topics.COMMANDS, i) for i in event_ids}
        handled = {
            i: store.delivered.get(i) for i, entry in entries.items() if entry in store.inbox
        }
        arrived = arrivals(deliveries, identities, store.inbox.keys(), handled)
        now = store.now()
        for event_id, identity, arrival in zip(event_ids, identities, arrived, strict=True):
            if arrival is Arrival.FIRST:
                store.inbox[entries[event_id]] = now
                store.delivered[event_id] = identity
            elif arrival is Arrival.REPEATED:
                store.inbox[identity] = now
        return arrived


def _carry_out(store: MemoryStore, command: Command) -> CommandResult:
    if isinstance(command.order, orders.Refused):
        return rejected(command.order.error)
    try:
        return _change(store, command)
    except ServiceError as refusal:
        return rejected(refusal)


def _change(store: MemoryStore, command: Command) -> CommandResult:
    caller, order = command.caller, command.order
    match order:
        case orders.ClassCreate(new_class):
            return created(roster.create_class(store, NewClassRequest(caller, new_class)))
        case orders.StudentCreate(new_student):
            request = NewStudentRequest(caller, new_student)
            return created(students.create_student(store, request, joins=True))
        case orders.RosterRegister():
            return _register(store, command, order)
        case orders.ClassUpdate(class_id, change):
            roster.update_class(store, caller, class_id, change)
        case orders.ClassDelete(class_id):
            roster.delete_class(store, caller, class_id)
        case orders.StudentUpdate(student_id, student_change):
            roster.update_student(store, caller, student_id, student_change)
        case orders.StudentDelete(student_id):
            roster.delete_student(store, caller, student_id)
        case orders.AssociationsConfirm(batch_id, wanted, minimum):
            decisions.confirm(store, caller, batch_id, wanted, minimum)
        case orders.AssociationsCorrect() | orders.StudentMerge():
            _mend(store, caller, order)
    return applied(*command.named)


def _mend(
    store: MemoryStore, caller: Caller, order: orders.AssociationsCorrect | orders.StudentMerge
) -> None:
    if isinstance(order, orders.StudentMerge):
        merging.merge_students(store, caller, order.student_id, order.into)
    else:
        corrections.correct(store, caller, order.batch_id, order.essay_id, order.student_id)


def _register(store: MemoryStore, command: Command, order: orders.RosterRegister) -> CommandResult:
    store.class_of(command.caller.user_id, order.class_id)
    roll_back = store.savepoint()
    requests = [NewStudentRequest(command.caller, row.new) for row in order.rows]
    made = [students.create_student(store, request, joins=True) for request in requests]
    result = registered(order, made)
    if result.status is CommandStatus.REJECTED:
        roll_back()
    return result
