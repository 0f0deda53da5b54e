"""What an UNKNOWN student is, and what becomes of those of older versions."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from rules import placeholders, topics
from rules.history import ChangeKind, Entity
from rules.models import SYSTEM_AUTO, PersonName, StudentRecord, Trace
from rules.placeholders import is_as_made, settled, settlements
from rules.timeouts import UNKNOWN_NAME, unknown_student_email
from tests.unit.rules import members

NOW = datetime(2026, 11, 28, tzinfo=UTC)
CLASS, OTHER = UUID(int=1), UUID(int=2)
TRACE = Trace(UUID(int=9))
MADE = StudentRecord(
    UUID(int=3), "teacher", UNKNOWN_NAME, unknown_student_email(CLASS), (CLASS,), 1, NOW, NOW
)
RENAMED = PersonName("UNKNOWN", "STUDENT", "Okänd Elev")


@pytest.mark.parametrize("class_ids", [(CLASS,), ()])
def test_as_made_also_where_the_class_is_gone(class_ids: tuple[UUID, ...]) -> None:
    made = replace(MADE, class_ids=class_ids)
    assert is_as_made(made)
    assert settled(made) == replace(made, is_placeholder=True, version=2)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": RENAMED},
        {"class_ids": (CLASS, OTHER)},
        {"class_ids": (OTHER,)},
        {"email": unknown_student_email(CLASS).upper()},
        {"email": f"x{unknown_student_email(CLASS)}"},
        {"email": "asa@skola.huleedu.system"},
        {"email": "no address @huleedu.system"},
    ],
)
@pytest.mark.parametrize("is_placeholder", [False, True])
def test_who_is_not_as_made_is_a_teachers_and_loses_the_address(
    changed: dict[str, Any], *, is_placeholder: bool
) -> None:
    record = replace(MADE, is_placeholder=is_placeholder, **changed)
    assert settled(record) == replace(record, is_placeholder=False, email=None, version=2)


@pytest.mark.parametrize(
    "email", [None, "asa@skola.example", "asa@nothuleedu.system", "no address"]
)
def test_who_has_no_address_of_the_service_stays(email: str | None) -> None:
    record = replace(MADE, email=email)
    assert settled(record) is None
    freed = settled(replace(record, is_placeholder=True))
    assert freed == replace(record, version=2)


def test_settled_is_settled() -> None:
    for record in (MADE, replace(MADE, name=RENAMED)):
        after = settled(record)
        assert after is not None
        assert settled(after) is None


def test_who_loses_an_address_is_told_and_both_are_remembered() -> None:
    renamed = replace(MADE, id=UUID(int=4), name=RENAMED)
    found = settlements([MADE, renamed, replace(MADE, email=None)])
    [message] = placeholders.messages(found, TRACE, NOW)
    assert (message.topic, message.key) == (topics.STUDENT_UPDATED, str(renamed.id).encode())
    data = orjson.loads(message.value or b"")["data"]
    assert data.keys() == members.STUDENT_UPDATED
    assert (data["student_email"], data["updated_by_user_id"]) == (None, "teacher")
    changes = placeholders.changes(found, TRACE)
    assert {(c.entity, c.kind, c.by, c.version) for c in changes} == {
        (Entity.STUDENT, ChangeKind.UPDATED, SYSTEM_AUTO, 2)
    }
    told = [(c.id, (c.after or {})["email"], (c.after or {})["is_placeholder"]) for c in changes]
    assert told == [(MADE.id, MADE.email, True), (renamed.id, None, False)]
    assert placeholders.summary(found, None).freed == (renamed.id,)
