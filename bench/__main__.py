"""The command line: `python -m bench [CASE ...]`."""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace

from bench.cases import CASES
from bench.command_line import measured, parser_of
from bench.report import Report
from bench.rig import Rig
from bench.sizes import FULL, QUICK, Sizes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases; return the exit code."""
    given = _parser().parse_args(arguments)
    report = Report(sys.stdout)
    return measured(lambda: _measure(_sizes(given), given.cases or list(CASES), report), report)


def _measure(sizes: Sizes, cases: Sequence[str], report: Report) -> None:
    with Rig(sizes) as rig:
        for place, name in enumerate(cases):
            if place:
                rig.renew()
            CASES[name](rig, sizes, report)


def _sizes(given: argparse.Namespace) -> Sizes:
    sizes = QUICK if given.quick else FULL
    if given.batch_essays:
        sizes = replace(sizes, batch_essays=given.batch_essays)
    if given.minutes:
        sizes = replace(sizes, mixed_seconds=given.minutes * 60)
    if given.variants:
        sizes = replace(sizes, handover_variants=given.variants)
    return sizes


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(
        "python -m bench", "Measure the service beside its floors, on servers of its own.", CASES
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


if __name__ == "__main__":
    sys.exit(main())
