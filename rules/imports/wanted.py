"""What a file would make of a student's values. What it does not say stays."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from rules.imports.files import NamedBy
from rules.imports.plans import Notice, NoticeCode, StudentState
from rules.imports.subjects import Subject
from rules.imports.values import Values, full_name, values_of
from rules.models import PersonName
from rules.text import joined, normalised

_TEXTS: Final = {"name": "name", "email": "address", "external_id": "external id"}


def wanted(
    subject: Subject, student: StudentState, *, overwrite: bool
) -> tuple[Values, list[Notice]]:
    """Return the values that a student is to have, and what is left as it was made by hand.

    That is told also of what the file does not say: it must not count as imported from now on.
    """
    said = _said(subject, student)
    notices: list[Notice] = []
    for member, value in _by_hand(student):
        if getattr(said, member) == value:
            if getattr(subject, member) is None:
                detail = f"Its {_TEXTS[member]} was changed by hand, and the file does not say it."
                notices.append(Notice(NoticeCode.KEPT_BY_HAND, detail))
        elif not overwrite:
            said = replace(said, **{member: value})
            notices.append(_staying(member))
    return said, notices


def staying(student: StudentState) -> list[Notice]:
    """Return what is left as it was made by hand of a student whose values are no line's."""
    return [_staying(member) for member, _ in _by_hand(student)]


def _by_hand(student: StudentState) -> Iterator[tuple[str, Any]]:
    """Yield the values that are not what the last import left."""
    now, mark = values_of(student), student.mark
    for member in _TEXTS:
        if mark is not None and getattr(now, member) != getattr(values_of(mark), member):
            yield member, getattr(now, member)


def _staying(member: str) -> Notice:
    detail = f"Its {_TEXTS[member]} was changed by hand since the last import, and stays."
    return Notice(NoticeCode.KEPT_BY_HAND, detail)


def _said(subject: Subject, student: StudentState) -> Values:
    return Values(
        _name(subject, student.name),
        subject.email or student.email,
        subject.external_id or student.external_id,
    )


def _name(subject: Subject, now: PersonName) -> PersonName:
    """Return the name that a student is to have; what is put together or split changes nothing."""
    said = subject.name
    if said is None:
        return now
    if subject.named_by is NamedBy.FULL:
        is_same = said.legal_full_name in {full_name(now), now.legal_full_name}
        is_same = is_same or full_name(said) == full_name(now)
    else:
        is_same = _parts(said) == _parts(now)
        if subject.named_by is NamedBy.BOTH:
            is_same = is_same and said.legal_full_name == normalised(now.legal_full_name)
    return now if is_same else said


def _parts(name: PersonName) -> tuple[str, str]:
    return normalised(name.first_name), normalised(name.last_name)


def new_values(subject: Subject) -> Values | None:
    """Return the values of a student to create, None if its name is not said."""
    name = subject.name
    if name is None:
        return None
    legal = name.legal_full_name or joined(name.first_name, name.last_name)
    return Values(
        PersonName(name.first_name, name.last_name, legal), subject.email, subject.external_id
    )
