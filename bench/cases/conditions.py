"""What a key, a tag and a condition cost: the floor is the service itself, asked without them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from bench import http_load, seed
from bench.cases.http import CLASSES, Turn, load_of, measure
from bench.http_load import TAG, UNIQUE, HttpLoad, with_header
from bench.report import SERVICE, Report
from bench.rig import Process, Rig
from bench.sizes import Sizes

#: Classes of which each connection has one.
OWN: Final = range(10)

Load = Callable[[Process, Sizes], HttpLoad]


def post_student_key(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Create students, each request with an Idempotency-Key."""
    sides = {SERVICE: _keyed, "without a key": _of("post_student")}
    _run(rig, sizes, report, "post_student_key", sides)


def get_class_unchanged(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Read classes of 30 students that the client has already: 304."""
    sides = {SERVICE: _unchanged, "without If-None-Match": _of("get_class")}
    _run(rig, sizes, report, "get_class_unchanged", sides)


def put_class_match(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Rename classes of 30 students, each request with the tag of the answer before."""
    sides = {SERVICE: _matching, "without If-Match": _renaming}
    _run(rig, sizes, report, "put_class_match", sides)


def _run(rig: Rig, sizes: Sizes, report: Report, case: str, sides: Mapping[str, Load]) -> None:
    for number in range(sizes.rounds):
        for side, load in sides.items():
            target = rig.service()
            measure(rig, report, Turn(case, side, number), target, load(target, sizes))
            target.await_idle()


def _of(case: str) -> Load:
    return lambda target, sizes: load_of(case, target, sizes)


def _keyed(target: Process, sizes: Sizes) -> HttpLoad:
    return _with(load_of("post_student", target, sizes), "Idempotency-Key", UNIQUE)


def _unchanged(target: Process, sizes: Sizes) -> HttpLoad:
    load = _with(load_of("get_class", target, sizes), "If-None-Match", TAG)
    return replace(load, status=304)


def _matching(target: Process, sizes: Sizes) -> HttpLoad:
    return _with(_renaming(target, sizes), "If-Match", TAG)


def _renaming(target: Process, sizes: Sizes) -> HttpLoad:
    body = json.dumps({"name": f"Klass {UNIQUE.decode()}"}).encode()
    paths = [f"{CLASSES}/{seed.class_id(n)}" for n in OWN]
    puts = [http_load.post(path, seed.OWNER, body, "PUT") for path in paths]
    return HttpLoad(target.port, puts, 200, sizes.http_seconds, sizes.http_warm_seconds)


def _with(load: HttpLoad, name: str, value: bytes) -> HttpLoad:
    return replace(load, requests=[with_header(r, name, value) for r in load.requests])
