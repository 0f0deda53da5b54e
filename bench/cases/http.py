"""Requests per second and their times, on ten connections."""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench import http_load, seed
from bench.http_load import UNIQUE, HttpLoad
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import Process, Rig
from bench.sizes import Sizes
from devstack.ports import LOOPBACK

STUDENTS: Final = "/v1/classes/students"
#: The name of each floor, and what its paths begin with.
AIOHTTP_SQL: Final = "aiohttp + asyncpg"
FLOORS: Final = {AIOHTTP_SQL: "/sql", "aiohttp, fixed answer": "/fixed"}
OUTBOX_ROWS: Final = "select count(*) from outbox"
EMPTY_OUTBOX: Final = "truncate outbox"

_BODY: Final = {
    "person_name": {"first_name": "Đorđe", "last_name": "Åkerblom"},
    "email": f"elev.{UNIQUE.decode()}@skola.example",
    "class_ids": [str(seed.GROWING_CLASS)],
}


@dataclass(frozen=True)
class _Turn:
    """Whose turn it is."""

    case: str
    side: str
    number: int


def post_student(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Make students, each in one class."""
    for number in range(sizes.rounds):
        for side, prefix in ({SERVICE: ""} | FLOORS).items():
            target = target_of(rig, side)
            load = post_load(target, sizes, prefix)
            _measure(rig, report, _Turn("post_student", side, number), target, load)
            if side == SERVICE:
                target.await_quiet()
            else:
                rig.fetchval(EMPTY_OUTBOX, dsn=rig.floor_dsn)


def post_load(target: Process, sizes: Sizes, prefix: str = "") -> HttpLoad:
    """Return the requests that make students."""
    body = json.dumps(_BODY, ensure_ascii=False).encode()
    request = http_load.post(prefix + STUDENTS, seed.OWNER, body)
    return _load(target, [request], 201, sizes)


def get_student(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Read students, one after the other."""
    paths = [f"{STUDENTS}/{seed.student_id(n)}" for n in range(seed.STUDENTS)]
    _read(rig, sizes, report, "get_student", paths)


def get_class(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Read classes of 30 students, one after the other."""
    paths = [f"/v1/classes/{seed.class_id(n)}" for n in range(seed.CLASSES)]
    _read(rig, sizes, report, "get_class", paths)


def _read(rig: Rig, sizes: Sizes, report: Report, case: str, paths: Sequence[str]) -> None:
    for number in range(sizes.rounds):
        for side, prefix in ({SERVICE: ""} | FLOORS).items():
            target = target_of(rig, side)
            requests = [http_load.get(prefix + path, seed.OWNER) for path in paths]
            load = _load(target, requests, 200, sizes)
            _measure(rig, report, _Turn(case, side, number), target, load)


def _measure(rig: Rig, report: Report, turn: _Turn, target: Process, load: HttpLoad) -> None:
    progress(f"{turn.case}, round {turn.number + 1}: {turn.side}")
    cpu = target.cpu_seconds
    result = rig.loader.run(http_load.load, load)
    metrics = {
        "requests_per_s": result.requests_per_s,
        "p99_ms": result.p99_ms,
        "cpu_ms_per_request": (target.cpu_seconds - cpu) * 1000 / result.answers,
    }
    notes = {"p50_ms": result.p50_ms}
    if turn.side == SERVICE:
        notes["outbox_rows_left"] = rig.fetchval(OUTBOX_ROWS)
    report.add(Measurement(turn.case, turn.side, turn.number + 1, metrics, notes))


def _load(target: Process, requests: Sequence[bytes], status: int, sizes: Sizes) -> HttpLoad:
    return HttpLoad(target.port, requests, status, sizes.http_seconds, sizes.http_warm_seconds)


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
    """Return what the service itself answers, by case."""
    body = json.dumps(_BODY | {"email": None})
    return {
        "post_student": _ask(service, "POST", STUDENTS, body),
        "get_student": _ask(service, "GET", f"{STUDENTS}/{seed.student_id(0)}"),
        "get_class": _ask(service, "GET", f"/v1/classes/{seed.class_id(0)}"),
    }


def _ask(service: Process, method: str, path: str, body: str | None = None) -> str:
    link = http.client.HTTPConnection(LOOPBACK, service.port, timeout=10)
    headers = {"X-User-ID": seed.OWNER, "Content-Type": "application/json"}
    try:
        link.request(method, path, body, headers)
        return link.getresponse().read().decode()
    finally:
        link.close()
