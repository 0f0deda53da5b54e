"""`Idempotency-Key`: a request that is repeated has one effect and one answer."""

import asyncio
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson
import pytest
from multidict import CIMultiDict

from devstack.rig.database import connected
from rules.ids import new_id
from rules.models import Policy
from store.postgres.advisory import AdvisoryLock
from tests.integration.web.api import OTHER, Api, Reply, Setup, serving
from tests.support.stores import postgres_stores

CLASSES: Final = "/v1/classes"
STUDENTS: Final = "/v1/classes/students"
CLASS: Final = {"name": "9A", "course_codes": ["SV1"]}
ASA: Final = {"person_name": {"first_name": "Åsa", "last_name": "Öberg"}}

#: What another worker does while it answers.
HOLD: Final = f"select pg_advisory_xact_lock({AdvisoryLock.IDEMPOTENCY_KEYS}, hashtext($1))"

#: What belongs to each answer anew.
_OWN: Final = {"Date", "X-Correlation-ID", "Idempotent-Replayed"}


def keyed(key: str = "a-key") -> dict[str, str]:
    return {"Idempotency-Key": key}


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _OWN}


def check_replay(first: Reply, second: Reply) -> None:
    assert (first.status, first.body) == (second.status, second.body)
    assert kept(first.headers) == kept(second.headers)
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.headers["X-Correlation-ID"] != second.headers["X-Correlation-ID"]


async def sent(api: Api, path: str, body: object, key: str) -> Reply:
    """Send a request until it is answered, as clients do: a busy machine may take its time."""
    while (reply := await api.send("POST", path, body, headers=keyed(key))).status == 409:
        assert reply.headers["Retry-After"] == "1"
        reply.problem(409, "IDEMPOTENCY_CONFLICT")
    return reply


async def names(api: Api) -> list[str]:
    return [one["name"] for one in (await api.get(CLASSES)).json["classes"]]


async def test_a_repeated_request_has_one_effect_and_the_same_answer(api: Api) -> None:
    first = await api.send("POST", CLASSES, CLASS, headers=keyed())
    second = await api.send("POST", CLASSES, CLASS, headers=keyed())

    assert first.status == 201
    check_replay(first, second)
    assert {"Location", "ETag", "Content-Type"} <= second.headers.keys()
    assert await names(api) == ["9A"]


async def test_every_way_to_change_something_can_be_repeated(api: Api) -> None:
    class_id = await api.new_class()
    student_id, other_id = await api.new_student(class_ids=(class_id,)), await api.new_student()
    batch_id, [essay_id] = await api.new_batch(class_id, student_id)
    batch = f"/v1/batches/{batch_id}/student-associations"
    decision = {"essay_id": essay_id, "confirmed": True}

    for number, (method, path, body) in enumerate(
        [
            ("POST", CLASSES, CLASS),
            ("PUT", f"{CLASSES}/{class_id}", {"name": "9B"}),
            ("POST", STUDENTS, ASA),
            ("PUT", f"{STUDENTS}/{student_id}", {"person_name": {"first_name": "Åse"}}),
            ("POST", f"{batch}/confirm", {"associations": [decision]}),
            ("PUT", f"{batch}/{essay_id}", {"student_id": None}),
            ("POST", f"{STUDENTS}/{other_id}/merge", {"into": student_id}),
            ("DELETE", f"{STUDENTS}/{student_id}", None),
            ("DELETE", f"{CLASSES}/{class_id}", None),
        ]
    ):
        key = keyed(f"key {number}".replace(" ", "-"))
        first = await api.send(method, path, body, headers=key)
        assert first.status in {200, 201, 204}, first.body
        check_replay(first, await api.send(method, path, body, headers=key))
    # What the second DELETE would have found.
    assert (await api.send("DELETE", f"{CLASSES}/{class_id}")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", CLASSES, {**CLASS, "name": "9B"}),
        ("POST", f"{CLASSES}?x=1", CLASS),
        ("POST", STUDENTS, ASA),
        ("POST", STUDENTS, {"not": "a student"}),
    ],
)
async def test_a_key_is_of_one_request(api: Api, method: str, path: str, body: object) -> None:
    await api.send("POST", CLASSES, CLASS, headers=keyed())

    refused = await api.send(method, path, body, headers=keyed())

    refused.problem(422, "IDEMPOTENCY_CONFLICT")
    assert await names(api) == ["9A"]


async def test_each_user_has_keys_of_its_own(api: Api) -> None:
    mine = await api.send("POST", CLASSES, CLASS, headers=keyed())
    theirs = await api.send("POST", CLASSES, CLASS, headers=keyed(), user=OTHER)

    assert (mine.status, theirs.status) == (201, 201)
    assert mine.json["id"] != theirs.json["id"]


async def test_a_refusal_leaves_the_key_free(api: Api) -> None:
    email = "asa@skola.example"
    holder = await api.new_student(email=email)
    wanted = {**ASA, "email": email}

    taken = await api.send("POST", STUDENTS, wanted, headers=keyed())
    taken.problem(409, "STUDENT_EMAIL_CONFLICT")
    await api.send("DELETE", f"{STUDENTS}/{holder}")
    made = await api.send("POST", STUDENTS, wanted, headers=keyed())

    assert made.status == 201
    check_replay(made, await api.send("POST", STUDENTS, wanted, headers=keyed()))


@pytest.mark.parametrize("body", [{}, {"name": 1}, {"name": "9A", "course_codes": ["X"]}])
async def test_an_invalid_body_leaves_the_key_free(api: Api, body: object) -> None:
    assert (await api.send("POST", CLASSES, body, headers=keyed())).status == 400
    assert (await api.send("POST", CLASSES, CLASS, headers=keyed())).status == 201


async def test_a_kept_answer_outlives_what_it_is_about(api: Api) -> None:
    class_id = await api.new_class()
    path = f"{CLASSES}/{class_id}"
    renamed = await api.send("PUT", path, {"name": "9B"}, headers=keyed())
    await api.send("DELETE", path)

    check_replay(renamed, await api.send("PUT", path, {"name": "9B"}, headers=keyed()))


async def test_who_calls_is_asked_before_an_answer_is_given(api: Api) -> None:
    await api.send("POST", CLASSES, CLASS, headers=keyed())

    anonymous = await api.send("POST", CLASSES, CLASS, headers=keyed(), user=None)

    anonymous.problem(401, "AUTHENTICATION_REQUIRED")


@pytest.mark.parametrize("key", ["", "a b", "ä", "a" * 256, "a\tb"])
async def test_a_key_has_1_to_255_visible_characters(api: Api, key: str) -> None:
    refused = await api.send("POST", CLASSES, CLASS, headers=keyed(key))

    refused.problem(400, "VALIDATION_ERROR")
    assert refused.pointers == ["/Idempotency-Key"]
    assert await names(api) == []


@pytest.mark.parametrize("key", ["!", "~" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
async def test_keys_that_are_just_good(api: Api, key: str) -> None:
    first = await api.send("POST", CLASSES, CLASS, headers=keyed(key))
    check_replay(first, await api.send("POST", CLASSES, CLASS, headers=keyed(key)))


async def test_a_read_takes_no_key(api: Api) -> None:
    for headers in (keyed(), keyed("not a key")):
        reply = await api.get(CLASSES, headers=headers)
        assert reply.status == 200
        assert "Idempotent-Replayed" not in reply.headers


async def test_simultaneous_requests_with_one_key_have_one_effect(api: Api) -> None:
    replies = await asyncio.gather(*(sent(api, CLASSES, CLASS, "a-key") for _ in range(20)))

    assert {reply.status for reply in replies} == {201}
    assert len({reply.body for reply in replies}) == 1
    assert sum("Idempotent-Replayed" not in reply.headers for reply in replies) == 1
    assert await names(api) == ["9A"]


async def test_simultaneous_requests_with_many_keys_have_an_effect_each(api: Api) -> None:
    keys = [f"key-{number % 25}" for number in range(100)]
    replies = await asyncio.gather(*(sent(api, STUDENTS, ASA, key) for key in keys))

    assert {reply.status for reply in replies} == {201}
    by_key = {(key, reply.body) for key, reply in zip(keys, replies, strict=True)}
    assert len(by_key) == 25
    assert len({reply.json["id"] for reply in replies}) == 25


async def test_who_waits_too_long_is_told_to_come_again(
    migrated_database: str, tmp_path: Path
) -> None:
    async with (
        connected(migrated_database) as connection,
        postgres_stores(migrated_database, Policy()) as stores,
    ):
        async with serving(Setup(stores), tmp_path) as api, connection.transaction():
            await connection.execute(HOLD, "lärare-1 a-key")
            refused = await api.send("POST", CLASSES, CLASS, headers=keyed())
            renamed = await api.send("PUT", f"{CLASSES}/{new_id()}", {}, headers=keyed())
        async with serving(Setup(stores), tmp_path) as api:
            made = await api.send("POST", CLASSES, CLASS, headers=keyed())

    for reply in (refused, renamed):
        reply.problem(409, "IDEMPOTENCY_CONFLICT")
        assert reply.headers["Retry-After"] == "1"
    assert (made.status, "Idempotent-Replayed" in made.headers) == (201, False)


async def test_a_key_twice_is_refused(api: Api) -> None:
    headers = CIMultiDict([("Idempotency-Key", "a"), ("Idempotency-Key", "a")])
    refused = await api.send("POST", CLASSES, CLASS, headers=headers)
    refused.problem(400, "VALIDATION_ERROR")
    assert refused.pointers == ["/Idempotency-Key"]


async def test_what_comes_packed_is_the_same_as_what_does_not(api: Api) -> None:
    body = orjson.dumps(CLASS)
    json = {"Content-Type": "application/json"}
    first = await api.send("POST", CLASSES, data=body, headers={**keyed(), **json})
    packed = {**keyed(), **json, "Content-Encoding": "gzip"}

    check_replay(first, await api.send("POST", CLASSES, data=gzip.compress(body), headers=packed))
    check_replay(
        first, await api.send("POST", f"{CLASSES}/", data=body, headers={**keyed(), **json})
    )


async def test_what_is_absent_leaves_the_key_free(api: Api) -> None:
    unknown = await api.send("PUT", f"{CLASSES}/{new_id()}", {"name": "9B"}, headers=keyed())
    unknown.problem(404, "CLASS_NOT_FOUND")
    assert (await api.send("POST", CLASSES, CLASS, headers=keyed())).status == 201
