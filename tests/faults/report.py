"""What a run has shown: a JSON object for each fault, and a table."""

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from tests.faults.campaign import Plan, Result, Strike
from tests.faults.checking import Finding, Kind

QUIET: Final = "(at rest)"
WIDTH: Final = 150
SHOWN: Final = 40
COLUMNS: Final = (
    ("lost", {Kind.LOST}),
    ("doubled", {Kind.DOUBLED}),
    ("reordered", {Kind.REORDERED}),
    ("early", {Kind.EARLY}),
    ("stuck", {Kind.STUCK}),
    ("other", {Kind.UNASKED, Kind.ALTERED, Kind.BROKEN}),
)


@dataclass(frozen=True)
class Line:
    """All that is known of one fault; `well` are the seconds until the service was well again."""

    fault: str
    injected: int
    operations: int
    found: Sequence[int]
    well: Sequence[float]
    unwell: int

    def as_json(self) -> str:
        """Return it as a line of JSON."""
        fields = {
            "fault": self.fault,
            "injected": self.injected,
            "operations": self.operations,
            **dict(zip([name for name, _ in COLUMNS], self.found, strict=True)),
            "well_p50_s": round(median(self.well), 2) if self.well else None,
            "well_max_s": round(max(self.well), 2) if self.well else None,
            "not_well_in_time": self.unwell,
        }
        return json.dumps(fields)

    def cells(self) -> tuple[str, ...]:
        """Return it as a row of the table."""
        p50 = f"{median(self.well):.1f}" if self.well else "-"
        longest = f"{max(self.well):.1f}" if self.well else "-"
        if self.unwell:
            longest += f" ({self.unwell} never)"
        numbers = (self.injected, self.operations, *self.found)
        return (self.fault, *map(str, numbers), p50, longest)


def lines(result: Result) -> list[Line]:
    """Sum up a run: each fault by itself, pairs by both names, and the time between."""
    names = sorted({" + ".join(sorted(strike.faults)) for strike in result.strikes})
    of_strikes = [_line(name, _strikes(result, name), result) for name in names]
    return [*of_strikes, _rest(result, of_strikes)]


def _strikes(result: Result, name: str) -> list[Strike]:
    return [s for s in result.strikes if " + ".join(sorted(s.faults)) == name]


def _line(name: str, strikes: Sequence[Strike], result: Result) -> Line:
    findings = [f for f in result.findings if any(_belongs(f, strike) for strike in strikes)]
    operations = sum(len(list(result.history.during(s.began, s.until))) for s in strikes)
    return Line(
        name,
        sum(sum(strike.hits) for strike in strikes),
        operations,
        _counts(findings),
        [strike.well - strike.ended for strike in strikes if strike.well is not None],
        sum(strike.well is None for strike in strikes),
    )


def _rest(result: Result, others: Sequence[Line]) -> Line:
    """Sum up what happened while no fault was at work, or when nobody knows."""
    findings = [f for f in result.findings if not any(_belongs(f, s) for s in result.strikes)]
    total = len(list(result.history.during(float("-inf"), float("inf"))))
    during = sum(line.operations for line in others)
    return Line(QUIET, 0, total - during, _counts(findings), [], 0)


def _belongs(finding: Finding, strike: Strike) -> bool:
    return finding.at is not None and strike.began <= finding.at <= strike.until


def _counts(findings: Sequence[Finding]) -> list[int]:
    return [sum(f.kind in kinds for f in findings) for _, kinds in COLUMNS]


def command(plan: Plan) -> str:
    """Return what repeats a run."""
    options = ["--seed", str(plan.seed), "--minutes", f"{plan.minutes:g}"]
    options += ["--workers", str(plan.workers), "--mixed", f"{plan.mixed:g}"]
    options += ["--pace", f"{plan.pace:g}", "--faults", ",".join(plan.faults)]
    if plan.breakage:
        options += ["--breakage", plan.breakage]
    return f"make faults ARGS={shlex.quote(' '.join(options))}"


def show(result: Result, out: TextIO) -> None:
    """Print JSON lines, the table, and what was found."""
    rows = lines(result)
    for line in rows:
        print(line.as_json(), file=out)
    summary = {
        "seed": result.plan.seed,
        "command": command(result.plan),
        "seconds": round(result.seconds, 1),
        "operations": len(list(result.history.during(float("-inf"), float("inf")))),
        "requests": result.seen,
        "findings": len(result.findings),
        "kinds": Counter(str(finding.kind) for finding in result.findings),
        "not_well_in_time": sum(line.unwell for line in rows),
    }
    print(json.dumps(summary), file=out)
    for finding in result.findings[:SHOWN]:
        print(f"{finding.kind}: {finding.what}", file=out)
    if len(result.findings) > SHOWN:
        print(f"... and {len(result.findings) - SHOWN} more", file=out)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=command(result.plan))
    table.add_column("fault", no_wrap=True)
    heads = ("injected", "operations", *(name for name, _ in COLUMNS), "well p50 s", "max s")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for line in rows:
        table.add_row(*line.cells())
    Console(file=out, highlight=False, width=WIDTH).print(table)
