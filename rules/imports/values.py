"""What an import may change of a student, as it is planned, shown and applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rules.imports.plans import Marked, StudentState
from rules.models import PersonName
from rules.text import joined

#: The members of the JSON of a name, which are changed together.
NAME: Final = ("first_name", "last_name", "full_name")


@dataclass(frozen=True, slots=True)
class Values:
    """What an import may change of a student."""

    name: PersonName
    email: str | None = None
    external_id: str | None = None


def values_of(student: StudentState | Marked) -> Values:
    """Return a student's values, or those that the last import left."""
    return Values(student.name, student.email, student.external_id)


def members_of(values: Values) -> dict[str, Any]:
    """Return the JSON of a student's values; what it has not is null."""
    name = values.name
    return {
        "first_name": name.first_name,
        "last_name": name.last_name,
        "full_name": name.legal_full_name,
        "email": values.email,
        "external_id": values.external_id,
    }


def known_members(values: Values) -> dict[str, Any]:
    """Return the JSON of a student's values without what it has not."""
    return {member: value for member, value in members_of(values).items() if value is not None}


def difference(before: Values, after: Values) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the members that change, as they are and as they are to be."""
    old, new = members_of(before), members_of(after)
    changed = [member for member in old if old[member] != new[member]]
    return {m: old[m] for m in changed}, {m: new[m] for m in changed}


def patched(values: Values, members: Mapping[str, Any]) -> Values:
    """Return the values with some members changed."""
    new = {**members_of(values), **members}
    name = PersonName(*(new[part] or "" for part in NAME))
    return Values(name, new["email"], new["external_id"])


def full_name(name: PersonName) -> str:
    """Return a name as it is compared within a class: its parts, wherever the first one ends."""
    return joined(name.first_name, name.last_name)
