"""The cost of a full database: each path beside itself on an almost empty one."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from bench import http_load, school_years, seed
from bench.cases.http import CONSOLE, PATHS, SEEDED, WRITING, Readable, load_of
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import START_SECONDS, Rig
from bench.sizes import Sizes
from bench.worlds import World, world

EMPTY: Final = "service, empty database"
#: The reads use as many ids as in the empty database, spread over all that is stored.
CLASSES_READ: Final = len(SEEDED.classes)
STUDENTS_READ: Final = len(SEEDED.students)

_STORED: Final = {
    "enrolments": "select count(*) from enrollments",
    "associations": "select count(*) from associations",
}


@dataclass(frozen=True)
class _Side:
    world: World
    readable: Readable


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Measure two services in turn; while one is busy the other is idle."""
    rig.stop_service()
    with world(rig, "filled") as filled, world(rig, "empty") as empty:
        progress("filled: storing")
        stored = sizes.stored_enrolments, sizes.stored_associations
        asyncio.run(
            school_years.fill(filled.dsn, *stored, lambda text: progress(f"filled: {text}"))
        )
        _start(filled, empty)
        sides = {
            SERVICE: _Side(filled, _readable(sizes.stored_enrolments)),
            EMPTY: _Side(empty, SEEDED),
        }
        for number in range(sizes.few_rounds):
            # The machine may be busier for the second, so the sides take turns.
            order = list(sides.items())[:: -1 if number % 2 else 1]
            figures = _round(rig, sizes, number, dict(order))
            for name, side in sides.items():
                there = {
                    what: rig.fetchval(sql, dsn=side.world.dsn) for what, sql in _STORED.items()
                }
                report.add(Measurement("filled", name, number + 1, figures[name], there))


def _start(*worlds: World) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda one: one.service.start(START_SECONDS), worlds))
    for one in worlds:
        one.service.await_idle()


def _round(
    rig: Rig, sizes: Sizes, number: int, sides: Mapping[str, _Side]
) -> dict[str, dict[str, float]]:
    """Measure each path on both sides; return the figures of each."""
    figures: dict[str, dict[str, float]] = {name: {} for name in sides}
    for path in (*PATHS, CONSOLE):
        for name, side in sides.items():
            progress(f"filled, round {number + 1}: {path}, {name}")
            service = side.world.service
            load = load_of(path, service, sizes, readable=side.readable)
            cpu = service.cpu_seconds
            result = rig.loader.run(http_load.load, load)
            figures[name] |= {
                f"{path}_per_s": result.requests_per_s,
                f"{path}_p95_ms": result.p95_ms,
                f"{path}_cpu_ms": (service.cpu_seconds - cpu) * 1000 / result.answers,
            }
            if path in WRITING:
                service.await_idle()
    return figures


def _readable(enrolments: int) -> Readable:
    classes = school_years.classes_of(enrolments)
    owner = school_years.owner_of_class
    return Readable(
        [(school_years.class_id(n), owner(n)) for n in _spread(classes, CLASSES_READ)],
        [
            (school_years.student_id(n), owner(n // seed.CLASS_SIZE))
            for n in _spread(classes * seed.CLASS_SIZE, STUDENTS_READ)
        ],
    )


def _spread(count: int, wanted: int) -> list[int]:
    """Return `wanted` evenly spaced numbers below `count`, or all if there are fewer."""
    wanted = min(wanted, count)
    return [n * count // wanted for n in range(wanted)]
