"""Commands are put together as far as nobody can tell."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from rules.commands.orders import (
    ClassCreate,
    ClassDelete,
    Command,
    CommandName,
    Order,
    RosterRegister,
    StudentCreate,
    StudentUpdate,
)
from rules.commands.runs import Run, runs
from rules.errors import FieldError
from rules.models import Caller, NewClass, NewStudent, PersonName, StudentChange
from tests.unit.rules.strategies import TRACE

NAMES: Final = {
    ClassCreate: CommandName.CLASS_CREATE,
    ClassDelete: CommandName.CLASS_DELETE,
    RosterRegister: CommandName.ROSTER_REGISTER,
    StudentCreate: CommandName.STUDENT_CREATE,
    StudentUpdate: CommandName.STUDENT_UPDATE,
}


def command(user: str, kind: type[Order], number: int) -> Command:
    named = UUID(int=number)
    order: Order = ClassDelete(named)
    if kind is ClassCreate:
        order = ClassCreate(NewClass(named, "9A", "SV1"))
    elif kind is StudentCreate:
        order = StudentCreate(NewStudent(named, PersonName("Åsa", "Berg", "Åsa Berg"), None, ()))
    elif kind is StudentUpdate:
        order = StudentUpdate(named, StudentChange())
    elif kind is RosterRegister:
        order = RosterRegister(named, ())
    return Command(UUID(int=9), NAMES[kind], Caller(user, TRACE), order, (named,))


def batch(*of_users: tuple[str, type[Order], int]) -> list[Command]:
    return [command(*one) for one in of_users]


users = st.sampled_from(["anna", "bo", "cecilia"])
kinds = st.sampled_from(list(NAMES))
commands = st.lists(st.builds(command, users, kinds, st.integers(0, 500)), max_size=30)


def places(found: Sequence[Run]) -> list[int]:
    return [place for run in found for place in run.places]


@given(commands)
def test_each_is_carried_out_once_and_each_users_in_order(given_: list[Command]) -> None:
    order = places(list(runs(given_)))
    assert sorted(order) == list(range(len(given_)))
    by_user = defaultdict(list)
    for place in order:
        by_user[given_[place].caller.user_id].append(place)
    assert all(theirs == sorted(theirs) for theirs in by_user.values())


@given(commands)
def test_a_run_is_of_one_kind(given_: list[Command]) -> None:
    for run in runs(given_):
        orders = [given_[place].order for place in run.places]
        if run.kind is None:
            assert all(isinstance(order, ClassDelete) for order in orders)
        else:
            assert all(isinstance(order, run.kind) for order in orders)


@given(commands, users, kinds, kinds, st.integers(0, 30), st.integers(0, 30))
def test_all_keep_their_order_where_two_users_name_one_id(
    given_: list[Command], user: str, kind: type[Order], other: type[Order], at: int, then: int
) -> None:
    given_.insert(at, command(user, kind, 1_000))
    given_.insert(then, command("somebody else", other, 1_000))
    assert places(list(runs(given_))) == list(range(len(given_)))


def test_what_users_make_by_turns_is_put_together() -> None:
    alternating = batch(
        ("anna", ClassCreate, 1),
        ("bo", StudentCreate, 2),
        ("anna", StudentCreate, 3),
        ("bo", ClassCreate, 4),
        ("cecilia", ClassDelete, 5),
        ("anna", StudentCreate, 6),
        ("bo", StudentCreate, 7),
    )
    assert list(runs(alternating)) == [
        Run(None, (4,)),
        Run(ClassCreate, (0,)),
        Run(StudentCreate, (2, 5, 1)),
        Run(ClassCreate, (3,)),
        Run(StudentCreate, (6,)),
    ]


def test_what_may_need_more_than_its_statement_is_carried_out_alone() -> None:
    joins = StudentUpdate(UUID(int=1), StudentChange(add_class_ids=(UUID(int=2),)))
    refused = RosterRegister(UUID(int=2), (), (FieldError("/students/0", "Bad."),))
    for order in (joins, refused):
        given_ = [replace(command("anna", ClassDelete, 1), order=order)]
        assert list(runs(given_)) == [Run(None, (0,))]
