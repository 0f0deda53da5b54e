"""Requests per second and their times, on ten connections."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final
from uuid import UUID

from bench import http_load, seed
from bench.http_load import TAG, UNIQUE, HttpLoad, LoadError, with_header
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import Process, Rig
from bench.sizes import Sizes
from devstack.http_client import ask

CLASSES: Final = "/v1/classes"
STUDENTS: Final = f"{CLASSES}/students"
#: The name of each floor, and the prefix of its paths.
AIOHTTP_SQL: Final = "aiohttp + asyncpg"
FLOORS: Final = {AIOHTTP_SQL: "/sql", "aiohttp, fixed answer": "/fixed"}
#: For reads whose statement builds the answer in the service: JSON built from selected rows.
ROWS: Final = {"aiohttp + asyncpg, rows": "/rows"}
WITHOUT_KEY: Final = "service, without a key"
OUTBOX_ROWS: Final = "select count(*) from outbox"
EMPTY_OUTBOX: Final = "truncate outbox_packs"

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
PATHS: Final = (*WRITING, "get_student", "get_class", "get_roster")
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


@dataclass(frozen=True)
class _Turn:
    """One measurement of a case."""

    case: str
    side: str
    number: int


def post_student(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Create students, each in one class."""
    _run(rig, sizes, report, "post_student")


def post_keyed(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Create students with an idempotency key each; the floor is the service without."""
    target = rig.service()
    for number in range(sizes.rounds):
        for side in (SERVICE, WITHOUT_KEY):
            load = load_of("post_student", target, sizes, has_key=side == SERVICE)
            _measure(rig, report, _Turn("post_keyed", side, number), target, load)
            target.await_idle()


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
    if case == "get_student":
        return [http_load.get(f"{prefix}{STUDENTS}/{i}", owner) for i, owner in readable.students]
    end = "/roster" if case == "get_roster" else ""
    return [http_load.get(f"{prefix}{CLASSES}/{i}{end}", owner) for i, owner in readable.classes]


def _run(rig: Rig, sizes: Sizes, report: Report, case: str) -> None:
    for number in range(sizes.rounds):
        for side, prefix in _sides(case).items():
            target = target_of(rig, side)
            load = load_of(case, target, sizes, prefix)
            _measure(rig, report, _Turn(case, side, number), target, load)
            if case in WRITING:
                _settle(rig, side, target)


def _sides(case: str) -> dict[str, str]:
    """Return the prefix of the paths of each side of a case."""
    return {SERVICE: ""} | FLOORS | (ROWS if case in {"get_class", "get_roster"} else {})


def _settle(rig: Rig, side: str, target: Process) -> None:
    """Finish or remove earlier work, which would disturb the next measurement."""
    if side == SERVICE:
        target.await_idle()
    else:
        rig.fetchval(EMPTY_OUTBOX, dsn=rig.floor_dsn)


def _compare(
    rig: Rig, sizes: Sizes, report: Report, case: str, sides: Mapping[str, HttpLoad]
) -> None:
    """Measure the service beside itself, asked otherwise."""
    for number in range(sizes.rounds):
        for side, load in sides.items():
            _measure(rig, report, _Turn(case, side, number), rig.service(), load)
            rig.service().await_idle()


def _with(load: HttpLoad, name: str, value: bytes) -> HttpLoad:
    return replace(load, requests=[with_header(r, name, value) for r in load.requests])


def _measure(rig: Rig, report: Report, turn: _Turn, target: Process, load: HttpLoad) -> None:
    progress(f"{turn.case}, round {turn.number + 1}: {turn.side}")
    cpu = target.cpu_seconds
    result = rig.loader.run(http_load.load, load)
    metrics = {
        "requests_per_s": result.requests_per_s,
        "p95_ms": result.p95_ms,
        "p99_ms": result.p99_ms,
        "cpu_ms_per_request": (target.cpu_seconds - cpu) * 1000 / result.answers,
    }
    notes = {"p50_ms": result.p50_ms}
    if turn.side == SERVICE:
        notes["outbox_rows_left"] = rig.fetchval(OUTBOX_ROWS)
    report.add(Measurement(turn.case, turn.side, turn.number + 1, metrics, notes))


def target_of(rig: Rig, side: str) -> Process:
    """Return the server of a side."""
    service = rig.service()
    if side == SERVICE:
        return service
    fixed = rig.folder / "answers.json"
    if not fixed.exists():
        fixed.write_text(json.dumps(_answers(service)), encoding="utf-8")
    return rig.floor("web", str(fixed))


def _answers(service: Process) -> dict[str, str]:
    """Return the service's answers, by case."""
    student, cls = f"{STUDENTS}/{seed.student_id(0)}", f"{CLASSES}/{seed.class_id(0)}"
    gets = {"get_student": student, "get_class": cls, "get_roster": f"{cls}/roster"}
    made = {case: _ask(service, "POST", path, body) for case, (path, body) in _BODIES.items()}
    return made | {case: _ask(service, "GET", path) for case, path in gets.items()}


def _ask(service: Process, method: str, path: str, body: object = None) -> str:
    headers = {"X-User-ID": seed.OWNER, "Content-Type": "application/json"}
    text = json.dumps(body).replace(UNIQUE.decode(), "0" * 12) if body else None
    answer = ask(service.port, path, method=method, body=text, headers=headers)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise LoadError(answer.text)
    return answer.text
