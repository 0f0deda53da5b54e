"""Commands: whatever they are and however they come together, the same becomes of them."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules import topics
from rules.changes import NewClassRequest, NewStudentRequest
from rules.commands.orders import (
    AssociationsConfirm,
    AssociationsCorrect,
    ClassCreate,
    ClassDelete,
    ClassUpdate,
    Command,
    CommandDelivery,
    Refused,
    StudentCreate,
    StudentDelete,
    StudentMerge,
    StudentUpdate,
)
from rules.commands.results import CommandResult, CommandStatus
from rules.errors import ServiceError
from rules.messages.commands import parse_command
from rules.models import SYSTEM_AUTO, Caller, ClassSummary, MatchResult, Policy, Record, Trace
from rules.timeouts import unknown_student
from store.memory import placeholders as memory_placeholders
from store.postgres import placeholders as postgres_placeholders
from tests.integration.store.builders import Stores, classes_of, deliver, suggest
from tests.support import past
from tests.support.commands import envelope
from tests.support.profiles import by_profile
from tests.support.stores import memory_stores, postgres_stores

OWNERS: Final = ["teacher-1", "teacher-2"]
CLASSES: Final = [UUID(int=100 + i) for i in range(3)]
STUDENTS: Final = [UUID(int=200 + i) for i in range(4)]
ESSAYS: Final = [UUID(int=400 + i) for i in range(2)]
BATCH: Final = UUID(int=300)
#: Between the ids of one teacher and those of another.
APART: Final = 1_000
#: Between the id of a class and that of its UNKNOWN student.
UNKNOWN: Final = 500
VOLATILE: Final = {"timestamp", "event_timestamp", "deadline_timestamp", "armed_at", "confirm_by"}

Json = dict[str, Any]


@pytest.fixture(autouse=True, scope="module")
def _same_ids_of_unknown_students() -> Iterator[None]:
    """Give a class's UNKNOWN student the same id in all runs that are compared."""

    def made(cls: ClassSummary, trace: Trace, by: str) -> NewStudentRequest:
        request = unknown_student(cls, trace, by)
        return replace(request, new=replace(request.new, id=UUID(int=cls.id.int + UNKNOWN)))

    with pytest.MonkeyPatch.context() as patched:
        for store in (memory_placeholders, postgres_placeholders):
            patched.setattr(store, "unknown_student", made)
        yield


def nth(id_: UUID, number: int) -> UUID:
    """Return what is for a teacher what an id is for the first one."""
    return UUID(int=id_.int + APART * number)


def class_body(name: str = "9A") -> Json:
    return {"name": name, "course_codes": ["SV1"]}


# --- commands of a small world -----------------------------------------------------------------


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


names = st.sampled_from(["Åsa", "Bo"]).map(lambda n: {"first_name": n, "last_name": "Berg"})
emails = optional(st.sampled_from(["a@b.example", "A@B.example", "c@d.example", "no address"]))
classes = st.sampled_from(CLASSES)
students = st.sampled_from(STUDENTS)
class_names = st.sampled_from(["9A", "9B", ""])
courses = st.sampled_from([["SV1"], ["SV2"], ["SV1", "SV2"]])
some_classes = st.lists(classes, max_size=2, unique=True)
new_students = st.fixed_dictionaries(
    {"person_name": names, "email": emails, "class_ids": some_classes},
    optional={"student_id": students},
)
decisions = st.fixed_dictionaries(
    {"essay_id": st.sampled_from(ESSAYS), "confirmed": st.booleans()},
    optional={"student_id": students},
)
members: Final[dict[str, st.SearchStrategy[Json]]] = {
    "class.create": st.fixed_dictionaries(
        {"name": class_names, "course_codes": courses}, optional={"class_id": classes}
    ),
    "class.update": st.fixed_dictionaries(
        {"class_id": classes}, optional={"name": class_names, "course_codes": courses}
    ),
    "class.delete": st.fixed_dictionaries({"class_id": classes}),
    "student.create": new_students,
    "student.update": st.fixed_dictionaries(
        {"student_id": students},
        optional={
            "person_name": names,
            "email": emails,
            "add_class_ids": some_classes,
            "remove_class_ids": some_classes,
        },
    ),
    "student.delete": st.fixed_dictionaries({"student_id": students}),
    "roster.register": st.fixed_dictionaries(
        {"class_id": classes, "students": st.lists(new_students, min_size=1, max_size=3)}
    ),
    "associations.confirm": st.fixed_dictionaries(
        {"batch_id": st.just(BATCH), "associations": st.lists(decisions, max_size=2)},
        optional={
            "confirm_suggested": st.fixed_dictionaries(
                {"min_confidence": st.sampled_from([0.5, 0.9, 1])}
            )
        },
    ),
    "associations.correct": st.fixed_dictionaries(
        {
            "batch_id": st.just(BATCH),
            "essay_id": st.sampled_from(ESSAYS),
            "student_id": optional(students),
        }
    ),
    "student.merge": st.fixed_dictionaries({"student_id": students, "into": students}),
}
#: Which members name what is somebody's already.
_JOINED: Final = {"class_ids", "add_class_ids", "remove_class_ids"}
_REFERENCES: Final = {
    **dict.fromkeys(members, _JOINED),
    "roster.register": {*_JOINED, "class_id"},
    "associations.confirm": {"batch_id", "essay_id", "student_id"},
    "associations.correct": {"batch_id", "essay_id", "student_id"},
    "student.merge": {"into"},
}


@dataclass(frozen=True)
class Drawn:
    """A command, with the number of its event."""

    event: int
    command: str
    user_id: str
    given: Json


# Mostly makes: what is to be changed has to be there.
commands = st.sampled_from(
    ["class.create", "class.create", "student.create", "student.create", "student.create", *members]
).flatmap(
    lambda command: st.builds(
        Drawn, st.integers(1, 30), st.just(command), st.sampled_from(OWNERS), members[command]
    )
)
#: One teacher's students over and over: their ids and emails meet in one statement.
rushes = st.lists(
    st.builds(
        Drawn,
        st.integers(1, 100),
        st.just("student.create"),
        st.just(OWNERS[0]),
        st.fixed_dictionaries(
            {
                "person_name": names,
                "email": st.sampled_from(["a@b.example", "A@B.example", "c@d.example"]),
            },
            optional={"student_id": st.sampled_from(STUDENTS)},
        ),
    ),
    min_size=2,
    max_size=8,
)


def apart(drawn: Drawn) -> Drawn:
    """Return the command with ids of its teacher's, but some references to those of the other."""
    number = OWNERS.index(drawn.user_id)
    refers_to = number if drawn.event % 3 else 1 - number
    return replace(drawn, given=_apart(drawn.given, number, refers_to, _REFERENCES[drawn.command]))


def _apart(given: Json, number: int, refers_to: int, references: set[str]) -> Json:
    def moved(key: str, value: Any) -> Any:  # noqa: ANN401  # JSON
        if isinstance(value, UUID):
            return nth(value, refers_to if key in references else number)
        if isinstance(value, list):
            return [moved(key, one) for one in value]
        return _apart(value, number, refers_to, references) if isinstance(value, dict) else value

    return {key: moved(key, value) for key, value in given.items()}


#: Two teachers' commands by turns, which the store may put together.
by_turns = st.lists(commands.map(apart), min_size=4, max_size=20)
#: The second class is the second teacher's, for all that the first has commands before.
dispute: Final = [
    Drawn(event, "class.create", OWNERS[owner], {**class_body("9B"), "class_id": CLASSES[number]})
    for event, owner, number in [(1, 0, 1), (2, 1, 2), (3, 0, 2)]
]
#: Its suggested student is gone: a confirmed essay goes to the UNKNOWN student.
confirmed_too_late: Final = [
    Drawn(1, "student.delete", OWNERS[0], {"student_id": STUDENTS[0]}),
    Drawn(
        2,
        "associations.confirm",
        OWNERS[0],
        {"batch_id": BATCH, "associations": [{"essay_id": ESSAYS[0], "confirmed": True}]},
    ),
]
cuts = st.lists(st.integers(0, 20), max_size=6)


def delivered(drawn: Sequence[Drawn]) -> list[CommandDelivery]:
    """Return the commands as Kafka delivers them, each read once: its new ids are the same then."""
    deliveries = []
    for offset, one in enumerate(drawn):
        written = envelope(one.command, one.user_id, UUID(int=one.event), **one.given)
        value = json.dumps({**written, "correlation_id": str(UUID(int=7))}).encode()
        record = Record(topics.COMMANDS, 0, offset, 0, one.user_id.encode(), value, ())
        deliveries.append(CommandDelivery(record, parse_command(record)))
    return deliveries


def parts(deliveries: Sequence[CommandDelivery], at: Sequence[int]) -> list[list[CommandDelivery]]:
    places = sorted({min(cut, len(deliveries)) for cut in at} | {0, len(deliveries)})
    return [list(deliveries[a:b]) for a, b in itertools.pairwise(places)]


# --- what there is afterwards ------------------------------------------------------------------


async def prepare(stores: Stores) -> None:
    """Make for each teacher the class that a batch of essays belongs to, with two students."""
    for number, owner in enumerate(OWNERS):
        made = [
            Drawn(
                101 + 10 * number, "class.create", owner, {**class_body(), "class_id": CLASSES[0]}
            ),
            Drawn(102 + 10 * number, "student.create", owner, student_body(STUDENTS[0])),
            Drawn(103 + 10 * number, "student.create", owner, student_body(STUDENTS[1])),
        ]
        own = [replace(d, given=_apart(d.given, number, number, set())) for d in made]
        await stores.commands.apply_commands(delivered(own))
        results = [
            MatchResult(nth(essay, number), (suggest(nth(student, number)),))
            for essay, student in zip(ESSAYS, STUDENTS, strict=False)
        ]
        batch = deliver(nth(CLASSES[0], number), *results, batch_id=nth(BATCH, number))
        await stores.inbox.store_suggestions([batch])
    await stores.published()


def student_body(student_id: UUID) -> Json:
    name = {"first_name": "Åsa", "last_name": "Berg"}
    return {"person_name": name, "student_id": student_id, "class_ids": [CLASSES[0]]}


def lasting(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Return what is the same however often it is done."""
    if isinstance(value, dict):
        return {k: lasting(v) for k, v in value.items() if k not in VOLATILE | {"validated_at"}}
    return value


async def state(stores: Stores) -> Json:
    """Return everything that can be asked for, without times."""
    found: Json = {}
    for owner in OWNERS:
        records = await classes_of(stores, owner)
        for record in records:
            detail = await stores.rosters.get_class(owner, record.id)
            found[f"{owner} {record.id}"] = (
                (record.name, record.course_code, record.student_count, record.version),
                {(s.id, s.name, s.email, s.class_ids, s.version) for s in detail.students},
            )
        for student_id in [nth(i, number) for i in STUDENTS for number in range(len(OWNERS))]:
            with contextlib.suppress(ServiceError):
                s = await stores.classes.get_student(owner, student_id)
                found[f"{owner} {s.id}"] = (s.name, s.email, s.class_ids, s.version)
        for batch_id in (BATCH, nth(BATCH, 1)):
            with contextlib.suppress(ServiceError):
                view = await stores.associations.get_batch(owner, batch_id)
                found[f"{owner} {batch_id}"] = [
                    (a.essay_id, a.status, a.student_id, a.suggested_student_id)
                    for a in (shown.association for shown in view.associations)
                ]
                for essay_id in (a.association.essay_id for a in view.associations):
                    past = await stores.associations.history(owner, batch_id, essay_id)
                    found[f"{owner} {essay_id}"] = [
                        (one.status, one.method, one.student_id, one.by) for one in past
                    ]
    return found


async def told(stores: Stores, *without: str) -> dict[str, list[Any]]:
    """Return what was published of each key, in order, without times and event ids."""
    found: dict[str, list[Any]] = {}
    for one in await stores.published():
        if one.topic not in without:
            data = json.dumps(lasting(one.data), sort_keys=True)
            found.setdefault(f"{one.topic} {one.key}", []).append(data)
    # Of two associations stored at once either may stand first.
    return {k: v for k, v in found.items() if topics.ASSOCIATIONS_CONFIRMED not in k}


async def remembered(stores: Stores) -> dict[Any, list[Any]]:
    """Return what is remembered of each entity, in order; it must lead to what there is."""
    await past.check(stores.past)
    found: dict[Any, list[Any]] = {}
    for change in await stores.past.changes():
        # The messages with suggestions, which are no commands, have new correlation ids.
        trace = None if change.by == SYSTEM_AUTO else change.correlation_id
        found.setdefault(change.key, []).append((trace, replace(change, correlation_id=None)))
    return found


async def outcome(
    stores: Stores, batches: Sequence[Sequence[CommandDelivery]]
) -> tuple[list[CommandResult], Json, dict[str, list[Any]], dict[Any, list[Any]]]:
    await prepare(stores)
    results: list[CommandResult] = []
    for batch in batches:
        results += await stores.commands.apply_commands(batch)
    published = await told(stores)
    return results, await state(stores), published, await remembered(stores)


async def in_memory(batches: Sequence[Sequence[CommandDelivery]]) -> Any:  # noqa: ANN401
    async with memory_stores(Policy()) as stores:
        return await outcome(stores, batches)


async def on_postgres(dsn: str, batches: Sequence[Sequence[CommandDelivery]]) -> Any:  # noqa: ANN401
    async with postgres_stores(dsn, Policy()) as stores:
        return await outcome(stores, batches)


# --- the properties ----------------------------------------------------------------------------


@settings(deadline=None)
@example(drawn=confirmed_too_late, at=[1])
@given(drawn=st.lists(commands, max_size=20), at=cuts)
def test_however_commands_are_batched_the_same_becomes_of_them(
    drawn: list[Drawn], at: list[int]
) -> None:
    deliveries = delivered(drawn)
    together = asyncio.run(in_memory([deliveries]))
    assert asyncio.run(in_memory(parts(deliveries, at))) == together


@pytest.mark.long
@settings(max_examples=by_profile(short=15, long=100), deadline=None)
@example(drawn=dispute, at=[])
@example(drawn=confirmed_too_late, at=[1])
@given(drawn=st.lists(commands, min_size=1, max_size=20) | rushes | by_turns, at=cuts)
def test_both_stores_do_the_same_with_any_batches(
    migrated_database: str, drawn: list[Drawn], at: list[int]
) -> None:
    deliveries = delivered(drawn)
    alone = asyncio.run(in_memory([[one] for one in deliveries]))
    assert asyncio.run(on_postgres(migrated_database, parts(deliveries, at))) == alone
    assert asyncio.run(on_postgres(migrated_database, [deliveries])) == alone


@given(st.lists(commands, max_size=20), cuts, st.data())
def test_delivered_again_from_anywhere_nothing_changes(
    drawn: list[Drawn], at: list[int], data: st.DataObject
) -> None:
    deliveries = delivered(drawn)
    once = asyncio.run(in_memory([deliveries]))
    back = data.draw(st.integers(0, len(deliveries)))
    batches = [*parts(deliveries, at), deliveries[back:]]
    results, *all_else = asyncio.run(in_memory(batches))
    assert (results[: len(deliveries)], *all_else) == once
    assert all(r.status is CommandStatus.DUPLICATE for r in results[len(deliveries) :])


@example(confirmed_too_late)
@given(st.lists(commands, max_size=20))
def test_commands_and_requests_do_the_same(drawn: list[Drawn]) -> None:
    """What HTTP calls, called with what the commands ask for.

    Only commands take pupils who are there already: here none is named twice.
    """
    single = [one for one in drawn if one.command != "roster.register" and not _names_pupil(one)]
    deliveries = delivered([Drawn(i, d.command, d.user_id, d.given) for i, d in enumerate(single)])

    async def by_requests() -> tuple[list[str | None], Json, dict[str, list[Any]]]:
        async with memory_stores(Policy()) as stores:
            await prepare(stores)
            codes = [await request(stores, one.command) for one in deliveries]
            published = await told(stores)
            return codes, await state(stores), published

    async def by_commands() -> tuple[list[str | None], Json, dict[str, list[Any]]]:
        async with memory_stores(Policy()) as stores:
            await prepare(stores)
            results = await stores.commands.apply_commands(deliveries)
            published = await told(stores, topics.COMMAND_RESULTS)
            return [r.error_code for r in results], await state(stores), published

    assert asyncio.run(by_commands()) == asyncio.run(by_requests())


def _names_pupil(drawn: Drawn) -> bool:
    given = drawn.given
    return drawn.command == "student.create" and ("student_id" in given or bool(given["email"]))


async def decide(
    stores: Stores, caller: Caller, order: AssociationsConfirm | AssociationsCorrect | StudentMerge
) -> None:
    match order:
        case AssociationsConfirm(batch_id, wanted, minimum):
            await stores.associations.confirm(caller, batch_id, wanted, minimum)
        case AssociationsCorrect(batch_id, essay_id, student_id):
            await stores.associations.correct(caller, batch_id, essay_id, student_id)
        case StudentMerge(student_id, into):
            await stores.classes.merge_students(caller, student_id, into)


async def request(stores: Stores, command: Command) -> str | None:
    """Do what a request would; return the error code that it would be answered with."""
    caller, order = command.caller, command.order
    if isinstance(order, Refused):
        return order.error.error_code
    made: list[Any] = []
    try:
        match order:
            case ClassCreate(new):
                made = await stores.classes.create_classes([NewClassRequest(caller, new)])
            case ClassUpdate(class_id, change):
                await stores.classes.update_class(caller, class_id, change)
            case ClassDelete(class_id):
                await stores.classes.delete_class(caller, class_id)
            case StudentCreate(student):
                made = await stores.classes.create_students([NewStudentRequest(caller, student)])
            case StudentUpdate(student_id, changes):
                await stores.classes.update_student(caller, student_id, changes)
            case StudentDelete(student_id):
                await stores.classes.delete_student(caller, student_id)
            case AssociationsConfirm() | AssociationsCorrect() | StudentMerge():
                await decide(stores, caller, order)
    except ServiceError as error:
        return error.error_code
    return next((one.error_code for one in made if isinstance(one, ServiceError)), None)
