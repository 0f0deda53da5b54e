"""Two versions of the service that take turns: `python -m bench.turns --before DIR --after DIR`.

Each has servers of its own. Load, floors and figures are of this checkout; of the others come the
worker and the schema, and what fills an outbox.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from bench.cases import backlog, commands, flood, http, lateness, overdue, suggestions
from bench.command_line import measured, parser_of
from bench.report import Figures, Report, progress
from bench.rig import Rig
from bench.sizes import FULL, QUICK, Sizes

BEFORE: Final = "before"
AFTER: Final = "after"
ROUNDS: Final = 5

Turn: TypeAlias = Callable[[Rig, Sizes], Figures]

CASES: Final[Mapping[str, Turn]] = {
    **{case: partial(http.of_service, case=case) for case in http.PATHS},
    "suggestions": suggestions.of_service,
    **{c: partial(commands.of_service, case=c) for c in (commands.CREATES, commands.ROSTERS)},
    "backlog": backlog.of_service,
    "flood": flood.of_service,
    "overdue": overdue.of_service,
    "lateness": lateness.of_service,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the two; return the exit code."""
    given = _parser().parse_args(arguments)
    report = Report(sys.stdout, AFTER)
    return measured(lambda: _measure(given, report), report)


def _measure(given: argparse.Namespace, report: Report) -> None:
    sizes = QUICK if given.quick else FULL
    rounds = given.rounds or (sizes.rounds if given.quick else ROUNDS)
    with contextlib.ExitStack() as opened:
        rigs = {
            side: opened.enter_context(Rig(sizes, checkout, floors=False))
            for side, checkout in ((BEFORE, given.before), (AFTER, given.after))
        }
        for place, name in enumerate(given.cases or CASES):
            for rig in rigs.values() if place else ():
                rig.renew()
            _compare(rigs, sizes, report, name, rounds)


def _compare(rigs: Mapping[str, Rig], sizes: Sizes, report: Report, case: str, rounds: int) -> None:
    for number in range(rounds):
        # What one leaves to do, or the machine does, is not to meet the same side each time.
        for side, rig in list(rigs.items())[:: -1 if number % 2 else 1]:
            progress(f"{case}, round {number + 1}: {side}")
            report.add_figures(case, side, number, CASES[case](rig, sizes))


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(
        "python -m bench.turns",
        "Compare two versions of the service, each on servers of its own.",
        CASES,
    )
    for side in (BEFORE, AFTER):
        parser.add_argument(
            f"--{side}",
            type=_checkout,
            required=True,
            metavar="DIR",
            help=f"the checkout of the version {side}",
        )
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help=f"default {ROUNDS}")
    return parser


def _checkout(text: str) -> Path:
    folder = Path(text).absolute()
    if not (folder / "class_management" / "__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"{text} is no checkout of the service")
    return folder


if __name__ == "__main__":
    sys.exit(main())
