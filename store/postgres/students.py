"""Creating students: for teachers, and for the clock, which needs UNKNOWN (placeholders)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from rules.changes import Created, NewStudentRequest
from rules.emails import key_of
from rules.errors import EmailConflictError, ExternalIdConflictError, ServiceError
from rules.events import roster
from rules.joining import (
    Joining,
    Meant,
    Outcome,
    answer_existing,
    beyond_own_limit,
    runs_of,
    without_place,
)
from rules.limits import MAX_STUDENTS
from rules.models import ClassSummary, OutboxMessage, StudentRecord
from store.clock import utc_now
from store.pace import Pace
from store.postgres import changes, external_ids, joining, outbox, rows, sql
from store.postgres.database import Connection
from store.postgres.places import exact_sizes

#: Who is in the way of a new student may be gone when it is looked for: then it is created.
_ATTEMPTS: Final = 3


async def create(
    connection: Connection,
    requests: Sequence[NewStudentRequest],
    *,
    joins: bool = False,
    limited: bool = True,
) -> list[Outcome]:
    """Create students; a refusal takes its request's place and does not affect the others.

    With `joins` who is there already joins the classes of its request: that takes a transaction.
    The service's own students are not `limited`: they count for no class.
    """
    way = _Way(connection, joins, limited)
    made: list[Outcome] = []
    for run in runs_of(requests):
        made += await _create(way, run)
    return made


@dataclass(frozen=True, slots=True)
class _Way:
    """How students are created."""

    connection: Connection
    joins: bool
    limited: bool


@dataclass(frozen=True, slots=True)
class _Classes:
    """Those that students join, and how many each has at most (an UNKNOWN one included)."""

    summaries: Mapping[UUID, ClassSummary]
    sizes: Mapping[UUID, int]

    def owned(self, request: NewStudentRequest) -> bool:
        """Whether all of a request's classes are the caller's."""
        user_id = request.caller.user_id
        for class_id in request.new.class_ids:
            cls = self.summaries.get(class_id)
            if cls is None or cls.owner_id != user_id:
                return False
        return True


async def _create(way: _Way, requests: Sequence[NewStudentRequest]) -> list[Outcome]:
    """Create students of a run in one statement, after one that reads the classes they join.

    If a class is deleted between the two, the second fails on its foreign key; then all is repeated
    and the class is missed. Only who is not created takes more statements.
    """
    classes = await _classes_of(way.connection, requests)
    answers: dict[UUID, Outcome] = {**await _without_place(way, requests, classes)}
    is_beyond = beyond_own_limit(requests[0]) is not None  # then all of the run are
    rest = _unanswered(requests, answers)
    for _ in range(_ATTEMPTS):
        fit = [] if is_beyond else [r for r in rest if classes.owned(r)]
        answers |= await _insert(way.connection, fit, classes)
        rest = _unanswered(rest, answers)
        if not rest:
            break
        answers |= await _answer_existing(way, rest, classes)
        rest = _unanswered(rest, answers)
    return [answers.get(r.new.id) or _taken(r) for r in requests]


def _unanswered(
    requests: Sequence[NewStudentRequest], answers: Mapping[UUID, Outcome]
) -> Sequence[NewStudentRequest]:
    return [r for r in requests if r.new.id not in answers] if answers else requests


def _taken(request: NewStudentRequest) -> ServiceError:
    """Return the refusal of who was refused again and again because of students who are gone."""
    return EmailConflictError() if request.new.external_id is None else ExternalIdConflictError()


async def _without_place(
    way: _Way, requests: Sequence[NewStudentRequest], classes: _Classes
) -> dict[UUID, ServiceError]:
    """Return the refusals of requests for full classes; a class has room for all as a rule."""
    if not way.limited:
        return {}
    taking = [r for r in requests if not beyond_own_limit(r)]
    joins = (class_id for r in taking for class_id in r.new.class_ids)
    sizes = await exact_sizes(way.connection, joins, classes.sizes)
    if not sizes:
        return {}
    left = {class_id: MAX_STUDENTS - size for class_id, size in sizes.items()}
    meant = await _meant(way.connection, taking)
    answers = [_answer(way, r, meant, classes) for r in taking]
    return without_place(taking, answers, left, joins=way.joins)


async def _answer_existing(
    way: _Way, requests: Sequence[NewStudentRequest], classes: _Classes
) -> dict[UUID, Outcome]:
    """Answer the requests whose student is there, or has its email; who has left meanwhile not."""
    meant = await _meant(way.connection, requests)
    answers: dict[UUID, Outcome] = {}
    found: list[tuple[NewStudentRequest, Joining]] = []
    for request in requests:
        answer = _answer(way, request, meant, classes)
        if isinstance(answer, Joining):
            found.append((request, answer))
        elif answer is not None:
            answers[request.new.id] = answer
    return answers | await joining.join(way.connection, found)


def _answer(
    way: _Way, request: NewStudentRequest, meant: Mapping[UUID, Meant], classes: _Classes
) -> Created[StudentRecord] | Joining | ServiceError | None:
    has_classes = classes.owned(request)
    whom = meant[request.new.id]
    answer = answer_existing(request, whom, has_classes=has_classes, joins=way.joins)
    return answer or beyond_own_limit(request)


async def _meant(
    connection: Connection, requests: Sequence[NewStudentRequest]
) -> dict[UUID, Meant]:
    """Return whom each request means, by its id."""
    by_id = await read(connection, [r.new.id for r in requests])
    others = [(r.new, r.caller.user_id) for r in requests if r.new.id not in by_id]
    emails = [(new.id, owner, new.email) for new, owner in others if new.email is not None]
    called = [(n.id, owner, n.external_id) for n, owner in others if n.external_id is not None]
    with_email = await email_holders(connection, emails)
    with_external_id = await external_ids.holders(connection, called)
    records = await read(connection, list({*with_email.values(), *with_external_id.values()}))
    by_email = {of_id: records[i] for of_id, i in with_email.items() if i in records}
    named = {of_id: records[i] for of_id, i in with_external_id.items() if i in records}
    return {i: Meant(by_id.get(i), by_email.get(i), named.get(i)) for i in _ids(requests)}


def _ids(requests: Iterable[NewStudentRequest]) -> list[UUID]:
    return [request.new.id for request in requests]


async def read(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, StudentRecord]:
    """Return students by their ids."""
    found = await connection.fetch(sql.students.STUDENTS_BY_ID, ids) if ids else []
    return {row["id"]: rows.student_record(row) for row in found}


async def email_holders(
    connection: Connection, wanted: Sequence[tuple[UUID, str, str]]
) -> dict[UUID, UUID]:
    """Return who has an address: `wanted` are ids of whatever asks, owners and addresses."""
    if not wanted:
        return {}
    keyed = [(*one, key_of(one[2])) for one in wanted]
    found = await connection.fetch(sql.students.EMAIL_HOLDERS, *outbox.transposed(keyed, 4))
    return {row["of_id"]: row["id"] for row in found}


async def _classes_of(connection: Connection, requests: Iterable[NewStudentRequest]) -> _Classes:
    class_ids = {class_id for request in requests for class_id in request.new.class_ids}
    found = await connection.fetch(sql.classes.READ_CLASSES, list(class_ids)) if class_ids else []
    summaries = {row["id"]: rows.class_summary(row) for row in found}
    # With the ids as given: asyncpg has its own UUID class, which JSON is slow with.
    return _Classes(
        {i: replace(summaries[i], id=i) for i in class_ids if i in summaries},
        {row["id"]: row["size"] for row in found},
    )


async def _insert(
    connection: Connection,
    requests: Sequence[NewStudentRequest],
    classes: _Classes,
) -> dict[UUID, Created[StudentRecord]]:
    if not requests:
        return {}
    values = [
        (
            r.new.id,
            r.caller.user_id,
            r.new.name.first_name,
            r.new.name.last_name,
            r.new.name.legal_full_name,
            r.new.email,
        )
        for r in requests
    ]
    enrolments = [(class_id, r.new.id) for r in requests for class_id in r.new.class_ids]
    messages: list[tuple[UUID, OutboxMessage]] = []
    pace = Pace()
    at = utc_now()
    for r in requests:
        joined = [classes.summaries[class_id] for class_id in r.new.class_ids]
        events = roster.student_created(r.caller, r.new, joined, at)
        messages += ((r.new.id, message) for message in events)
        await pace.keep()
    ((ids, since),) = await connection.fetch(
        sql.students.INSERT_STUDENTS,
        *outbox.transposed(values, 6),
        *outbox.transposed(enrolments, 2),
        *outbox.columns_beside(connection, messages),
        changes.correlations(connection, (r.caller.trace for r in requests)),
        [None if r.new.email is None else key_of(r.new.email) for r in requests],
        [r.new.is_placeholder for r in requests],
        [r.made_by for r in requests],
        [r.new.external_id for r in requests],
    )
    if len(ids) < len(requests):
        made = set(ids)
        requests = [r for r in requests if r.new.id in made]
    created = {r.new.id: Created(_record(r, since), is_new=True) for r in requests}
    outbox.put_beside(connection, messages, created)
    return created


def _record(request: NewStudentRequest, at: datetime) -> StudentRecord:
    """Return a student as it was inserted: what it does not say is the columns' default."""
    new = request.new
    return StudentRecord(
        id=new.id,
        owner_id=request.caller.user_id,
        name=new.name,
        email=new.email,
        class_ids=tuple(sorted(new.class_ids)),
        version=1,
        created_at=at,
        updated_at=at,
        is_placeholder=new.is_placeholder,
        external_id=new.external_id,
    )
