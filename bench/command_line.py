"""What the command lines of the benchmarks share."""

import argparse
import signal
import sys
from collections.abc import Callable, Collection
from typing import Final, NoReturn

from bench.cases.lateness import EarlyError
from bench.costs import Unsteady
from bench.http_load import LoadError
from bench.report import Report, progress
from devstack.process import DevstackError

_FAILURES: Final = (DevstackError, EarlyError, LoadError, TimeoutError, Unsteady)


def parser_of(program: str, description: str, cases: Collection[str]) -> argparse.ArgumentParser:
    """Return a parser that knows `cases` and `quick`."""

    def case(name: str) -> str:
        if name not in cases:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(cases)}")
        return name

    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument(
        "cases", nargs="*", type=case, metavar="CASE", help=f"{', '.join(cases)}; none: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="do little of everything, to see that it works"
    )
    return parser


def measured(measure: Callable[[], None], report: Report) -> int:
    """Measure and print the table; return the exit code."""
    signal.signal(signal.SIGTERM, _end)
    try:
        measure()
    except _FAILURES as error:
        progress(str(error) or "something took longer than it may")
        return 1
    except KeyboardInterrupt:
        return 130
    report.print_table()
    progress("done")
    return 0


def _end(*_: object) -> NoReturn:
    """End the run, so that its servers are stopped."""
    sys.exit(143)
