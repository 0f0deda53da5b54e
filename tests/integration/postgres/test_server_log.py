"""What PostgreSQL writes into its own log when somebody is refused: nothing of anybody.

An error's detail quotes the key that is there already, so none is provoked.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from devstack.postgres import EmbeddedPostgres
from devstack.rig.database import connected
from rules.changes import NewStudentRequest
from rules.commands.results import CommandStatus
from rules.errors import (
    EmailConflictError,
    ExternalIdConflictError,
    IdempotencyConflictError,
    ServiceError,
)
from rules.ids import new_id
from rules.imports.plans import ImportState
from rules.models import (
    ClassChange,
    EmailChange,
    ExternalIdChange,
    HumanDecision,
    Policy,
    StudentChange,
    StudentRecord,
)
from rules.timeouts import unknown_student_email
from tests.integration.store.builders import (
    A_DAY,
    Stores,
    caller,
    make_batch,
    make_class,
    make_student,
    new_student,
    person,
)
from tests.support.commands import deliver, student
from tests.support.imports import (
    CREATED,
    DELETED,
    LEFT,
    UPDATED,
    begun,
    finished,
    name,
    planned,
    row,
)
from tests.support.stores import postgres_stores

MARK: Final = "Qzyzxq"
TEACHER: Final = caller(f"{MARK}-lärare")
LAST: Final = f"Öberg{MARK}"
ROUNDS: Final = 25


def address() -> str:
    return f"{MARK}.{new_id().hex}@skola.example"


@pytest.fixture
async def stores(migrated_database: str) -> AsyncIterator[Stores]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield stores


class ServerLog:
    """What the server has written since the test began."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = path.stat().st_size

    def text(self) -> str:
        with self._path.open("rb") as log:
            log.seek(self._from)
            return log.read().decode("utf-8", "replace")


@pytest.fixture
def log(postgres_server: EmbeddedPostgres) -> ServerLog:
    assert postgres_server.log_path is not None
    return ServerLog(postgres_server.log_path)


async def new(stores: Stores, email: str | None = None) -> StudentRecord:
    return await make_student(stores, TEACHER, new_student("Åsa", LAST, email))


async def create(
    stores: Stores, email: str, student_id: UUID | None = None
) -> StudentRecord | ServiceError:
    wanted = new_student("Åsa", LAST, email, student_id=student_id)
    [made] = await stores.classes.create_students([NewStudentRequest(TEACHER, wanted)])
    return made


async def change(
    stores: Stores, record: StudentRecord, email: str | None
) -> StudentRecord | ServiceError:
    wanted = StudentChange(person("Åsa", LAST), EmailChange(email))
    try:
        return await stores.classes.update_student(TEACHER, record.id, wanted)
    except ServiceError as refusal:
        return refusal


def assert_nobody_in(log: ServerLog) -> None:
    text = log.text()
    assert MARK.lower() not in text.lower(), text
    assert "ERROR" not in text, text


async def test_the_log_is_the_one_that_would_show_it(
    migrated_database: str, log: ServerLog
) -> None:
    """Else the other tests could not fail."""
    add = "insert into students values ($1, $2, $3, $3, $3, $4)"
    row = TEACHER.user_id, LAST, address()
    async with connected(migrated_database) as connection:
        await connection.execute(add, new_id(), *row)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(add, new_id(), *row)
    assert MARK.lower() in log.text()
    assert "ERROR" in log.text()


async def test_a_taken_address_is_refused_without_an_error_there(
    stores: Stores, log: ServerLog
) -> None:
    email = address()
    holder, other = await new(stores, email), await new(stores, address())
    bare = await new(stores)
    for given in (email, email.upper()):
        assert isinstance(await create(stores, given), EmailConflictError)
        assert isinstance(await change(stores, other, given), EmailConflictError)
        assert isinstance(await change(stores, bare, given), EmailConflictError)
    assert isinstance(await create(stores, address(), holder.id), IdempotencyConflictError)
    assert_nobody_in(log)


async def test_an_own_address_and_a_free_one_are_no_conflict(
    stores: Stores, log: ServerLog
) -> None:
    record = await new(stores, address())
    free = address()
    for email in (free, free.upper(), None, free, free):
        changed = await change(stores, record, email)
        assert isinstance(changed, StudentRecord)
        assert changed.email == email
        read = await stores.classes.get_student(TEACHER.user_id, record.id)
        assert (read.email, read.version) == (email, changed.version)
    assert_nobody_in(log)


async def test_commands_are_refused_without_an_error_there(stores: Stores, log: ServerLog) -> None:
    email = address()
    await new(stores, email)
    other = await new(stores, address())
    room = await make_class(stores, TEACHER)
    row = student(email) | {"person_name": {"first_name": "Eva", "last_name": LAST}}
    rows = [{**row, "email": address()}, row, {**row, "email": address()}]
    deliveries = [
        deliver("student.create", TEACHER.user_id, **row),
        deliver("student.update", TEACHER.user_id, student_id=other.id, email=email),
        deliver("roster.register", TEACHER.user_id, class_id=room.id, students=rows),
        deliver("student.update", TEACHER.user_id, student_id=other.id, email=address()),
    ]
    results = await stores.commands.apply_commands(deliveries)
    rejected = CommandStatus.REJECTED, "STUDENT_EMAIL_CONFLICT"
    assert [(r.status, r.error_code) for r in results] == [
        *[rejected] * 3,
        (CommandStatus.APPLIED, None),
    ]
    assert_nobody_in(log)


async def test_a_taken_external_id_is_refused_without_an_error_there(
    stores: Stores, log: ServerLog
) -> None:
    mark = ExternalIdChange(f"{MARK}-4711")
    room, other = await make_class(stores, TEACHER), await make_class(stores, TEACHER)
    one, two = await new(stores), await new(stores, address())
    await stores.classes.update_class(TEACHER, room.id, ClassChange(external_id=mark))
    await stores.classes.update_student(TEACHER, one.id, StudentChange(external_id=mark))
    with pytest.raises(ExternalIdConflictError):
        await stores.classes.update_class(TEACHER, other.id, ClassChange(external_id=mark))
    with pytest.raises(ExternalIdConflictError):
        await stores.classes.update_student(TEACHER, two.id, StudentChange(external_id=mark))
    row = student(two.email) | {"person_name": {"first_name": "Åsa", "last_name": LAST}}
    rows = [{**row, "external_id": mark.external_id}, {**row, "external_id": f"{MARK}-4712"}]
    given: dict[str, Any] = {"name": MARK, "course_codes": ["SV1"], "external_id": mark.external_id}
    deliveries = [
        deliver("class.create", TEACHER.user_id, **given),
        deliver("student.create", TEACHER.user_id, **rows[0]),
        deliver("roster.register", TEACHER.user_id, class_id=room.id, students=rows[1:]),
    ]
    results = await stores.commands.apply_commands(deliveries)
    assert [r.error_code for r in results] == ["EXTERNAL_ID_CONFLICT", None, None]
    merged = await stores.classes.merge_students(TEACHER, one.id, two.id)
    assert merged.external_id == f"{MARK}-4712"
    assert_nobody_in(log)


async def test_unknown_is_found_without_an_error_there(stores: Stores, log: ServerLog) -> None:
    batches = [await make_batch(stores, None) for _ in range(2)]
    squatter = batches[0].room
    email = unknown_student_email(squatter.id).upper()
    await make_student(stores, squatter.teacher, new_student("Åsa", LAST, email))
    await stores.elapse(2 * A_DAY)
    await stores.timers.decide_due([batch.id for batch in batches])
    assert_nobody_in(log)


Attempt = Callable[[Stores, str], Coroutine[Any, Any, StudentRecord | ServiceError]]


async def _change_anew(stores: Stores, email: str) -> StudentRecord | ServiceError:
    return await change(stores, await new(stores, address()), email)


@pytest.mark.parametrize(
    "attempts",
    [
        [create, create],
        [create, _change_anew],
        [_change_anew, _change_anew],
        [create, _change_anew, create, _change_anew],
    ],
)
async def test_of_those_who_want_one_address_at_once_one_gets_it(
    stores: Stores, log: ServerLog, attempts: list[Attempt]
) -> None:
    outcomes: Counter[type] = Counter()
    for _ in range(ROUNDS):
        email = address()
        done = await asyncio.gather(*(attempt(stores, email) for attempt in attempts))
        assert sum(isinstance(one, StudentRecord) for one in done) == 1
        outcomes.update(type(one) for one in done)
    assert outcomes == {
        StudentRecord: ROUNDS,
        EmailConflictError: ROUNDS * (len(attempts) - 1),
    }
    assert_nobody_in(log)


async def test_an_address_that_is_given_up_is_free(stores: Stores, log: ServerLog) -> None:
    """Two who swap addresses are refused or not, and nobody is left without one."""
    for _ in range(ROUNDS):
        first, second = address(), address()
        one, other = await new(stores, first), await new(stores, second)
        done = await asyncio.gather(change(stores, one, second), change(stores, other, first))
        assert all(isinstance(each, EmailConflictError) for each in done)
        assert isinstance(await change(stores, one, None), StudentRecord)
        assert isinstance(await change(stores, other, first), StudentRecord)
    assert_nobody_in(log)


async def test_a_merge_takes_an_address_over_without_an_error_there(
    stores: Stores, log: ServerLog
) -> None:
    for _ in range(ROUNDS):
        email = address()
        gone, into = await new(stores, email), await new(stores)
        merged, refused, other = await asyncio.gather(
            stores.classes.merge_students(TEACHER, gone.id, into.id),
            create(stores, email.upper()),
            _change_anew(stores, email),
        )
        assert merged.email == email
        assert isinstance(refused, EmailConflictError)
        assert isinstance(other, EmailConflictError)
    assert_nobody_in(log)


async def test_corrections_merges_and_deletions_wait_for_each_other_in_one_order(
    stores: Stores, log: ServerLog
) -> None:
    """Else one of them would be a deadlock, found after a second and written there."""
    for _ in range(ROUNDS // 2):
        batch = await make_batch(stores, 0.9, 0.9, 0.9)
        teacher, (gone, into, third) = batch.room.teacher, batch.room.students
        yes = [HumanDecision(essay_id, confirmed=True) for essay_id in batch.essays]
        await stores.associations.confirm(teacher, batch.id, yes)
        await asyncio.gather(
            *(
                stores.associations.correct(teacher, batch.id, essay_id, student_id)
                for essay_id, student_id in zip(batch.essays, (third, gone, into), strict=True)
            ),
            stores.classes.merge_students(teacher, gone, into),
            stores.classes.merge_students(teacher, into, gone),
            stores.classes.delete_student(teacher, third),
            return_exceptions=True,
        )
    assert "deadlock" not in log.text()


async def test_an_import_whose_values_are_taken_meanwhile_says_nothing_of_them(
    stores: Stores, log: ServerLog
) -> None:
    for _ in range(ROUNDS // 2):
        first, second = [await new(stores, address()) for _ in range(2)]
        wanted, called = address(), address()
        record = await planned(
            stores.imports,
            TEACHER,
            row(UPDATED, None, first.id, email=second.email, external_id=called),
            row(UPDATED, None, second.id, email=wanted),
            row(CREATED, None, new_id(), **name("Åsa", LAST), email=first.email),
        )
        await begun(stores.imports, TEACHER, record)
        taken = replace(new_student("Åsa", LAST, wanted.upper()), external_id=called)
        done, _ = await asyncio.gather(
            finished(stores.imports, TEACHER, record),
            stores.classes.create_students([NewStudentRequest(TEACHER, taken)]),
        )
        assert done.state in {ImportState.APPLIED, ImportState.FAILED}
    assert_nobody_in(log)


async def test_imports_and_deletions_wait_for_each_other_in_one_order(
    stores: Stores, log: ServerLog
) -> None:
    for _ in range(ROUNDS // 2):
        batch = await make_batch(stores, 0.9, 0.9, 0.9)
        teacher, (leaves, gone, changed) = batch.room.teacher, batch.room.students
        record = await planned(
            stores.imports,
            teacher,
            row(LEFT, batch.room.id, leaves),
            row(DELETED, batch.room.id, gone),
            row(UPDATED, batch.room.id, changed, **name("Åsa", LAST)),
        )
        await begun(stores.imports, teacher, record)
        await asyncio.gather(
            stores.imports.step(),
            stores.classes.delete_student(teacher, leaves),
            stores.classes.merge_students(teacher, gone, changed),
            stores.classes.delete_class(teacher, batch.room.id),
            return_exceptions=True,
        )
        await finished(stores.imports, teacher, record)
    assert "deadlock" not in log.text()
    assert_nobody_in(log)
