"""Addresses and external ids that pass from one student to another, each unique at any time.

What another student has can be taken only if that one gives it up in the same plan; and then the
two have to be changed in one transaction.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from rules.emails import key_of
from rules.imports.plans import RosterState


@dataclass(frozen=True, slots=True)
class Move:
    """What a student has, and is to have: the key of an address, or an external id."""

    student_id: UUID
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has which key of an address, and which external id, before anything is changed."""

    keys: Mapping[str, UUID]
    external_ids: Mapping[str, UUID]


def holders_of(state: RosterState) -> Holders:
    """Return who has what; of students who share an address, the oldest has it."""
    keys: dict[str, UUID] = {}
    for student_id in sorted(state.students):
        email = state.students[student_id].email
        if email:
            keys.setdefault(key_of(email), student_id)
    ids = {one.external_id: one.id for one in state.students.values() if one.external_id}
    return Holders(keys, ids)


def refused_moves(moves: Iterable[Move], holders: Mapping[str, UUID]) -> dict[UUID, UUID]:
    """Return who cannot have what it is to have, and who has it.

    Who is refused keeps what it has, which may refuse another one.
    """
    moving = {move.student_id: move for move in moves if move.before != move.after}
    waiting: defaultdict[UUID, list[UUID]] = defaultdict(list)
    refused: dict[UUID, UUID] = {}
    for move in moving.values():
        holder = _holder(move, holders)
        if holder is not None:
            waiting[holder].append(move.student_id)
    stays = deque(holder for holder in waiting if holder not in moving)
    for student_id, first in _late(moving.values()):
        refused[student_id] = first
        stays.append(student_id)
    while stays:
        holder = stays.popleft()
        for student_id in waiting[holder]:
            if student_id not in refused:
                refused[student_id] = holder
                stays.append(student_id)
    return refused


def linked(moves: Sequence[Move], holders: Mapping[str, UUID]) -> list[tuple[UUID, UUID]]:
    """Return the pairs of students of whom the first takes what the second gives up."""
    pairs = [(move.student_id, _holder(move, holders)) for move in moves]
    return [(student_id, holder) for student_id, holder in pairs if holder is not None]


def groups(pairs: Iterable[tuple[UUID, UUID]]) -> list[set[UUID]]:
    """Return who is linked with whom, directly or by way of others."""
    beside: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for one, other in pairs:
        beside[one].add(other)
        beside[other].add(one)
    found: list[set[UUID]] = []
    seen: set[UUID] = set()
    for one in beside:
        if one not in seen:
            group = _reached(one, beside)
            seen |= group
            found.append(group)
    return found


def _holder(move: Move, holders: Mapping[str, UUID]) -> UUID | None:
    """Return the other student who has what a student is to have."""
    if move.after is None or move.after == move.before:
        return None
    holder = holders.get(move.after)
    return None if holder == move.student_id else holder


def _late(moves: Iterable[Move]) -> list[tuple[UUID, UUID]]:
    """Return who is to have what one before it is to have already, and that one."""
    first: dict[str, UUID] = {}
    late: list[tuple[UUID, UUID]] = []
    for move in moves:
        if move.after is not None:
            other = first.setdefault(move.after, move.student_id)
            if other != move.student_id:
                late.append((move.student_id, other))
    return late


def _reached(one: UUID, beside: Mapping[UUID, set[UUID]]) -> set[UUID]:
    group, todo = {one}, [one]
    while todo:
        for other in beside[todo.pop()] - group:
            group.add(other)
            todo.append(other)
    return group
