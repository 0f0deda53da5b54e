"""One effect, one answer, one event for each key, in both stores."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest

from rules import topics
from rules.changes import NewClassRequest, NewStudentRequest
from rules.class_pages import ClassQuery
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    KeyReusedError,
    KeyUnderWayError,
    ServiceError,
)
from rules.idempotency import KEPT, KeptAnswer, KeyedRequest
from rules.ids import new_id
from rules.models import Caller, ClassChange, ClassRecord, StudentRecord
from tests.integration.store.builders import Stores, caller, make_class, new_class, new_student

Work = Callable[[], Awaitable[KeptAnswer]]
Once = Awaitable[KeptAnswer]

TEACHER: Final = caller("lärare-1")
KEY: Final = KeyedRequest("lärare-1", "a-key", b"digest")
OTHER_KEY: Final = KeyedRequest("lärare-1", "another-key", b"digest")
A_MOMENT: Final = timedelta(seconds=1)


def answer(record: ClassRecord, status: int = 201) -> KeptAnswer:
    headers = {"Location": f"/v1/classes/{record.id}", "Content-Type": "application/json"}
    return KeptAnswer(status, headers, f'{{"id": "{record.id}", "name": "Å\u2028"}}'.encode())


def creates(stores: Stores, teacher: Caller = TEACHER, name: str = "9A") -> Work:
    """Return what makes another class each time."""

    async def work() -> KeptAnswer:
        return answer(await make_class(stores, teacher, new_class(name)))

    return work


async def raises() -> KeptAnswer:
    raise ClassNotFoundError


async def names(stores: Stores, owner_id: str = "lärare-1") -> list[str]:
    page = await stores.classes.list_classes(owner_id, ClassQuery(100))
    return [one.name for one in page.classes]


async def events(stores: Stores) -> int:
    return len(await stores.published(topics.CLASS_CREATED))


async def test_a_repetition_has_the_same_answer_and_no_effect(stores: Stores) -> None:
    first = await stores.idempotency.once(KEY, creates(stores))
    again = await stores.idempotency.once(KEY, creates(stores))

    assert (first.is_replay, again.is_replay) == (False, True)
    assert (first.status, first.headers, first.body) == (again.status, again.headers, again.body)
    assert await names(stores) == ["9A"]
    assert await events(stores) == 1


async def test_the_effect_is_there_at_once(stores: Stores) -> None:
    await stores.idempotency.once(KEY, creates(stores))
    await stores.idempotency.once(OTHER_KEY, creates(stores, name="9B"))

    assert sorted(await names(stores)) == ["9A", "9B"]
    assert await events(stores) == 2


async def test_simultaneous_requests_with_one_key_have_one_effect(stores: Stores) -> None:
    answers = await asyncio.gather(
        *(stores.idempotency.once(KEY, creates(stores)) for _ in range(20))
    )

    assert len({one.body for one in answers}) == 1
    assert sum(not one.is_replay for one in answers) == 1
    assert await names(stores) == ["9A"]
    assert await events(stores) == 1


async def test_simultaneous_requests_with_many_keys_have_an_effect_each(stores: Stores) -> None:
    keys = [KeyedRequest("lärare-1", f"key-{number % 10}", b"digest") for number in range(60)]
    answers = await asyncio.gather(
        *(stores.idempotency.once(key, creates(stores, name=key.key)) for key in keys)
    )

    assert len({(key.key, one.body) for key, one in zip(keys, answers, strict=True)}) == 10
    assert len(await names(stores)) == await events(stores) == 10


async def test_the_key_of_another_request_is_refused(stores: Stores) -> None:
    await stores.idempotency.once(KEY, creates(stores))

    with pytest.raises(KeyReusedError):
        await stores.idempotency.once(KeyedRequest(KEY.owner_id, KEY.key, b"else"), raises)
    assert (await stores.idempotency.once(KEY, raises)).is_replay


async def test_each_owner_has_keys_of_its_own(stores: Stores) -> None:
    theirs = KeyedRequest("lärare-2", KEY.key, KEY.digest)
    await stores.idempotency.once(KEY, creates(stores))
    await stores.idempotency.once(theirs, creates(stores, caller("lärare-2")))

    assert await names(stores) == await names(stores, "lärare-2") == ["9A"]


@pytest.mark.parametrize("error", [ClassNotFoundError(), ServiceError(), ValueError("a bug")])
async def test_what_fails_has_no_effect_and_leaves_the_key_free(
    stores: Stores, error: Exception
) -> None:
    async def fails() -> KeptAnswer:
        raise error

    with pytest.raises(type(error)):
        await stores.idempotency.once(KEY, fails)
    first = await stores.idempotency.once(KEY, creates(stores))

    assert not first.is_replay
    assert await names(stores) == ["9A"]


@pytest.mark.parametrize("status", [300, 404, 500])
async def test_an_answer_that_is_no_success_leaves_the_key_free(
    stores: Stores, status: int
) -> None:
    async def refuses() -> KeptAnswer:
        return KeptAnswer(status, {}, b"")

    assert (await stores.idempotency.once(KEY, refuses)).status == status
    assert not (await stores.idempotency.once(KEY, creates(stores))).is_replay


async def test_a_key_is_free_after_its_time_purged_or_not(stores: Stores) -> None:
    await stores.idempotency.once(KEY, creates(stores))
    await stores.elapse(KEPT - A_MOMENT)
    assert await stores.maintenance.purge_keys() == 0
    assert (await stores.idempotency.once(KEY, raises)).is_replay

    await stores.elapse(A_MOMENT)
    again = KeyedRequest(KEY.owner_id, KEY.key, b"another request")
    anew = await stores.idempotency.once(again, creates(stores, name="9B"))

    assert not anew.is_replay
    assert (await stores.idempotency.once(again, raises)).body == anew.body
    assert await stores.maintenance.purge_keys() == 0


async def test_what_is_old_is_purged(stores: Stores) -> None:
    await stores.idempotency.once(KEY, creates(stores))
    await stores.elapse(KEPT)
    await stores.idempotency.once(OTHER_KEY, creates(stores))

    assert await stores.maintenance.purge_keys() == 1
    assert (await stores.idempotency.once(OTHER_KEY, raises)).is_replay


async def test_who_comes_while_the_first_is_under_way_waits_for_it(stores: Stores) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> KeptAnswer:
        made = await creates(stores)()
        begun.set()
        await go_on.wait()
        return made

    first = asyncio.create_task(stores.idempotency.once(KEY, slow))
    await begun.wait()
    waiting = [asyncio.create_task(stores.idempotency.once(KEY, raises)) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in waiting)
    go_on.set()

    made = await first
    for task in waiting:
        replay = await task
        assert replay.is_replay
        assert replay.body == made.body


async def test_who_waits_too_long_is_told_so_and_others_are_served(stores: Stores) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hangs() -> KeptAnswer:
        begun.set()
        await go_on.wait()
        return await creates(stores)()

    first = asyncio.create_task(stores.idempotency.once(KEY, hangs))
    await begun.wait()
    # More than the pool has connections: who waits must not hold what the first needs.
    waiting = [asyncio.create_task(stores.idempotency.once(KEY, raises)) for _ in range(30)]
    assert not (await stores.idempotency.once(OTHER_KEY, creates(stores, name="9B"))).is_replay
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in refused} == {KeyUnderWayError}

    go_on.set()
    assert not (await first).is_replay
    assert (await stores.idempotency.once(KEY, raises)).is_replay


async def test_a_change_of_what_is_there_is_made_once(stores: Stores) -> None:
    record = await make_class(stores, TEACHER)

    async def renames() -> KeptAnswer:
        changed = await stores.classes.update_class(TEACHER, record.id, ClassChange("9B", None))
        return answer(changed.record, 200)

    await stores.published()
    first = await stores.idempotency.once(KEY, renames)
    await stores.classes.delete_class(TEACHER, record.id)

    assert (await stores.idempotency.once(KEY, renames)).body == first.body
    assert len(await stores.published(topics.CLASS_UPDATED)) == 1


async def test_a_refused_creation_leaves_the_key_free(stores: Stores) -> None:
    taken = await make_class(stores, caller("lärare-2"))

    def makes(class_id: UUID) -> Work:
        async def work() -> KeptAnswer:
            wanted = NewClassRequest(TEACHER, new_class(class_id=class_id))
            [made] = await stores.classes.create_classes([wanted])
            if isinstance(made, ServiceError):
                raise made
            return answer(made)

        return work

    with pytest.raises(ServiceError):
        await stores.idempotency.once(KEY, makes(taken.id))
    assert not (await stores.idempotency.once(KEY, makes(new_id()))).is_replay


def creates_student(stores: Stores, key: KeyedRequest, email: str | None = None) -> Once:
    wanted = NewStudentRequest(TEACHER, new_student(email=email))

    async def answered(made: StudentRecord) -> KeptAnswer:
        return KeptAnswer(201, {"ETag": "x"}, str(made.id).encode())

    return stores.idempotency.create_student(key, wanted, answered)


def creates_class(stores: Stores, key: KeyedRequest) -> Once:
    async def answered(made: ClassRecord) -> KeptAnswer:
        return answer(made)

    return stores.idempotency.create_class(key, NewClassRequest(TEACHER, new_class()), answered)


@pytest.mark.parametrize(
    ("create", "topic"),
    [(creates_class, topics.CLASS_CREATED), (creates_student, topics.STUDENT_CREATED)],
)
async def test_creations_that_are_gathered_have_one_effect_for_each_key(
    stores: Stores, create: Callable[[Stores, KeyedRequest], Once], topic: str
) -> None:
    keys = [KeyedRequest("lärare-1", f"key-{number % 7}", b"digest") for number in range(70)]
    answers = await asyncio.gather(*(create(stores, key) for key in keys))

    assert len({one.body for one in answers}) == sum(not one.is_replay for one in answers) == 7
    assert len(await stores.published(topic)) == 7
    for key, first in zip(keys, answers, strict=True):
        again = await stores.idempotency.once(key, raises)
        assert (again.is_replay, again.body) == (True, first.body)
    with pytest.raises(KeyReusedError):
        await create(stores, KeyedRequest("lärare-1", "key-1", b"else"))
    await stores.elapse(KEPT)
    assert not (await create(stores, keys[0])).is_replay


async def test_a_gathered_creation_that_is_refused_leaves_its_key_free(stores: Stores) -> None:
    email = "asa@skola.example"
    made = await creates_student(stores, OTHER_KEY, email)
    with pytest.raises(EmailConflictError):
        await creates_student(stores, KEY, email)
    assert (await creates_student(stores, OTHER_KEY, email)).is_replay

    await stores.classes.delete_student(TEACHER, UUID(made.body.decode()))
    assert not (await creates_student(stores, KEY, email)).is_replay
    assert (await creates_student(stores, OTHER_KEY, email)).body == made.body
