"""Requests per second and their times, on ten connections."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final
from uuid import UUID

from bench import http_load, seed
from bench.http_load import TAG, UNIQUE, HttpLoad, LoadError, with_header
from bench.report import SERVICE, Figures, Report, progress
from bench.rig import EVENTS_TOPIC, Process, Rig
from bench.sizes import Sizes
from devstack.http_client import ask

CLASSES: Final = "/v1/classes"
STUDENTS: Final = f"{CLASSES}/students"
#: The name of each floor, and the prefix of its paths.
AIOHTTP_SQL: Final = "aiohttp + asyncpg"
FIXED: Final = "aiohttp, fixed answer"
FLOORS: Final = {AIOHTTP_SQL: "/sql", FIXED: "/fixed"}
#: For what writes: messages are not only stored.
SENDING: Final = {"aiohttp + asyncpg + aiokafka": "/sent"}
#: For reads whose statement builds the answer in the service: JSON built from selected rows.
ROWS: Final = {"aiohttp + asyncpg, rows": "/rows"}
WITHOUT_KEY: Final = "service, without a key"

#: Of these classes each connection has one, whose tag it knows.
OWN: Final = range(10)

#: The bodies and paths of the cases that write.
_BODIES: Final = {
    "post_student": (
        STUDENTS,
        {
            "person_name": {"first_name": "Đorđe", "last_name": "Åkerblom"},
            "email": f"elev.{UNIQUE.decode()}@skola.example",
            "class_ids": [str(seed.GROWING_CLASS)],
        },
    ),
    "post_class": (CLASSES, {"name": f"Klass {UNIQUE.decode()}", "course_codes": ["SV1"]}),
}
WRITING: Final = tuple(_BODIES)
PATHS: Final = (*WRITING, "get_student", "get_class", "get_roster", "get_classes")
#: The first page of a teacher.
CONSOLE: Final = "get_console"


@dataclass(frozen=True)
class Readable:
    """The ids that can be read, each with its owner."""

    classes: Sequence[tuple[UUID, str]]
    students: Sequence[tuple[UUID, str]]


SEEDED: Final = Readable(
    [(seed.class_id(n), seed.OWNER) for n in range(seed.CLASSES)],
    [(seed.student_id(n), seed.OWNER) for n in range(seed.STUDENTS)],
)


def post_student(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Create students, each in one class."""
    _run(rig, sizes, report, "post_student")


def post_keyed(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Create students with an idempotency key each; the floor is the service without."""
    sides = {
        side: load_of("post_student", rig.service(), sizes, has_key=side == SERVICE)
        for side in (SERVICE, WITHOUT_KEY)
    }
    _compare(rig, sizes, report, "post_keyed", sides)


def post_class(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Create classes."""
    _run(rig, sizes, report, "post_class")


def get_student(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Read students, one after the other."""
    _run(rig, sizes, report, "get_student")


def get_class(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Read classes of 30 students, one after the other."""
    _run(rig, sizes, report, "get_class")


def get_roster(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Read the students of the classes."""
    _run(rig, sizes, report, "get_roster")


def get_classes(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Read the first page of a teacher's classes."""
    _run(rig, sizes, report, "get_classes")


def get_class_unchanged(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Read classes that the client has already: 304. The floor are the same reads without a tag."""
    read = load_of("get_class", rig.service(), sizes)
    known = replace(_with(read, "If-None-Match", TAG), status=HTTPStatus.NOT_MODIFIED)
    _compare(rig, sizes, report, "get_class_unchanged", {SERVICE: known, "without a tag": read})


def put_class_match(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Rename classes, each with the tag of the answer before. The floor is the same without one."""
    body = json.dumps({"name": f"Klass {UNIQUE.decode()}"}).encode()
    paths = [f"{CLASSES}/{seed.class_id(n)}" for n in OWN]
    puts = [http_load.put(path, seed.OWNER, body) for path in paths]
    times = sizes.http_seconds, sizes.http_warm_seconds
    plain = HttpLoad(rig.service().port, puts, HTTPStatus.OK, *times)
    sides = {SERVICE: _with(plain, "If-Match", TAG), "without a tag": plain}
    _compare(rig, sizes, report, "put_class_match", sides)


def post_load(target: Process, sizes: Sizes) -> HttpLoad:
    """Return the requests that create students."""
    return load_of("post_student", target, sizes)


def load_of(
    case: str,
    target: Process,
    sizes: Sizes,
    prefix: str = "",
    readable: Readable = SEEDED,
    *,
    has_key: bool = False,
) -> HttpLoad:
    """Return the requests of a case: one of PATHS; those of WRITING with a key, if so asked."""
    requests = _requests(case, prefix, readable, has_key=has_key)
    status = 201 if case in WRITING else 200
    return HttpLoad(
        target.port, _spread(requests), status, sizes.http_seconds, sizes.http_warm_seconds
    )


def _spread(requests: Sequence[bytes]) -> list[bytes]:
    """Return the requests, those that fill a class for each class that grows."""
    one = str(seed.GROWING_CLASS).encode()
    every = [str(seed.growing_class(n)).encode() for n in range(seed.GROWING_CLASSES)]
    return [
        request.replace(one, other)
        for request in requests
        for other in (every if one in request else [one])
    ]


def _requests(case: str, prefix: str, readable: Readable, *, has_key: bool) -> list[bytes]:
    if case in _BODIES:
        path, body = _BODIES[case]
        text = json.dumps(body, ensure_ascii=False).encode()
        return [http_load.post(prefix + path, seed.OWNER, text, has_key=has_key)]
    if case == CONSOLE:
        owners = dict.fromkeys(owner for _, owner in readable.classes)
        return [http_load.get(f"{prefix}/console", owner) for owner in owners]
    if case == "get_classes":
        owners = dict.fromkeys(owner for _, owner in readable.classes)
        return [http_load.get(f"{prefix}{CLASSES}", owner) for owner in owners]
    if case == "get_student":
        return [http_load.get(f"{prefix}{STUDENTS}/{i}", owner) for i, owner in readable.students]
    end = "/roster" if case == "get_roster" else ""
    return [http_load.get(f"{prefix}{CLASSES}/{i}{end}", owner) for i, owner in readable.classes]


def _run(rig: Rig, sizes: Sizes, report: Report, case: str) -> None:
    for number in range(sizes.rounds):
        for side, prefix in _sides(case, number).items():
            progress(f"{case}, round {number + 1}: {side}")
            target = target_of(rig, side)
            outbox = _outbox(rig, side) if case in WRITING else None
            figures = _figures(rig, target, load_of(case, target, sizes, prefix), outbox)
            report.add_figures(case, side, number, figures)
            if case in WRITING and side in FLOORS:
                rig.empty_outbox(rig.floor_dsn)


def _outbox(rig: Rig, side: str) -> str | None:
    """Return the database whose messages a side sends."""
    return rig.floor_dsn if side in SENDING else rig.dsn if side == SERVICE else None


def of_service(rig: Rig, sizes: Sizes, case: str) -> Figures:
    """Measure a case of PATHS once, without its floors."""
    load = load_of(case, rig.service(), sizes)
    return _figures(rig, rig.service(), load, rig.dsn if case in WRITING else None)


def _sides(case: str, number: int) -> dict[str, str]:
    """Return the prefix of the paths of each side of a case in a round."""
    # A fixed answer is as fast each time.
    floors = {side: prefix for side, prefix in FLOORS.items() if not number or side != FIXED}
    others = SENDING if case in WRITING else ROWS if case in {"get_class", "get_roster"} else {}
    return {SERVICE: ""} | floors | others


def _compare(
    rig: Rig, sizes: Sizes, report: Report, case: str, sides: Mapping[str, HttpLoad]
) -> None:
    """Measure the service beside itself, asked otherwise."""
    for number in range(sizes.rounds):
        for side, load in sides.items():
            progress(f"{case}, round {number + 1}: {side}")
            report.add_figures(case, side, number, _figures(rig, rig.service(), load, rig.dsn))


def _with(load: HttpLoad, name: str, value: bytes) -> HttpLoad:
    return replace(load, requests=[with_header(r, name, value) for r in load.requests])


def _figures(rig: Rig, target: Process, load: HttpLoad, outbox: str | None) -> Figures:
    """Measure; `outbox` has the address of the database whose messages are sent."""
    with rig.meter(target) as meter:
        result = rig.loader.run(http_load.load, load)
        left = rig.waiting(outbox) if outbox else 0
        if outbox:
            # What is sent on after the answer is part of the cost.
            rig.settle(target, outbox)
    metrics = {
        "requests_per_s": result.requests_per_s,
        "p95_ms": result.p95_ms,
        "p99_ms": result.p99_ms,
        **meter.us_for_each(result.answers),
    }
    notes = {"p50_ms": result.p50_ms, "outbox_rows_left": left, **meter.notes(result.answers)}
    return Figures(metrics, notes)


def target_of(rig: Rig, side: str) -> Process:
    """Return the server of a side."""
    service = rig.service()
    if side == SERVICE:
        return service
    fixed = rig.folder / "answers.json"
    if not fixed.exists():
        fixed.write_text(json.dumps(_answers(service)), encoding="utf-8")
    return rig.floor("web", rig.floor_servers, EVENTS_TOPIC, str(fixed))


def _answers(service: Process) -> dict[str, str]:
    """Return the service's answers, by case."""
    student, cls = f"{STUDENTS}/{seed.student_id(0)}", f"{CLASSES}/{seed.class_id(0)}"
    gets = {
        "get_student": student,
        "get_class": cls,
        "get_roster": f"{cls}/roster",
        "get_classes": CLASSES,
    }
    made = {case: _ask(service, "POST", path, body) for case, (path, body) in _BODIES.items()}
    return made | {case: _ask(service, "GET", path) for case, path in gets.items()}


def _ask(service: Process, method: str, path: str, body: object = None) -> str:
    headers = {"X-User-ID": seed.OWNER, "Content-Type": "application/json"}
    text = json.dumps(body).replace(UNIQUE.decode(), "0" * 12) if body else None
    answer = ask(service.port, path, method=method, body=text, headers=headers)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise LoadError(answer.text)
    return answer.text
