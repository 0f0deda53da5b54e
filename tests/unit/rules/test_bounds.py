"""Lengths are checked before anything else looks at a value, in every field of every input."""

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import email_validator
import pytest
from pydantic import BaseModel, ValidationError

import rules
import web
from rules.errors import ValidationFailedError
from rules.inputs import DecisionsInput, Input, NewStudentInput, read_json
from rules.messages.commands import MAX_ROSTER, CommandEnvelope, parse_command
from rules.messages.envelopes import Wire
from rules.messages.suggestions import MatchesSuggestedEnvelope, parse_suggestions
from rules.messages.timers import parse_timer
from rules.models import Record
from tests.support.commands import envelope, record

#: What a core schema may be wrapped in without looking at the value.
TRANSPARENT: Final = {"model", "nullable", "default", "model-field", "definitions"}
#: What has a length of its own, or is only compared with constants.
#: A reference is to a model, which is looked at as such.
BOUNDED: Final = {"uuid", "bool", "literal", "enum", "none", "definition-ref"}
LIMITS: Final = {
    "list": ("max_length",),
    "tuple": ("max_length",),
    "str": ("max_length",),
    "int": ("ge", "lt"),
    "float": ("ge", "le"),
    "datetime": ("ge", "lt"),
}
E = "00000000-0000-7000-8000-000000000000"


def models() -> list[type[BaseModel]]:
    for package in (rules, web):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return sorted({*_below(Input), *_below(Wire)}, key=lambda model: model.__qualname__)


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for below in model.__subclasses__():
        yield below
        yield from _below(below)


Place = tuple[str, Mapping[str, Any]]


def parts(path: str, schema: Mapping[str, Any]) -> list[Place]:
    """Return what a core schema consists of."""
    match schema["type"]:
        case "model-fields" | "typed-dict":
            return [(f"{path}/{name}", field["schema"]) for name, field in schema["fields"].items()]
        case "tagged-union":
            return [(f"{path}/{name}", choice) for name, choice in schema["choices"].items()]
        case "list":
            return [(f"{path}/*", schema["items_schema"])]
        case "tuple":
            return [(f"{path}/*", item) for item in schema["items_schema"]]
        # What validates after the inner schema sees only what that has let through.
        case kind if kind in TRANSPARENT | {"function-after"}:
            return [(path, schema["schema"])]
        case _:
            return []


def unbounded(path: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the places of a core schema that take a value of any size."""
    kind = schema["type"]
    inner = parts(path, schema)
    if kind in LIMITS:
        if any(schema.get(limit) is None for limit in LIMITS[kind]):
            yield f"{path} ({kind})"
    elif kind not in BOUNDED and not inner:
        yield f"{path} ({kind})"
    for place in inner:
        yield from unbounded(*place)


@pytest.mark.parametrize("model", models())
def test_no_field_of_an_input_lacks_a_bound(model: type[BaseModel]) -> None:
    schema: Any = model.__pydantic_core_schema__
    shared = schema.get("definitions", ())
    for one in (schema, *shared):
        assert list(unbounded(model.__name__, one)) == []


# --- nothing looks at what is too long ----------------------------------------------------------

MARKS: Final = "\u0301" * 40_000
LONG: Final = [f"{MARKS}@x.se", f"a@{MARKS}.se", f"a@x.{MARKS}", "a@" + "x." * 20_000 + "se"]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the lengths of what the library is asked about."""
    asked: list[int] = []

    def spy(address: str, **_options: object) -> None:
        asked.append(len(address))
        raise email_validator.EmailNotValidError

    monkeypatch.setattr(email_validator, "validate_email", spy)
    return asked


@pytest.mark.parametrize("email", [*LONG, "x" * 255, "å" * 249 + "@b.se"])
def test_an_address_that_is_too_long_is_refused_unseen(email: str, looked_at: list[int]) -> None:
    body = {"person_name": {"first_name": "Å", "last_name": "Ö"}, "email": email}
    with pytest.raises(ValidationFailedError) as refusal:
        read_json(NewStudentInput, json.dumps(body).encode())
    assert [fault.pointer for fault in refusal.value.errors] == ["/email"]
    if len(email) > 254:
        assert looked_at == []


@pytest.mark.parametrize("command", ["student.create", "student.update", "roster.register"])
def test_so_it_is_in_commands(command: str, looked_at: list[int]) -> None:
    student = {"person_name": {"first_name": "Å", "last_name": "Ö"}, "email": MARKS + "@x.se"}
    members: dict[str, Any] = {**student, "student_id": E, "class_id": E, "students": [student]}
    parse_command(record(json.dumps(envelope(command, **members)).encode()))
    assert looked_at == []


# --- nothing counts what is too much ------------------------------------------------------------


def _value(data: str) -> bytes:
    text = f'{{"event_id": "{E}", "correlation_id": "{E}", "data": {data}}}'
    return text.encode()


def _detail(parse: Callable[[Record], object], value: bytes) -> str:
    with pytest.raises(ValidationFailedError) as refusal:
        parse(record(value))
    return refusal.value.detail


HOLLOW: Final = f'{{"suggestions": [{",".join(["{}"] * 900)}]}}'


def _errors(model: type[BaseModel], data: str) -> int:
    with pytest.raises(ValidationError) as refusal:
        model.model_validate_json(_value(data))
    return refusal.value.error_count()


@pytest.mark.parametrize(
    "data",
    [
        f'{{"match_results": [{",".join(["{}"] * 9_000)}]}}',
        f'{{"match_results": [{{"suggestions": [{",".join(["{}"] * 900)}]}}]}}',
        f'{{"match_results": [{",".join([HOLLOW] * 100)}]}}',
        f'{{"match_results": [{{"suggestions": [{{"match_reasons": [{",".join("1" * 90)}]}}]}}]}}',
    ],
)
def test_a_bad_item_of_suggestions_is_the_last_that_is_looked_at(data: str) -> None:
    assert _errors(MatchesSuggestedEnvelope, data) <= 10


def test_rows_of_a_roster_are_all_looked_at_and_no_more_than_fit() -> None:
    head = f'"command": "roster.register", "user_id": "t", "class_id": "{E}"'
    rows = ",".join(["{}"] * MAX_ROSTER)
    assert _errors(CommandEnvelope, f'{{{head}, "students": [{rows}]}}') == MAX_ROSTER
    assert _errors(CommandEnvelope, f'{{{head}, "students": [{rows}, {{}}]}}') == 1


def test_a_body_has_a_hundred_faults_at_most() -> None:
    body = f'{{"associations": [{",".join(["{}"] * 10_000)}]}}'
    with pytest.raises(ValidationFailedError) as refusal:
        read_json(DecisionsInput, body.encode())
    assert len(refusal.value.errors) == 100


@pytest.mark.parametrize("kind", ['["x"]', "5", f'"{"x" * 100_000}"', "null"])
def test_a_trace_that_is_none_costs_no_message(kind: str) -> None:
    value = envelope("class.delete", class_id=E)
    text = json.dumps({**value, "metadata": {"traceparent": "?"}}).replace('"?"', kind)
    assert parse_command(record(text.encode())).caller.trace.traceparent is None


@pytest.mark.parametrize("parse", [parse_suggestions, parse_command, parse_timer])
@pytest.mark.parametrize(
    "value",
    [
        b'{"data": %s}' % (b"1" * 100_000),
        b'{"data": 1e%s}' % (b"9" * 100_000),
        b'{"data": -%s}' % (b"1" * 4_300),
        b'{"data": NaN}',
        b'{"data": -Infinity}',
        b'{"data": "\\ud800"}',
        b'{"data": "\\udc00\\ud800"}',
        b'{"data": %s%s}' % (b'{"a":' * 10_000, b"}" * 10_000),
        b'{"data": {}, "data": {}}',
    ],
)
def test_odd_json_is_refused_and_not_more(parse: Callable[[Record], object], value: bytes) -> None:
    assert _detail(parse, value)
