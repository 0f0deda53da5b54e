"""The client of docs/examples against the API: all of it, and where answers get lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import class_management_client.changes
import class_management_client.requests
import pytest
from class_management_client import (
    ClassManagement,
    ConflictError,
    Decision,
    EmailTakenError,
    NoAnswerError,
    NotFoundError,
    Patience,
    PersonName,
    ResyncError,
)

from devstack.ports import LOOPBACK
from tests.integration.web.api import TEACHER, Api
from tests.integration.web.event_streams import STREAM
from tests.integration.web.importing import work
from web.cursors import encode
from web.identity import Access
from web.table import OPERATIONS

EAGER = Patience(first_seconds=0.001)
ASA = PersonName(first_name="Åsa", last_name="Öberg")
BO = PersonName(first_name="Bo")
ROSTER = b"first name,last name\nBo,Ek\nVera,Ek\n"


def client(port: int, user: str = TEACHER, patience: Patience = EAGER) -> ClassManagement:
    return ClassManagement(f"http://{LOOPBACK}:{port}", user, patience=patience)


@pytest.fixture
async def service(api: Api) -> AsyncIterator[ClassManagement]:
    async with client(api.port) as service:
        yield service


async def new_batch(api: Api, class_id: UUID, *student_ids: UUID | None) -> tuple[UUID, list[UUID]]:
    texts = [str(student_id) if student_id else None for student_id in student_ids]
    batch_id, essay_ids = await api.new_batch(str(class_id), *texts)
    return UUID(batch_id), [UUID(essay_id) for essay_id in essay_ids]


async def test_the_client_does_all_that_a_teacher_can(api: Api, service: ClassManagement) -> None:
    assert len(await service.courses()) == 6
    await classes_and_students(service)
    await changes(api, service)
    await batches(api, service)
    await imports(api, service)
    wanted = {
        (operation.method, operation.path)
        for operation in OPERATIONS
        if operation.access in {Access.USER, Access.USER_OR_SERVICE}
        # What a browser follows has no end; the client asks for what there is.
        and operation.path != STREAM
    }
    assert wanted - done(api) == set()


async def classes_and_students(service: ClassManagement) -> None:
    made = await service.classes.create("7A", "SV1")
    made = await service.classes.update(made.id, {"name": "7B", "course_code": "SV2"})
    assert (made.name, made.course_code) == ("7B", "SV2")
    assert [found.id async for found in service.classes.all()] == [made.id]
    asa = await service.students.create(ASA, "asa@school.example", [made.id])
    double = await service.students.create(BO)
    double = await service.students.update(double.id, {"add_to": [made.id], "name": ASA})
    assert double.class_ids == (made.id,)
    double = await service.students.update(double.id, {"remove_from": [made.id]})
    asa = await service.students.merge(double.id, asa.id)
    with pytest.raises(NotFoundError):
        await service.students.get(double.id)
    asa = await service.students.edit(asa.id, lambda _: {"email": None})
    assert asa.email is None
    assert [found.id async for found in service.students.find("sa ö")] == [asa.id]
    assert [found.id async for found in service.students.find(class_id=made.id)] == [asa.id]
    assert [found.student_id for found in await service.classes.roster(made.id)] == [asa.id]
    assert [found.id for found in (await service.classes.get(made.id)).students] == [asa.id]
    await service.students.delete(asa.id)
    await service.classes.delete(made.id)
    assert [found async for found in service.classes.all()] == []
    assert [past.kind for past in await service.classes.history(made.id)] == [
        *("created", "updated", "deleted")
    ]
    assert (await service.students.history(asa.id))[-1].kind == "deleted"


async def changes(api: Api, service: ClassManagement) -> None:
    while await api.setup.store.feed.number():
        pass
    cursor = await service.changes.now()
    assert (await service.changes.after(cursor)).changes == ()
    made = await service.classes.create("7A", "SV1")
    await service.classes.update(made.id, {"name": "7B"})
    await api.setup.store.feed.number()
    seen = [change async for change in service.changes.all(cursor)]
    assert [(change.kind, change.id, change.data["name"]) for change in seen] == [
        ("created", made.id, "7A"),
        ("updated", made.id, "7B"),
    ]
    await service.classes.delete(made.id)


async def batches(api: Api, service: ClassManagement) -> None:
    made = await service.classes.create("7A", "SV1")
    asa = await service.students.create(ASA, None, [made.id])
    bo = await service.students.create(BO, None, [made.id])
    batch_id, [first, second] = await new_batch(api, made.id, asa.id, None)
    [listed] = [batch async for batch in service.batches.all("pending", made.id)]
    assert (listed.batch_id, listed.associations_unmatched) == (batch_id, 1)
    assert [essay.essay_id async for essay in service.batches.essays(batch_id)] == [first, second]
    decided = await service.batches.confirm(batch_id, suggested_from=0.5)
    assert (decided.status, decided.associations_pending) == ("partially_confirmed", 1)
    await service.batches.confirm(batch_id, [Decision(second, bo.id)])
    with pytest.raises(ConflictError):
        await service.batches.confirm(batch_id, [Decision(second, asa.id)])
    corrected = await service.batches.correct(batch_id, second, None)
    assert (corrected.student_id, corrected.validation_status) == (None, "rejected")
    assert (await service.batches.get_essay(batch_id, second)).tag == corrected.tag
    past = await service.batches.history(batch_id, second)
    assert [decision.student_id for decision in past] == [bo.id, None]
    assert (await service.batches.get(batch_id)).closed_at is not None


async def imports(api: Api, service: ClassManagement) -> None:
    made = await service.classes.create("9A", "SV1")
    plan = await service.imports.into_class(made.id, ROSTER, {"mode": "sync", "filename": "9A.csv"})
    assert (plan.state, plan.summary.created, plan.class_id) == ("planned", 2, made.id)
    rows = [row async for row in service.imports.rows(plan.id, "created")]
    assert [row.line for row in rows] == [2, 3]
    assert (await service.imports.get(plan.id, plan)) is plan
    going = await service.imports.apply(plan)
    assert going.state == "applying"
    await work(api)
    ended = await service.imports.applied(plan.id)
    assert (ended.state, ended.left_out) == ("applied", ())
    assert len(await service.classes.roster(made.id)) == 2
    for content in (await service.imports.export(), await service.imports.export("oneroster")):
        again = await service.imports.of_classes(content)
        assert (again.summary.created, again.summary.updated, again.summary.joined) == (0, 0, 0)
    assert b"Bo" in await service.imports.export_class(made.id)
    back = await service.imports.undo(plan.id)
    assert back.undoes == plan.id
    await service.imports.apply(back, force=True)
    await work(api)
    with pytest.raises(ConflictError):
        await service.imports.apply(await service.imports.get(back.id))
    assert (await service.imports.applied(back.id)).state == "applied"
    assert await service.classes.roster(made.id) == []
    assert len([found async for found in service.imports.all()]) == 4


def done(api: Api) -> set[tuple[str, str]]:
    """Return the operations that have succeeded."""
    return {
        (sample.labels["method"], sample.labels["route"])
        for family in api.setup.metrics.http_requests.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value and sample.labels["status"] < "300"
    }


async def test_an_address_that_is_taken_leads_to_who_has_it(service: ClassManagement) -> None:
    asa = await service.students.create(ASA, "asa@school.example")
    with pytest.raises(EmailTakenError) as refusal:
        await service.students.create(BO, "ASA@school.example")
    assert refusal.value.student_id == asa.id


async def test_an_external_id_is_given_found_and_taken_away(service: ClassManagement) -> None:
    room = await service.classes.create("9A", "SV1", "9A-2026")
    asa = await service.students.create(ASA, external_id="4711")
    assert [one.id async for one in service.classes.all(external_id="9A-2026")] == [room.id]
    assert [one.id async for one in service.students.find(external_id="4711")] == [asa.id]
    for wanted, holders in (
        (service.classes.create("9B", "SV1", "9A-2026"), (None, room.id)),
        (service.students.create(BO, external_id="4711"), (asa.id, None)),
    ):
        with pytest.raises(ConflictError) as refusal:
            await wanted
        assert (refusal.value.student_id, refusal.value.class_id) == holders
    assert (await service.classes.update(room.id, {"external_id": None})).external_id is None
    assert (await service.students.update(asa.id, {"external_id": None})).external_id is None
    assert [one.id async for one in service.students.find(external_id="4711")] == []


async def test_lists_are_read_over_all_their_pages(
    api: Api, service: ClassManagement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_management_client.requests, "PAGE", 2)
    made = [await service.classes.create(f"7{letter}", "SV1") for letter in "ABCDE"]
    students = [
        await service.students.create(PersonName(last_name=letter), None, [made[0].id])
        for letter in "ABCDE"
    ]
    sent = [await new_batch(api, made[0].id, *(one.id for one in students)) for _ in range(5)]
    assert [one.id async for one in service.classes.all()] == [one.id for one in reversed(made)]
    assert [one.id async for one in service.students.find()] == [one.id for one in students]
    found = [batch.batch_id async for batch in service.batches.all()]
    assert sorted(found) == sorted(batch_id for batch_id, _ in sent)
    batch_id, essays = sent[0]
    listed = [essay.essay_id async for essay in service.batches.essays(batch_id)]
    assert sorted(listed) == sorted(essays)


async def test_who_is_renamed_while_a_list_is_read_comes_once(
    service: ClassManagement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_management_client.requests, "PAGE", 1)
    made = [await service.students.create(PersonName(last_name=letter)) for letter in "ABC"]
    found = []
    async for student in service.students.find():
        found.append(student.id)
        await service.students.update(student.id, {"name": PersonName(last_name="Z")})
    assert found == [one.id for one in made]


async def test_what_has_not_changed_is_not_sent_again(api: Api, service: ClassManagement) -> None:
    made = await service.classes.create("7A", "SV1")
    asa = await service.students.create(ASA, None, [made.id])
    batch_id, [essay_id] = await new_batch(api, made.id, asa.id)
    seen = await service.classes.get(made.id)
    batch = await service.batches.get(batch_id)
    essay = await service.batches.get_essay(batch_id, essay_id)
    assert await service.classes.get(made.id, seen) is seen
    assert await service.students.get(asa.id, asa) is asa
    assert await service.batches.get(batch_id, batch) is batch
    assert await service.batches.get_essay(batch_id, essay_id, essay) is essay
    await service.students.update(asa.id, {"name": BO})
    assert (await service.classes.get(made.id, seen)).students[0].full_name == "Bo"
    assert (await service.students.get(asa.id, asa)).full_name == "Bo"
    assert (await service.batches.get(batch_id, batch)).associations[0].student_name == "Bo"


async def test_histories_and_changes_are_read_over_all_their_pages(
    api: Api, service: ClassManagement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_management_client.requests, "PAGE", 2)
    monkeypatch.setattr(class_management_client.changes, "PAGE", 2)
    made = await service.classes.create("7", "SV1")
    names = [f"7{letter}" for letter in "ABCDE"]
    for name in names:
        await service.classes.update(made.id, {"name": name})
    await api.setup.store.feed.number()
    seen = [change.data["name"] async for change in service.changes.all()]
    past = [(change.after or {})["name"] for change in await service.classes.history(made.id)]
    assert seen == past == ["7", *names]


async def test_a_cursor_of_another_database_asks_for_everything_anew(
    service: ClassManagement,
) -> None:
    with pytest.raises(ResyncError):
        await service.changes.after(encode(("changes", uuid4(), 0)))


async def test_edits_of_many_at_once_are_all_there(api: Api) -> None:
    async with client(api.port) as service:
        made = await service.classes.create("7", "SV1")

    async def edit(letter: str) -> None:
        async with client(api.port) as own:
            await own.classes.edit(made.id, lambda found: {"name": found.name + letter})

    letters = "ABCDEFGH"
    await asyncio.gather(*map(edit, letters))
    async with client(api.port) as service:
        name = (await service.classes.get(made.id)).name
    assert sorted(name) == sorted(f"7{letters}")


# --- answers that get lost ---------------------------------------------------------------------


class Cutter:
    """Stands before the service, and loses answers that the service has given."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.to_lose = 0
        self.lost = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one request on, with its answer unless that is to be lost."""
        behind, to_behind = await asyncio.open_connection(LOOPBACK, self._behind)
        to_behind.write(await _message(reader, b"Connection: close\r\n"))
        answer = await behind.read()
        if self.to_lose:
            self.to_lose -= 1
            self.lost += 1
        else:
            writer.write(answer)
            await writer.drain()
        to_behind.close()
        writer.close()


async def _message(reader: asyncio.StreamReader, more: bytes) -> bytes:
    """Read a request to its end; return it with one more header."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.lower().splitlines()[1:] if b": " in line)
    body = await reader.readexactly(int(fields.get(b"content-length", 0)))
    kept = head.replace(b"Connection: keep-alive\r\n", b"")
    return kept.removesuffix(b"\r\n") + more + b"\r\n" + body


@asynccontextmanager
async def before(api: Api) -> AsyncIterator[tuple[Cutter, ClassManagement]]:
    """Have something before the service that loses answers, and a client that speaks to it."""
    cutter = Cutter(api.port)
    server = await asyncio.start_server(cutter, LOOPBACK, 0)
    async with server, client(server.sockets[0].getsockname()[1]) as service:
        yield cutter, service


async def test_a_class_whose_answers_get_lost_is_made_once(api: Api) -> None:
    async with before(api) as (cutter, service):
        cutter.to_lose = 3
        made = await service.classes.create("7A", "SV1")
        assert cutter.lost == 3
        assert [found.id async for found in service.classes.all()] == [made.id]


async def test_everything_else_is_done_once_too(api: Api) -> None:
    async with before(api) as (cutter, service):
        made = await service.classes.create("7A", "SV1")
        cutter.to_lose = 1
        asa = await service.students.create(ASA, "asa@school.example", [made.id])
        cutter.to_lose = 1
        asa = await service.students.update(asa.id, {"name": BO}, if_match=asa.tag)
        batch_id, [essay_id] = await new_batch(api, made.id, asa.id)
        batch = await service.batches.get(batch_id)
        cutter.to_lose = 1
        done = await service.batches.confirm(batch_id, [Decision(essay_id)], if_match=batch.tag)
        assert done.associations_confirmed == 1
        cutter.to_lose = 1
        await service.batches.correct(batch_id, essay_id, None)
        assert len(await service.batches.history(batch_id, essay_id)) == 2
        cutter.to_lose = 1
        await service.classes.delete(made.id)
        assert cutter.lost == 5
        assert [found async for found in service.classes.all()] == []


async def test_a_key_of_ones_own_serves_a_second_life(api: Api) -> None:
    async with before(api) as (cutter, service):
        cutter.to_lose = EAGER.attempts
        with pytest.raises(NoAnswerError):
            await service.classes.create("7A", "SV1", key="row-17")
        again = await service.classes.create("7A", "SV1", key="row-17")
        assert [found.id async for found in service.classes.all()] == [again.id]


async def test_a_dry_run_says_what_would_be_and_does_nothing(service: ClassManagement) -> None:
    made = await service.classes.create("7A", "SV1")
    assert (await service.classes.create("7B", "SV1", dry_run=True)).name == "7B"
    tried = await service.classes.update(made.id, {"name": "7C"}, dry_run=True)
    assert tried.name == "7C"
    assert (await service.classes.what_deleting_ends(made.id)).batches_open == 0
    assert [found.name async for found in service.classes.all()] == ["7A"]
