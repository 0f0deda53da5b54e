"""The measurements: a line of JSON for each, and a table at the end."""

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, Literal, TextIO

from rich import box
from rich.table import Table

from devstack.console import console

SERVICE: Final = "service"
_BEGAN: Final = time.monotonic()
TABLE_WIDTH: Final = 150  # columns if the output is not a terminal


@dataclass(frozen=True)
class Measurement:
    """One side of a case, measured once.

    The names of `metrics` end in their unit; `notes` stay out of the table.
    """

    case: str
    side: str
    """`service`, or the name of a floor."""
    round: int
    metrics: Mapping[str, float]
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """What a measurement of one side found."""

    metrics: Mapping[str, float]
    notes: Mapping[str, float] = field(default_factory=dict)


class Report:
    """Prints measurements and compares the sides."""

    def __init__(self, out: TextIO, ours: str = SERVICE) -> None:
        """`ours` is the side that is compared with each other one."""
        self._out = out
        self._ours = ours
        self._all: list[Measurement] = []

    def add(self, measurement: Measurement) -> None:
        """Print a measurement as a line of JSON."""
        self._all.append(measurement)
        values = {**measurement.metrics, **measurement.notes}
        line = {
            "case": measurement.case,
            "side": measurement.side,
            "round": measurement.round,
            **{name: round(value, 4) for name, value in values.items()},
        }
        print(json.dumps(line), file=self._out, flush=True)

    def add_figures(self, case: str, side: str, number: int, figures: Figures) -> None:
        """Print what was found in a round, 0 being the first."""
        self.add(Measurement(case, side, number + 1, figures.metrics, figures.notes))

    def print_table(self) -> None:
        """Print medians over the rounds, the spread, and how the service compares to each floor."""
        table = Table(
            box=box.SIMPLE_HEAD, pad_edge=False, title="median of the rounds (least .. most)"
        )
        for name, justify in _COLUMNS:
            # A floor's name may take two lines; nothing else may be cut.
            one_line = name != _FLOOR
            table.add_column(name.format(self._ours), justify=justify, no_wrap=one_line)
        for row in self._rows():
            table.add_row(*row)
        table.caption = machine()
        console(self._out, TABLE_WIDTH).print(table)

    def _rows(self) -> list[tuple[str, ...]]:
        rows = []
        for case in _unique([m.case for m in self._all]):
            of_case = [m for m in self._all if m.case == case]
            ours = [m for m in of_case if m.side == self._ours]
            floors = _unique([m.side for m in of_case if m.side != self._ours]) or ["none"]
            for metric in ours[0].metrics if ours else ():
                for floor in floors:
                    theirs = [m for m in of_case if m.side == floor]
                    rows.append((case, metric, *_compared(ours, theirs, metric, floor)))
        return rows


_FLOOR: Final = "beside"
_COLUMNS: Final[Sequence[tuple[str, Literal["left", "right"]]]] = (
    ("case", "left"),
    ("metric", "left"),
    ("{}", "right"),
    (_FLOOR, "left"),
    ("its", "right"),
    ("{} / its", "right"),
)


def machine() -> str:
    """Say on what this was measured."""
    cpus = len(os.sched_getaffinity(0))
    broker = os.environ.get("BROKER") or "embedded"
    return (
        f"{cpus} CPUs ({platform.machine()}), Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, broker: {broker}"
    )


def _compared(
    ours: Sequence[Measurement], theirs: Sequence[Measurement], metric: str, floor: str
) -> tuple[str, ...]:
    """Return the cells from `service` on; the ratio is the median of the rounds' ratios."""
    mine = [m.metrics[metric] for m in ours]
    other = [m.metrics[metric] for m in theirs if metric in m.metrics]
    ratios = [a / b for a, b in zip(mine, other, strict=False) if b]
    ratio = f"{median(ratios):.2f}" if ratios else "-"
    return _spread(mine), floor, _spread(other), ratio


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    least, most = _figure(min(values)), _figure(max(values))
    return f"{_figure(median(values))} ({least} .. {most})"


def _figure(value: float) -> str:
    """Return a number with three significant digits."""
    if abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _unique(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


def progress(text: str) -> None:
    """Print the present step and its time on standard error."""
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}", file=sys.stderr, flush=True)
