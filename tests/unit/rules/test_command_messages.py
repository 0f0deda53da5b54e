"""Which commands can be read, which are refused with a result, and which nobody can answer."""

import json
from typing import Any
from uuid import UUID

import pytest

from rules.commands.orders import (
    AssociationsConfirm,
    ClassCreate,
    ClassDelete,
    ClassUpdate,
    Command,
    CommandName,
    Refused,
    RosterRegister,
    StudentCreate,
    StudentDelete,
    StudentUpdate,
)
from rules.errors import MultipleCoursesError, ValidationFailedError
from rules.ids import new_id
from rules.messages.commands import parse_command
from rules.models import ClassChange, EmailChange, HumanDecision, NewClass
from tests.support.commands import envelope, name, record, student
from tests.unit.rules.strategies import CLASSES, ESSAYS, STUDENTS, TRACEPARENT

A, B = (str(class_id) for class_id in CLASSES[:2])
S = str(STUDENTS[0])


def parse(value: object) -> Command:
    return parse_command(record(json.dumps(value, default=str).encode()))


def fault(value: bytes | None) -> str:
    with pytest.raises(ValidationFailedError) as refusal:
        parse_command(record(value))
    return refusal.value.detail


def refusal(command: str, **members: Any) -> Refused:  # noqa: ANN401
    order = parse(envelope(command, **members)).order
    assert isinstance(order, Refused)
    return order


def pointers(refused: Refused) -> list[str]:
    return [error.pointer for error in refused.error.errors]


def test_what_a_command_says_of_itself() -> None:
    value = envelope("class.delete", "lärare 1", class_id=A)
    command = parse({**value, "metadata": {"traceparent": TRACEPARENT}, "unknown": [1]})
    assert str(command.event_id) == value["event_id"]
    assert command.name is CommandName.CLASS_DELETE
    assert command.caller.user_id == "lärare 1"
    assert str(command.caller.trace.correlation_id) == value["correlation_id"]
    assert command.caller.trace.traceparent == TRACEPARENT
    assert (command.order, command.named) == (ClassDelete(CLASSES[0]), (CLASSES[0],))


@pytest.mark.parametrize(
    ("command", "members", "order"),
    [
        (
            "class.create",
            {"class_id": A, "name": "9A", "course_codes": ["SV1"]},
            ClassCreate(NewClass(CLASSES[0], "9A", "SV1")),
        ),
        ("class.update", {"class_id": A, "name": "9B"}, ClassUpdate(CLASSES[0], ClassChange("9B"))),
        ("student.delete", {"student_id": S}, StudentDelete(STUDENTS[0])),
        (
            "associations.confirm",
            {"batch_id": A, "associations": [{"essay_id": ESSAYS[0], "confirmed": True}]},
            AssociationsConfirm(CLASSES[0], (HumanDecision(ESSAYS[0], confirmed=True),)),
        ),
    ],
)
def test_what_a_command_asks_for(command: str, members: dict[str, Any], order: object) -> None:
    assert parse(envelope(command, **members)).order == order


def test_students_are_read_as_over_http() -> None:
    order = parse(envelope("student.create", **student("a@b.example", STUDENTS[0]))).order
    assert isinstance(order, StudentCreate)
    assert (order.new.id, order.new.email) == (STUDENTS[0], "a@b.example")
    assert order.new.name.legal_full_name == "Åsa Öberg"
    update = parse(envelope("student.update", student_id=S, email=None, add_class_ids=[A])).order
    assert isinstance(update, StudentUpdate)
    assert (update.change.email, update.change.add_class_ids) == (EmailChange(None), (CLASSES[0],))


@pytest.mark.parametrize("members", [{}, {"class_id": None}])
def test_a_create_without_an_id_names_none_and_gets_one(members: dict[str, Any]) -> None:
    command = parse(envelope("class.create", name="9A", course_codes=["SV1"], **members))
    assert isinstance(command.order, ClassCreate)
    assert isinstance(command.order.new.id, UUID)
    assert command.named == ()


def test_a_roster_joins_its_class_first() -> None:
    rows = [student(), student(None, STUDENTS[1], class_ids=[CLASSES[1], CLASSES[0]])]
    command = parse(envelope("roster.register", class_id=A, students=rows))
    assert isinstance(command.order, RosterRegister)
    assert [row.new.class_ids for row in command.order.rows] == [
        (CLASSES[0],),
        (CLASSES[0], CLASSES[1]),
    ]
    assert (command.order.faults, command.named) == ((), (STUDENTS[1],))


# --- refused, with a result --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "members", "where"),
    [
        ("class.create", {}, ["/name", "/course_codes"]),
        ("class.create", {"name": 9, "course_codes": ["SV1"]}, ["/name"]),
        ("class.create", {"name": "9A", "course_codes": ["X"]}, ["/course_codes/0"]),
        ("class.create", {"class_id": "?", "name": "9", "course_codes": ["SV1"]}, ["/class_id"]),
        ("class.create", {"name": "", "course_codes": ["X"]}, ["/name", "/course_codes/0"]),
        ("class.create", {"name": "", "course_codes": ["X", "Y"]}, ["/name", "/course_codes"]),
        ("class.update", {"name": "9A"}, ["/class_id"]),
        ("class.update", {"course_codes": []}, ["/course_codes", "/class_id"]),
        ("class.delete", {}, ["/class_id"]),
        ("student.create", {"person_name": name(), "email": "?"}, ["/email"]),
        ("student.update", {"person_name": name()}, ["/student_id"]),
        (
            "student.update",
            {"student_id": S, "add_class_ids": [A], "remove_class_ids": [B, A]},
            ["/remove_class_ids/1"],
        ),
        (
            "student.update",
            {"add_class_ids": [A], "remove_class_ids": [A]},
            ["/remove_class_ids/0", "/student_id"],
        ),
        ("student.delete", {"student_id": 7}, ["/student_id"]),
        ("roster.register", {"students": [student()]}, ["/class_id"]),
        ("roster.register", {"class_id": A, "students": {}}, ["/students"]),
        ("associations.confirm", {"batch_id": A, "associations": []}, ["/associations"]),
    ],
)
def test_members_at_fault_are_pointed_at(
    command: str, members: dict[str, Any], where: list[str]
) -> None:
    assert pointers(refusal(command, **members)) == where


def test_several_courses_have_a_code_of_their_own() -> None:
    refused = refusal("class.create", name="9A", course_codes=["SV1", "SV2"])
    assert isinstance(refused.error, MultipleCoursesError)
    assert pointers(refused) == ["/course_codes"]
    assert refusal("class.create", name="", course_codes=["SV1", "SV2"]).error.error_code == (
        "VALIDATION_ERROR"
    )


def test_fault_of_a_roster_without_students_is_told_to_people() -> None:
    [fault] = refusal("roster.register", class_id=A, students=[]).error.errors
    assert (fault.pointer, fault.detail) == ("/students", "At least 1 is needed.")


def test_values_are_not_repeated() -> None:
    refused = refusal("student.create", person_name={"first_name": "Hemlig\0"}, email="hemlig@")
    told = json.dumps([[e.pointer, e.detail] for e in refused.error.errors]) + refused.error.detail
    assert "emlig" not in told


@pytest.mark.parametrize(
    "user", ["SYSTEM_TIMEOUT", "SYSTEM_AUTO", "system_auto", " SYSTEM_AUTO", "system_erased:x"]
)
@pytest.mark.parametrize("members", [{"class_id": A}, {}])
def test_nobody_acts_in_the_services_name(user: str, members: dict[str, Any]) -> None:
    command = parse(envelope("class.delete", user, **members))
    assert isinstance(command.order, Refused)
    assert command.order.error.error_code == "AUTHENTICATION_REQUIRED"
    assert command.named == ()


# --- nobody to answer --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"\xff", b'"\xed\xa0\x80"', b"[" * 10_000 + b"]" * 10_000]
)
def test_what_is_not_json_cannot_be_read(value: bytes | None) -> None:
    assert fault(value).startswith("json_invalid")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"event_id": None}, "/event_id"),
        ({"event_id": "1"}, "/event_id"),
        ({"correlation_id": 5}, "/correlation_id"),
        ({"data": []}, "/data"),
        ({"data": {"user_id": "t"}}, "/data/command"),
        ({"data": {"command": "class.rename", "user_id": "t"}}, "/data/command"),
        ({"data": {"command": "class.delete"}}, "/data/user_id"),
        *(
            ({"data": {"command": "class.delete", "user_id": user}}, "/data/user_id")
            for user in ("", " ", "a\0", "x" * 256, 7, None)
        ),
    ],
)
def test_without_event_name_or_user_there_is_no_result(changes: dict[str, Any], where: str) -> None:
    value = {**envelope("class.delete", class_id=new_id()), **changes}
    assert where in fault(json.dumps(value).encode())


def test_a_place_is_named_and_not_what_is_there() -> None:
    value = envelope("class.delete", "Åsa Öberg\n", class_id=A)
    assert fault(json.dumps(value).encode()) == "user_id at /data/user_id"
