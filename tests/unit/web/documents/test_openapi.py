"""The OpenAPI document is valid, says what the table says, and is true where a test can see it."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from rules.courses import COURSES
from tests.support.documents import DESCRIBED, answers_of, document, operation_of, resolved
from web.documents.examples import EXAMPLES
from web.documents.links import LINKS
from web.identity import Access
from web.operations import Operation
from web.problems import PROBLEMS

BY_NAME: Final = {one.name: one for one in DESCRIBED}
every_operation = pytest.mark.parametrize("operation", DESCRIBED, ids=lambda one: one.name)


def test_it_is_valid() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_it_has_the_operations_of_the_table_and_no_others() -> None:
    described = {
        (method.upper(), path) for path, item in document()["paths"].items() for method in item
    }
    assert described == {(one.method, one.path) for one in DESCRIBED}


def test_names_of_operations_are_unique() -> None:
    assert len(BY_NAME) == len(DESCRIBED)


def test_it_is_the_same_each_time() -> None:
    document.cache_clear()
    before = json.dumps(document())
    document.cache_clear()
    assert json.dumps(document()) == before


@every_operation
def test_what_has_an_access_rule_asks_for_it(operation: Operation) -> None:
    asked = operation_of(operation)["security"]
    schemes = document()["components"]["securitySchemes"]
    assert all(name in schemes for requirement in asked for name in requirement)
    assert (asked == []) == (operation.access is Access.ANYBODY)
    assert ("401" in answers_of(operation)) == (operation.access is not Access.ANYBODY)


@every_operation
def test_each_own_error_is_described_with_its_status(operation: Operation) -> None:
    for error in operation.errors:
        status = PROBLEMS[error.error_code].status
        assert error.error_code in codes(operation, str(status.value))


@every_operation
def test_each_problem_has_an_example_of_its_own(operation: Operation) -> None:
    for status, answer in answers_of(operation).items():
        media = answer["content"].get("application/problem+json") if "content" in answer else None
        if media is None:
            continue
        examples = {code: one["value"] for code, one in media["examples"].items()}
        assert [*examples] == codes(operation, status)
        for code, example in examples.items():
            assert (example["error_code"], example["status"]) == (code, int(status))


def codes(operation: Operation, status: str) -> list[str]:
    media = answers_of(operation)[status]["content"]["application/problem+json"]
    narrowed: list[str] = media["schema"]["allOf"][1]["properties"]["error_code"]["enum"]
    return narrowed


# --- schemas --------------------------------------------------------------------------------------


def test_names_of_schemas_are_words_of_the_field() -> None:
    names = set(document()["components"]["schemas"])
    assert {"NewClass", "Class", "ClassDetail", "Student", "Problem", "PersonName"} <= names
    assert all(re.fullmatch("[A-Z][A-Za-z]+", name) for name in names)


def test_nothing_in_it_speaks_of_python_or_of_files_that_readers_lack() -> None:
    said = [*texts(document())]
    assert said
    for text in said:
        assert not re.search(r"\b(None|True|False|dict|tuple|pydantic)\b|(?<!/)\bdocs/", text), text


def texts(value: Any) -> Iterator[str]:  # noqa: ANN401  # any JSON
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in parts:
        if name == "description" and isinstance(part, str):
            yield part
        elif isinstance(part, dict | list):
            yield from texts(part)


def test_answers_may_get_more_members() -> None:
    assert '"additionalProperties": false' not in json.dumps(document())


def test_the_course_of_a_new_class_is_one_that_is_known() -> None:
    codes = resolved({"$ref": "#/components/schemas/NewClass"})["properties"]["course_codes"]
    assert (codes["minItems"], codes["maxItems"]) == (1, 1)
    assert codes["items"]["enum"] == [*COURSES]


# --- examples and links ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: model.__name__)
def test_each_example_is_of_its_model(model: type[BaseModel]) -> None:
    model.model_validate_json(json.dumps(EXAMPLES[model]), strict=True)


@pytest.mark.parametrize("name", LINKS)
def test_links_lead_to_operations_with_all_that_their_paths_need(name: str) -> None:
    assert name in BY_NAME
    for target, link in LINKS[name].items():
        assert [*link] == BY_NAME[target].ids
