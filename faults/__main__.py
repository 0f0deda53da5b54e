"""The command line: `python -m faults`, behind `make faults`."""

import argparse
import asyncio
import logging
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import uvloop

from devstack.process import DevstackError
from devstack.stack import REPOSITORY
from faults.campaign import Plan, run, say
from faults.descriptors import raise_limit
from faults.injectors import FAULTS, SHORT
from faults.mounts import can_mount
from faults.observation import ObservationError
from faults.report import keep, show
from faults.schedule import OPERATIONS

DEFAULT_MINUTES: Final = 30.0
DEFAULT_RATE: Final = 100.0
#: Of a number of operations in a time: faults and recovery take about half of it.
OF_RATE: Final = 2.0
SHORT_MINUTES: Final = 4.5
SHORT_PACE: Final = 0.35
SHORT_RATE: Final = 40.0
#: Longer than the faults take; afterwards the run ends, whatever is left.
CAMPAIGN_MINUTES: Final = 75.0
CAMPAIGN_PACE: Final = 0.4
CAMPAIGN_RATE: Final = 600.0
#: The limit for the service to recover; the machine may be busy with other work.
WELL_SECONDS: Final = 240.0
SHORT_WELL_SECONDS: Final = 75.0
SETTLE_SECONDS: Final = 300.0
SHORT_SETTLE_SECONDS: Final = 150.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; return 0 without findings, 1 with findings, 2 on trouble."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    raise_limit()
    # It logs a line for each attempt to reach a broker that is stopped on purpose.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if given.prove:
        proof = str(Path(__file__).with_name("prove_breakages.py"))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-rA", proof], check=False
        ).returncode
    try:
        # The faster loop: all traffic of the workers passes through the proxies in this process.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(run(_plan(given)))
    except (DevstackError, ObservationError, TimeoutError) as error:
        say(str(error) or "something took longer than it may")
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    path = keep(result)
    show(result, sys.stdout)
    say(f"all of it is in {path.relative_to(REPOSITORY)}")
    if result.unchecked or any(strike.failure for strike in result.strikes):
        return 2
    unwell = any(strike.well is None for strike in result.strikes)
    return int(bool(result.findings) or unwell)


def _plan(given: argparse.Namespace) -> Plan:
    usual = SHORT if given.short else _all(long=given.campaign)
    minutes, pace, rate = DEFAULT_MINUTES, 1.0, DEFAULT_RATE
    if given.short:
        minutes, pace, rate = SHORT_MINUTES, SHORT_PACE, SHORT_RATE
    elif given.campaign:
        minutes, pace, rate = CAMPAIGN_MINUTES, CAMPAIGN_PACE, CAMPAIGN_RATE
    elif given.operations and given.minutes:
        rate = OF_RATE * given.operations / (given.minutes * 60)
    operations = OPERATIONS if given.campaign else 0
    return Plan(
        seed=secrets.randbelow(10**6) if given.seed is None else given.seed,
        minutes=given.minutes or minutes,
        faults=given.faults or usual,
        campaign=given.campaign,
        operations=operations if given.operations is None else given.operations,
        rate=given.rate or rate,
        workers=given.workers,
        mixed=given.mixed,
        pace=given.pace or pace,
        rest_seconds=2.0 if given.short or given.campaign else 5.0,
        well_seconds=SHORT_WELL_SECONDS if given.short else WELL_SECONDS,
        settle_seconds=SHORT_SETTLE_SECONDS if given.short else SETTLE_SECONDS,
        breakage=given.breakage,
        keep=given.keep,
    )


def _all(*, long: bool) -> list[str]:
    """Return every fault that can be played here, with or without those that take long."""
    room = can_mount()
    if not room:
        say("no file system can be mounted here: PostgreSQL's disk is not filled")
    faults = {name: f for name, f in FAULTS.items() if room or not f.needs_small_disk}
    return [name for name, fault in faults.items() if long or not fault.only_if_asked]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    add = parser.add_argument
    add("--seed", type=int, help="what all chance comes from; else one is chosen and told")
    add("--minutes", type=float, help=f"how long faults strike (default {DEFAULT_MINUTES:g})")
    add("--faults", type=_faults, help=f"which, with commas between: {', '.join(FAULTS)}")
    add("--short", action="store_true", help="under eight minutes in all, for CI")
    add("--campaign", action="store_true", help="all that has to be shown, in some 80 minutes")
    add("--rate", type=float, help=f"operations a second (default {DEFAULT_RATE:g})")
    add("--operations", type=int, help="go on until there were so many, within the minutes")
    add("--workers", type=int, default=3, help="how many workers")
    add("--mixed", type=float, default=0.3, help="how often two faults strike at once, 0 to 1")
    add("--pace", type=float, help="how long things are away, as a share of the usual")
    add("--breakage", help="break the service on purpose: a file of faults/breakages")
    add("--prove", action="store_true", help="show that the checker finds each of these")
    add("--keep", action="store_true", help="keep data and logs, also where nothing was found")
    return parser


def _faults(text: str) -> list[str]:
    """Read names of faults. Raises `ArgumentTypeError` for an unknown one."""
    names = text.split(",")
    for name in names:
        if name not in FAULTS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of: {', '.join(FAULTS)}")
    return names


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
