"""Addresses are compared by one key, in both stores and in every operation."""

import asyncio
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.changes import NewStudentRequest
from rules.commands.results import CommandStatus
from rules.emails import key_of
from rules.errors import EmailConflictError, ServiceError
from rules.models import EmailChange, Policy, StudentChange, StudentRecord
from rules.search import StudentQuery
from tests.integration.store.builders import (
    Stores,
    caller,
    make_class,
    make_student,
    new_student,
    person,
)
from tests.support.commands import deliver, student
from tests.support.stores import memory_stores, postgres_stores
from tests.unit.rules.strategies import addresses

TEACHER: Final = caller()
#: Two spellings of one address, which lower() alone tells apart.
PAIRS: Final = [
    ("strauß@skola.example", "STRAUSS@skola.example"),
    ("åsa@skola.example", "A\u030asa@skola.example"),
    ("νίκος@skola.example", "ΝΊΚΟΣ@skola.example"),
    ("한@skola.example", "\u1112\u1161\u11ab@skola.example"),
    ("a@bücher.example", "a@xn--bcher-kva.example"),
    ("irem@okul.example", "İrem@okul.example"),
]


async def create(stores: Stores, email: str | None) -> StudentRecord | ServiceError:
    wanted = new_student(email=email)
    [made] = await stores.classes.create_students([NewStudentRequest(TEACHER, wanted)])
    return made


async def change(
    stores: Stores, record: StudentRecord, email: str | None
) -> StudentRecord | ServiceError:
    wanted = StudentChange(email=EmailChange(email))
    try:
        return await stores.classes.update_student(TEACHER, record.id, wanted)
    except ServiceError as refusal:
        return refusal


@pytest.mark.parametrize(("first", "second"), [*PAIRS, *(pair[::-1] for pair in PAIRS)])
async def test_another_spelling_of_an_address_is_taken(
    stores: Stores, first: str, second: str
) -> None:
    holder = await make_student(stores, TEACHER, new_student(email=first))
    other = await make_student(stores, TEACHER, new_student(email="other@skola.example"))
    assert isinstance(await create(stores, second), EmailConflictError)
    assert isinstance(await change(stores, other, second), EmailConflictError)
    for email in (second, first, second):
        own = await change(stores, holder, email)
        assert isinstance(own, StudentRecord)
        assert own.email == email
    await stores.classes.delete_student(TEACHER, holder.id)
    assert isinstance(await change(stores, other, first), StudentRecord)
    assert isinstance(await create(stores, second), EmailConflictError)


@pytest.mark.parametrize("pair", PAIRS)
async def test_so_it_is_in_commands(stores: Stores, pair: tuple[str, str]) -> None:
    room = await make_class(stores, TEACHER)
    other = await make_student(stores, TEACHER, new_student())
    rows = [student(pair[0]), student(pair[1], first="Eva")]
    deliveries = [
        deliver("roster.register", TEACHER.user_id, class_id=room.id, students=rows),
        deliver("student.create", TEACHER.user_id, **rows[0]),
        deliver("student.create", TEACHER.user_id, **rows[1]),
        deliver("student.update", TEACHER.user_id, student_id=other.id, email=pair[1]),
    ]
    results = await stores.commands.apply_commands(deliveries)
    conflict = CommandStatus.REJECTED, "STUDENT_EMAIL_CONFLICT"
    applied = CommandStatus.APPLIED, None
    found = [(one.status, one.error_code) for one in results]
    assert found == [conflict, applied, conflict, conflict]


@pytest.mark.parametrize("pair", PAIRS)
async def test_a_pupil_is_found_by_any_spelling(stores: Stores, pair: tuple[str, str]) -> None:
    room = await make_class(stores, TEACHER)
    pupil = await make_student(stores, TEACHER, new_student(email=pair[0]))
    rows = [student(pair[1])]
    register = deliver("roster.register", TEACHER.user_id, class_id=room.id, students=rows)
    [result] = await stores.commands.apply_commands([register])
    assert (result.status, result.entity_ids) == (CommandStatus.APPLIED, (pupil.id,))
    for email in pair:
        page = await stores.classes.find_students(TEACHER.user_id, StudentQuery(1, email=email))
        assert [(one.id, one.email) for one in page.students] == [(pupil.id, pair[0])]


@pytest.mark.parametrize("pair", PAIRS)
async def test_of_two_spellings_in_a_list_the_first_gets_the_address(
    stores: Stores, pair: tuple[str, str]
) -> None:
    for order in (pair, pair[::-1]):
        wanted = [NewStudentRequest(caller(order[0]), new_student(email=e)) for e in order]
        answers = await stores.classes.create_students(wanted)
        assert [type(one) for one in answers] == [StudentRecord, EmailConflictError]


async def test_an_address_that_is_given_up_is_free_in_every_spelling(stores: Stores) -> None:
    for first, second in PAIRS:
        holder = await make_student(stores, TEACHER, new_student(email=first))
        assert isinstance(await change(stores, holder, None), StudentRecord)
        assert isinstance(await create(stores, second), StudentRecord)


@pytest.mark.parametrize("pair", PAIRS)
async def test_one_address_at_the_same_moment_goes_to_one_student(
    stores: Stores, pair: tuple[str, str]
) -> None:
    others = [await make_student(stores, TEACHER, new_student()) for _ in range(2)]
    done = await asyncio.gather(
        *(create(stores, email) for email in pair * 2),
        *(change(stores, one, email) for one, email in zip(others, pair, strict=True)),
    )
    assert sum(isinstance(one, StudentRecord) for one in done) == 1
    assert sum(isinstance(one, EmailConflictError) for one in done) == 5


async def test_a_change_that_names_no_email_keeps_the_address_taken(stores: Stores) -> None:
    for first, second in PAIRS:
        holder = await make_student(stores, TEACHER, new_student(email=first))
        for wanted in (
            StudentChange(name=person("Bo", "Ek")),
            StudentChange(person("Bo", "By"), EmailChange(first)),
        ):
            await stores.classes.update_student(TEACHER, holder.id, wanted)
            assert isinstance(await create(stores, second), EmailConflictError)


@pytest.fixture
def dsn(migrated_database: str) -> str:
    return migrated_database


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(st.tuples(st.integers(0, 3), addresses), min_size=2, max_size=12))
def test_both_stores_answer_alike(dsn: str, wanted: list[tuple[int, str]]) -> None:
    """Student 0 stands for a new one; the others change theirs."""

    async def play(stores: Stores) -> list[str]:
        owned = [await make_student(stores, TEACHER, new_student()) for _ in range(3)]
        answers = []
        for whose, email in wanted:
            made = await (
                change(stores, owned[whose - 1], email) if whose else create(stores, email)
            )
            answers.append(type(made).__name__)
        return answers

    async def both() -> tuple[list[str], list[str]]:
        async with memory_stores(Policy()) as memory, postgres_stores(dsn, Policy()) as postgres:
            return await play(memory), await play(postgres)

    in_memory, on_postgres = asyncio.run(both())
    assert in_memory == on_postgres
    assert in_memory == expected(wanted)


def expected(wanted: list[tuple[int, str]]) -> list[str]:
    """Return what a model with nothing but keys answers."""
    held: dict[int, str] = {}
    answers = []
    for number, (whose, email) in enumerate(wanted):
        student_ = whose or 100 + number
        key = key_of(email)
        taken = key in (held[other] for other in held if other != student_)
        if not taken:
            held[student_] = key
        answers.append("EmailConflictError" if taken else "StudentRecord")
    return answers
