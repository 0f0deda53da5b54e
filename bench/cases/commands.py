"""How many students per second commands create, until their events are on Kafka."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bench import commands
from bench.commands import CommandLoad
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import COMMANDS_TOPIC, DISCARD_TOPIC, EVENTS_TOPIC, Process, Rig
from bench.sizes import Sizes
from rules import topics

BARE: Final = "aiokafka + an insert a batch"
DISCARDING: Final = "the same agent, dropping"


def student_create(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Create one student with each command."""
    _run(rig, sizes, report, "student_create", (sizes.commands, 0))


def roster_register(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Register a roster with each command."""
    _run(rig, sizes, report, "roster_register", (sizes.rosters, sizes.roster_students))


def bare_floor(rig: Rig) -> Process:
    """Return the floor that creates students from commands."""
    return rig.floor("commands", rig.bootstrap_servers, COMMANDS_TOPIC, EVENTS_TOPIC)


def _run(rig: Rig, sizes: Sizes, report: Report, case: str, size: tuple[int, int]) -> None:
    servers = rig.bootstrap_servers
    ours = CommandLoad(servers, topics.COMMANDS, topics.STUDENT_CREATED, rig.dsn, *size)
    bare = replace(ours, topic=COMMANDS_TOPIC, events_topic=EVENTS_TOPIC, dsn=rig.floor_dsn)
    discarded = replace(ours, topic=DISCARD_TOPIC)
    for number in range(sizes.rounds):
        service, floor, discarding = rig.service(), bare_floor(rig), _discard_floor(rig)
        sides: list[tuple[str, Process, Callable[[], float]]] = [
            (SERVICE, service, lambda: rig.loader.run(commands.carry_out, ours)),
            (BARE, floor, lambda: rig.loader.run(commands.carry_out, bare)),
            (
                DISCARDING,
                discarding,
                lambda port=discarding.port: rig.loader.run(commands.discard, discarded, port),  # type: ignore[misc]
            ),
        ]
        for side, process, measure in sides:
            progress(f"{case}, round {number + 1}: {side}")
            process.await_idle()
            cpu = process.cpu_seconds
            seconds = measure()
            # The push of notifications, which follows the events, is part of the cost.
            process.await_idle()
            metrics = {
                "students_per_s": ours.made / seconds,
                "cpu_ms_per_student": (process.cpu_seconds - cpu) * 1000 / ours.made,
            }
            report.add(Measurement(case, side, number + 1, metrics))
    rig.stop_floors()


def _discard_floor(rig: Rig) -> Process:
    session, tables = str(rig.session_seconds), str(rig.folder / "dropping")
    return rig.floor(
        "discard_agent", rig.bootstrap_servers, session, "bench-dropping", DISCARD_TOPIC, tables
    )
