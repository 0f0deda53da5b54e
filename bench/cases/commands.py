"""How many students per second commands create, until their events are on Kafka."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bench import commands
from bench.commands import CommandLoad
from bench.report import SERVICE, Figures, Report, progress
from bench.rig import COMMANDS_TOPIC, EVENTS_TOPIC, Process, Rig
from bench.sizes import Sizes
from rules import topics

CREATES: Final = "student_create"
ROSTERS: Final = "roster_register"
BARE: Final = "aiokafka + asyncpg, no rules"


def student_create(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Create one student with each command."""
    _run(rig, sizes, report, CREATES)


def roster_register(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Register a roster with each command."""
    _run(rig, sizes, report, ROSTERS)


def bare_floor(rig: Rig) -> Process:
    """Return the floor that creates students from commands."""
    return rig.floor("commands", rig.floor_servers, COMMANDS_TOPIC, EVENTS_TOPIC)


def _run(rig: Rig, sizes: Sizes, report: Report, case: str) -> None:
    sides: list[tuple[str, Callable[[Rig, Sizes, str], Figures]]] = [
        (SERVICE, of_service),
        (BARE, _of_floor),
    ]
    for number in range(sizes.rounds):
        for side, measure in sides:
            progress(f"{case}, round {number + 1}: {side}")
            report.add_figures(case, side, number, measure(rig, sizes, case))


def of_service(rig: Rig, sizes: Sizes, case: str) -> Figures:
    """Measure the service once."""
    return _figures(rig, rig.service(), _load(rig, sizes, case))


def _of_floor(rig: Rig, sizes: Sizes, case: str) -> Figures:
    load = _load(rig, sizes, case)
    there = replace(
        load,
        bootstrap_servers=rig.floor_servers,
        topic=COMMANDS_TOPIC,
        events_topic=EVENTS_TOPIC,
        dsn=rig.floor_dsn,
    )
    return _figures(rig, bare_floor(rig), there)


def _figures(rig: Rig, process: Process, load: CommandLoad) -> Figures:
    process.await_idle()
    with rig.meter(process) as meter:
        seconds = rig.loader.run(commands.carry_out, load)
        # The push of notifications, which follows the events, is part of the cost.
        rig.settle(process, load.dsn)
    metrics = {"students_per_s": load.made / seconds, **meter.us_for_each(load.made)}
    return Figures(metrics, meter.notes(load.made))


def _load(rig: Rig, sizes: Sizes, case: str) -> CommandLoad:
    size = (sizes.rosters, sizes.roster_students) if case == ROSTERS else (sizes.commands, 0)
    servers = rig.bootstrap_servers
    return CommandLoad(servers, topics.COMMANDS, topics.STUDENT_CREATED, rig.dsn, *size)
