"""The order in which a batch's commands are executed, so that many share one statement.

docs/contract.md, section 3, orders the commands of one key: the user. Reordering commands of
different users is invisible: everything has one owner, other users are always refused it, and an
id changes its owner only by being created or deleted, which names it.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Final, TypeAlias
from uuid import UUID

from rules.commands.orders import ClassCreate, Command, RosterRegister, StudentCreate, StudentUpdate
from rules.models import StudentChange

Kind: TypeAlias = type[ClassCreate | RosterRegister | StudentCreate | StudentUpdate]


@dataclass(frozen=True, slots=True)
class Run:
    """Commands that are executed together, by their places in the batch.

    `kind` is what all of them do, in one statement; None: they are executed one by one.
    """

    kind: Kind | None
    places: tuple[int, ...]


#: Affects only how many are grouped: a class is created, then its students.
_TURNS: Final = (None, ClassCreate, StudentUpdate, RosterRegister, StudentCreate)


def runs(commands: Sequence[Command]) -> Iterator[Run]:
    """Group commands into runs, in the order of their execution.

    Each user's commands keep their order. All commands do if two users name the same id: the first
    one gets it, however the messages fall into batches.
    """
    lanes = [deque(_in_order(commands, places)) for places in _lanes(commands)]
    while any(lanes):
        for kind in _TURNS:
            heads = [lane.popleft() for lane in lanes if lane and lane[0].kind is kind]
            if heads:
                yield Run(kind, tuple(chain.from_iterable(run.places for run in heads)))


def _lanes(commands: Sequence[Command]) -> list[Sequence[int]]:
    """Return the places of commands that must keep their order, for each group of them."""
    if _is_named_by_two(commands):
        return [range(len(commands))]
    places: dict[str, list[int]] = defaultdict(list)
    for place, command in enumerate(commands):
        places[command.caller.user_id].append(place)
    return list(places.values())


def _is_named_by_two(commands: Sequence[Command]) -> bool:
    by: dict[UUID, str] = {}
    return any(
        by.setdefault(named, command.caller.user_id) != command.caller.user_id
        for command in commands
        for named in command.named
    )


def _in_order(commands: Sequence[Command], places: Sequence[int]) -> Iterator[Run]:
    for kind, run in groupby(places, key=lambda place: _kind(commands[place])):
        yield Run(kind, tuple(run))


def _kind(command: Command) -> Kind | None:
    match command.order:
        case ClassCreate():
            return ClassCreate
        case StudentCreate():
            return StudentCreate
        case StudentUpdate(change=StudentChange(add_class_ids=(), remove_class_ids=())):
            return StudentUpdate
        case RosterRegister(faults=()):  # with faults it is refused, and undone alone
            return RosterRegister
        case _:
            return None
