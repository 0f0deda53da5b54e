"""The command line: `python -m bench [CASE ...]`."""

import argparse
import math
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NoReturn

from bench.cases import CASES
from bench.cases.lateness import EarlyError
from bench.costs import Unsteady
from bench.http_load import LoadError
from bench.report import Report, progress
from bench.rig import Rig
from bench.sizes import FULL, QUICK
from devstack.process import DevstackError

FAILURES: Final = (DevstackError, EarlyError, LoadError, TimeoutError, Unsteady)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases; return the exit code."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, end)
    report = Report(sys.stdout)
    sizes = QUICK if given.quick else FULL
    if given.batch_essays:
        sizes = replace(sizes, batch_essays=given.batch_essays)
    if given.minutes:
        sizes = replace(sizes, mixed_seconds=given.minutes * 60)
    if given.variants:
        sizes = replace(sizes, handover_variants=given.variants)
    try:
        with Rig(sizes) as rig:
            for place, name in enumerate(given.cases or CASES):
                if place:
                    rig.renew()
                CASES[name](rig, sizes, report)
    except FAILURES as error:
        progress(str(error) or "something took longer than it may")
        return 1
    except KeyboardInterrupt:
        return 130
    report.print_table()
    progress("done")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the service beside its floors, on servers of its own.",
    )
    parser.add_argument(
        "cases", nargs="*", type=_case, metavar="CASE", help=f"{', '.join(CASES)}; none: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="do little of everything, to see that it works"
    )
    parser.add_argument(
        "--batch-essays",
        type=_positive,
        metavar="N",
        help=f"size of the batches of flood and deadlines; default {FULL.batch_essays}",
    )
    parser.add_argument(
        "--minutes",
        type=_minutes,
        metavar="N",
        help=f"how long the load of mixed lasts; default {FULL.mixed_seconds / 60:g}",
    )
    parser.add_argument(
        "--variants",
        type=_positive,
        metavar="N",
        help=f"with how many settings handover runs; default {FULL.handover_variants}",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _minutes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return number


def _case(name: str) -> str:
    if name not in CASES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(CASES)}")
    return name


def end(*_: object) -> NoReturn:
    """End the run, so that its servers are stopped."""
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
