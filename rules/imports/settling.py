"""Addresses and external ids of a plan: who gets which, and who has to be changed together."""

from collections.abc import Mapping
from uuid import UUID

from rules.emails import key_of
from rules.imports.drafts import Draft, Person
from rules.imports.plans import Notice, NoticeCode
from rules.imports.transfers import Holders, Move, groups, holders_of, linked, refused_moves
from rules.imports.values import Values


def settle(draft: Draft) -> None:
    """Refuse what another student has and keeps; let those who exchange theirs change together."""
    holders = holders_of(draft.state)
    while _refuse_taken(draft, holders):
        pass
    rank = draft.rank()
    people = {person.id: person for person in draft.people.values()}
    pairs = [pair for _, moves, held in _moves(draft, holders) for pair in linked(moves, held)]
    for group in groups(pairs):
        some = [people[one] for one in group if one in people]
        first = min(some, key=lambda person: rank[person.where])
        for person in some:
            if person.before is not None:
                person.where = first.where


def moves_of(
    changes: Mapping[UUID, tuple[Values | None, Values]], holders: Holders
) -> list[tuple[str, list[Move], Mapping[str, UUID]]]:
    """Return what students give up and take: their addresses, and their external ids."""
    keys = [Move(one, _key(before), _key(after)) for one, (before, after) in changes.items()]
    ids = [
        Move(one, before.external_id if before else None, after.external_id)
        for one, (before, after) in changes.items()
    ]
    return [("email", keys, holders.keys), ("external_id", ids, holders.external_ids)]


def _moves(draft: Draft, holders: Holders) -> list[tuple[str, list[Move], Mapping[str, UUID]]]:
    people = draft.people.values()
    return moves_of({one.id: (one.before, one.after) for one in people}, holders)


def _refuse_taken(draft: Draft, holders: Holders) -> bool:
    """Refuse what is taken; return whether anything was: who is refused gives up nothing."""
    people = {person.id: person for person in draft.people.values()}
    refused = {
        student_id: (column, holder)
        for column, moves, held in _moves(draft, holders)
        for student_id, holder in refused_moves(moves, held).items()
    }
    for student_id, (column, holder) in refused.items():
        _refuse(draft, people[student_id], column, _notice(draft, holder, people))
    return bool(refused)


def _notice(draft: Draft, holder: UUID, people: Mapping[UUID, Person]) -> Notice:
    """Tell who has it: a student, or a line of the file."""
    other = people.get(holder)
    is_there = holder in draft.state.students
    return Notice(
        NoticeCode.NEAR_DUPLICATE,
        "This student has it.",
        holder if is_there else None,
        other.home.row.line if other and not is_there else None,
    )


def _refuse(draft: Draft, person: Person, column: str, notice: Notice) -> None:
    what, kind = ("address", "address") if column == "email" else ("external id", "text")
    detail = f"Another of your students has this {what} and keeps it."
    person.subject.refuse(column, kind, detail, [notice])
    draft.people.pop(person.subject)
    for line in person.subject.lines:
        draft.keeps.pop((person.subject, line.class_id), None)


def _key(values: Values | None) -> str | None:
    return key_of(values.email) if values and values.email else None
