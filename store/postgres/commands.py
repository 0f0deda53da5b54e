"""Executing commands on PostgreSQL: many in one transaction, each with its result."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final
from uuid import UUID

from rules.changes import NewClassRequest, NewStudentRequest
from rules.commands import orders
from rules.commands.deduplication import Arrival, arrivals
from rules.commands.orders import Command, CommandDelivery
from rules.commands.results import CommandResult, CommandStatus, answers, applied, created, rejected
from rules.commands.rosters import registered
from rules.commands.runs import runs
from rules.dead_letters.messages import delivery_id
from rules.dead_letters.replays import endings_of
from rules.errors import ServiceError
from rules.models import Policy
from rules.progress import Progress
from store.clock import utc_now
from store.postgres import (
    corrections,
    dead_letters,
    decisions,
    gathered,
    inbox_entries,
    merging,
    outbox,
    progress,
    roster,
    sql,
    student_updates,
    students,
)
from store.postgres.database import Connection, Database

#: Orders of which nothing is left when they are refused, so that there is nothing to undo: a
#: savepoint would be two more round trips.
_REFUSED_AT_ONCE: Final = (
    orders.ClassUpdate,
    orders.ClassDelete,
    orders.StudentUpdate,
    orders.StudentDelete,
    orders.AssociationsCorrect,
)


class PostgresCommandRepository:
    """Implements CommandRepositoryProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def apply_commands(
        self, deliveries: Sequence[CommandDelivery], reached: Sequence[Progress] = ()
    ) -> list[CommandResult]:
        async def work(connection: Connection) -> list[CommandResult]:
            results = await _apply(connection, deliveries, self._policy)
            await progress.keep(connection, reached)
            return results

        return await self._database.transact(work)


async def _apply(
    connection: Connection, deliveries: Sequence[CommandDelivery], policy: Policy
) -> list[CommandResult]:
    arrived = await _enter_inbox(connection, deliveries)
    first = [
        delivery.command
        for delivery, arrival in zip(deliveries, arrived, strict=True)
        if arrival is Arrival.FIRST
    ]
    async with gathered.gathering(connection) as messages:
        done = await _carry_out_all(connection, first, policy)
    results, told = answers(deliveries, arrived, done, utc_now())
    await outbox.put(connection, [*messages, *told])
    endings = endings_of(deliveries, [result.status for result in results])
    await dead_letters.note(connection, endings)
    return results


async def _enter_inbox(
    connection: Connection, deliveries: Sequence[CommandDelivery]
) -> list[Arrival]:
    """Claim the event ids; return how each delivery relates to earlier ones."""
    identities = [delivery_id(delivery.record) for delivery in deliveries]
    known = {row["id"] for row in await connection.fetch(sql.inbox.HANDLED_BEFORE, identities)}
    claimed: dict[UUID, UUID] = {}
    for delivery, identity in zip(deliveries, identities, strict=True):
        if identity not in known:
            claimed.setdefault(delivery.command.event_id, identity)
    handled = await inbox_entries.enter_commands(connection, claimed)
    arrived = arrivals(deliveries, identities, known, handled)
    return await _enter_repetitions(connection, identities, arrived)


async def _enter_repetitions(
    connection: Connection, identities: Sequence[UUID], arrived: Sequence[Arrival]
) -> list[Arrival]:
    """Claim the deliveries that repeat a command; return `arrived`, updated.

    Another worker may have handled the same records and committed since the inbox was read. It has
    answered what it claimed.
    """
    repeated = [
        identity
        for identity, arrival in zip(identities, arrived, strict=True)
        if arrival is Arrival.REPEATED
    ]
    if not repeated:
        return list(arrived)
    entered = {row["id"] for row in await connection.fetch(sql.inbox.ENTER_INBOX, repeated)}
    answered = set(repeated) - entered
    return [
        Arrival.REDELIVERED if identity in answered else arrival
        for identity, arrival in zip(identities, arrived, strict=True)
    ]


async def _carry_out_all(
    connection: Connection, commands: Sequence[Command], policy: Policy
) -> list[CommandResult]:
    """Execute commands, each user's in their order; return their results in the same order."""
    results: dict[int, CommandResult] = {}
    for run in runs(commands):
        some = [commands[place] for place in run.places]
        if run.kind is orders.ClassCreate:
            made = await _create_classes(connection, some)
        elif run.kind is orders.StudentCreate:
            made = await _create_students(connection, some)
        elif run.kind is orders.StudentUpdate:
            made = await _update_students(connection, some)
        elif run.kind is orders.RosterRegister:
            made = await _register_all(connection, some, policy)
        else:
            made = [await _carry_out(connection, command, policy) for command in some]
        results.update(zip(run.places, made, strict=True))
    return [results[place] for place in range(len(commands))]


async def _create_classes(
    connection: Connection, commands: Sequence[Command]
) -> list[CommandResult]:
    requests = [
        NewClassRequest(command.caller, command.order.new)
        for command in commands
        if isinstance(command.order, orders.ClassCreate)
    ]
    return [created(made) for made in await roster.create_classes(connection, requests)]


async def _create_students(
    connection: Connection, commands: Sequence[Command]
) -> list[CommandResult]:
    requests = [
        NewStudentRequest(command.caller, command.order.new)
        for command in commands
        if isinstance(command.order, orders.StudentCreate)
    ]
    return [created(made) for made in await students.create(connection, requests, joins=True)]


async def _update_students(
    connection: Connection, commands: Sequence[Command]
) -> list[CommandResult]:
    asked = [
        (command.caller, command.order.student_id, command.order.change)
        for command in commands
        if isinstance(command.order, orders.StudentUpdate)
    ]
    refusals = await student_updates.update(connection, asked)
    return [
        applied(*command.named) if refusal is None else rejected(refusal)
        for command, refusal in zip(commands, refusals, strict=True)
    ]


async def _carry_out(connection: Connection, command: Command, policy: Policy) -> CommandResult:
    """Execute one command; a refusal undoes it alone."""
    if isinstance(command.order, orders.Refused):
        return rejected(command.order.error)
    if isinstance(command.order, _REFUSED_AT_ONCE):
        return await _changed(connection, command, policy)
    return await gathered.attempt(
        connection, lambda: _changed(connection, command, policy), _is_kept
    )


def _is_kept(result: CommandResult) -> bool:
    return result.status is not CommandStatus.REJECTED


def _are_kept(results: Iterable[CommandResult]) -> bool:
    return all(map(_is_kept, results))


async def _changed(connection: Connection, command: Command, policy: Policy) -> CommandResult:
    try:
        return await _change(connection, command, policy)
    except ServiceError as refusal:
        return rejected(refusal)


async def _change(connection: Connection, command: Command, policy: Policy) -> CommandResult:
    caller, order = command.caller, command.order
    match order:
        case orders.ClassUpdate(class_id, change):
            await roster.update_class(connection, caller, class_id, change)
        case orders.ClassDelete(class_id):
            await roster.delete_class(connection, caller, class_id, policy)
        case orders.StudentUpdate(student_id, student_change):
            await roster.update_student(connection, caller, student_id, student_change)
        case orders.StudentDelete(student_id):
            await roster.delete_student(connection, caller, student_id)
        case orders.AssociationsConfirm(batch_id, wanted, minimum):
            await decisions.confirm(connection, caller, batch_id, wanted, policy, minimum)
        case orders.AssociationsCorrect(batch_id, essay_id, given):
            await corrections.correct(connection, caller, batch_id, essay_id, given)
        case orders.StudentMerge(student_id, into):
            await merging.merge_students(connection, caller, student_id, into)
        case orders.RosterRegister():
            (result,) = await _register(connection, [command])
            return result
        case _:
            raise AssertionError(f"{type(order).__name__} is not carried out alone")
    return applied(*command.named)


async def _register_all(
    connection: Connection, commands: Sequence[Command], policy: Policy
) -> list[CommandResult]:
    """Register rosters together; if one is refused, of whom nothing may stay, one by one."""
    if len(commands) > 1:
        together = await gathered.attempt(
            connection, lambda: _register(connection, commands), _are_kept
        )
        if _are_kept(together):
            return together
    return [await _carry_out(connection, command, policy) for command in commands]


async def _register(connection: Connection, commands: Sequence[Command]) -> list[CommandResult]:
    """Create the students of rosters; what is refused has left something all the same."""
    rosters = [(c.caller, c.order) for c in commands if isinstance(c.order, orders.RosterRegister)]
    try:
        classes = {(caller.user_id, one.class_id) for caller, one in rosters}
        await roster.keep_classes(connection, classes)
    except ServiceError as refusal:
        return [rejected(refusal) for _ in rosters]
    requests = [NewStudentRequest(caller, row.new) for caller, one in rosters for row in one.rows]
    made = iter(await students.create(connection, requests, joins=True))
    return [registered(one, list(islice(made, len(one.rows)))) for _, one in rosters]
