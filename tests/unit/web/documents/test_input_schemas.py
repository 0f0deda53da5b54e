"""What the schemas of bodies allow is what is read, but for what a schema cannot say."""

import json
from functools import cache
from typing import Any, Final

import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from rules.errors import ValidationFailedError
from rules.inputs import (
    ClassChangeInput,
    DecisionsInput,
    NewClassInput,
    NewStudentInput,
    StudentChangeInput,
    read_json,
)
from rules.text import BIDIRECTIONAL
from tests.support.documents import document

NAMES: Final = {
    NewClassInput: "NewClass",
    ClassChangeInput: "ClassChange",
    NewStudentInput: "NewStudent",
    StudentChangeInput: "StudentChange",
    DecisionsInput: "NewDecisions",
}
#: Faults that a schema cannot say (docs/contract.md, section 1).
UNSAYABLE: Final = {"invisible", "long_composed", "email", "own_domain", "added_too"}

_ODD: Final = st.sampled_from(
    "\t\n\r \u0000\u001f\u007f\u0085\u00a0\u200b\u200f\u202e\u2028\ufeffaÅ"
)
texts = st.text(st.one_of(_ODD, st.characters(codec="utf-8")), max_size=8)


@cache
def validator(model: type[BaseModel]) -> jsonschema_rs.Draft202012Validator:
    ref = f"#/components/schemas/{NAMES[model]}"
    schema = {"$ref": ref, "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def schema_takes(model: type[BaseModel], value: Any) -> bool:  # noqa: ANN401  # any JSON
    return validator(model).is_valid(value)


def faults(model: type[BaseModel], value: Any) -> set[str]:  # noqa: ANN401  # any JSON
    try:
        model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        return {fault["type"] for fault in error.errors()}
    return set()


def agree(model: type[BaseModel], value: Any) -> None:  # noqa: ANN401  # any JSON
    found = faults(model, value)
    if not found:
        assert schema_takes(model, value)
    elif found - UNSAYABLE:
        assert not schema_takes(model, value), found


@given(texts)
@example("")
@example(" \t\ufeff\u0085")
@example("\t9A\n")
@example("9\tA")
@example("x" * 100)
@example("x" * 101)
def test_of_the_name_of_a_class(name: str) -> None:
    agree(NewClassInput, {"name": name, "course_codes": ["SV1"]})
    agree(ClassChangeInput, {"name": name})


@given(texts)
@example("")
@example(" \t\ufeff\u0085\u00a0")
@example("\ufeff\t4711\n ")
@example("47\t11")
@example("\u202e")
@example("x" * 255)
@example("x" * 256)
def test_of_an_external_id(external_id: str) -> None:
    name = {"first_name": "Eva"}
    agree(NewClassInput, {"name": "9A", "course_codes": ["SV1"], "external_id": external_id})
    agree(NewStudentInput, {"person_name": name, "external_id": external_id})
    for change in (ClassChangeInput, StudentChangeInput):
        agree(change, {"external_id": external_id})
        agree(change, {"external_id": None})


@given(texts, texts)
@example("", "")
@example("Åsa", "")
@example(" ", "\t")
def test_of_the_name_of_a_person(first: str, last: str) -> None:
    name = {"first_name": first, "last_name": last}
    agree(NewStudentInput, {"person_name": name})
    agree(StudentChangeInput, {"person_name": name})


@pytest.mark.parametrize("codes", [[], ["SV1"], ["SV1", "SV2"], ["X"], None, "SV1", [1]])
def test_of_the_course_of_a_class(codes: object) -> None:
    agree(NewClassInput, {"name": "9A", "course_codes": codes})
    agree(ClassChangeInput, {"course_codes": codes})


@pytest.mark.parametrize("email", ["", "a@b.se", "a", None, 1, "x" * 255])
def test_of_an_address(email: object) -> None:
    agree(StudentChangeInput, {"email": email})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"associations": []},
        {"confirm_suggested": None},
        {"confirm_suggested": {"min_confidence": 0.5}},
        {"confirm_suggested": {"min_confidence": 2}},
    ],
)
def test_of_decisions(body: object) -> None:
    assert schema_takes(DecisionsInput, body) == is_decided(body)


def is_decided(body: object) -> bool:
    try:
        read_json(DecisionsInput, json.dumps(body).encode()).resolve()
    except ValidationFailedError:
        return False
    return True


def test_the_pattern_refuses_each_character_that_turns_text() -> None:
    turning = [chr(code) for code in range(0x10000) if BIDIRECTIONAL.match(chr(code))]
    assert len(turning) == 12
    for one in turning:
        agree(NewClassInput, {"name": f"9{one}A", "course_codes": ["SV1"]})
