"""Parameters of queries that come more than once."""

import pytest

from rules.ids import new_id
from tests.integration.web.api import SERVICE, Api, Reply
from tests.integration.web.requests import file_of, headers_of
from web.identity import Access
from web.operations import Operation
from web.table import OPERATIONS

MEANT_ONCE = [
    (operation, parameter.name)
    for operation in OPERATIONS
    for parameter in operation.parameters
    if parameter.schema["type"] != "array"
]


async def ask(api: Api, operation: Operation, query: str) -> Reply:
    names = ("class_id", "student_id", "batch_id", "essay_id", "import_id")
    path = operation.path.format(**{name: new_id() for name in names})
    is_internal = operation.access in {Access.SERVICE, Access.WORKER}
    headers = {**(SERVICE if is_internal else {}), **headers_of(operation)}
    body: object = {} if operation.body is not None else None
    url, file = f"{path}?{query}", file_of(operation)
    return await api.send(operation.method, url, body, headers=headers, data=file)


def named(of: tuple[Operation, str]) -> str:
    return f"{of[0].name}-{of[1]}"


@pytest.mark.parametrize("of", MEANT_ONCE, ids=named)
async def test_what_is_meant_once_may_not_come_twice(
    memory_api: Api, of: tuple[Operation, str]
) -> None:
    """Whoever put a second one there meant something by it, and would not learn of it."""
    operation, name = of
    for values in (("x", "x"), ("", ""), ("", "1"), ("1", "")):
        query = "&".join(f"{name}={value}" for value in values)
        reply = await ask(memory_api, operation, query)
        reply.problem(400, "VALIDATION_ERROR")
        assert reply.pointers == [f"/{name}"]
        assert reply.json["errors"][0]["detail"] == "Give it once."


async def test_lists_may_come_in_several_parts(memory_api: Api) -> None:
    one, other = new_id(), new_id()
    path = f"/internal/v1/batches/class-info?batch_ids={one}&batch_ids={other}"
    assert (await memory_api.internal(path)).json == {str(one): None, str(other): None}
    assert (await memory_api.get("/v1/batches?state=pending&state=closed")).status == 200


async def test_what_no_path_knows_may_come_as_often_as_it_likes(memory_api: Api) -> None:
    assert (await memory_api.get("/v1/classes?later=1&later=2&limit=1")).status == 200
