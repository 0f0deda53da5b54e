"""The report of a run: a JSON object for each fault, and a table."""

import json
import math
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final, TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from devstack.stack import RUN_DIR
from faults.campaign import Plan, Result, Strike, as_json
from faults.checker import Finding, Kind
from faults.history import Op, Outcome

QUIET: Final = "(at rest)"
IN_ALL: Final = "(in all)"
#: Counted separately as well.
COUNTED: Final = (
    *("kafka_restart", "kafka_kill", "postgres_restart", "postgres_kill"),
    *("kafka_gone", "postgres_gone", "redis_gone"),
)
WIDTH: Final = 150
SHOWN: Final = 40
COLUMNS: Final = (
    ("lost", {Kind.LOST}),
    ("doubled", {Kind.DOUBLED}),
    ("reordered", {Kind.REORDERED}),
    ("early", {Kind.EARLY}),
    ("stuck", {Kind.STUCK}),
    ("diverged", {Kind.DIVERGED}),
    ("other", {Kind.UNASKED, Kind.ALTERED, Kind.BROKEN}),
)


@dataclass(frozen=True)
class Line:
    """The results of one fault; `well` are the seconds until the service had recovered.

    `strikes` is how often it was played, `mixed` how often together with another.
    """

    fault: str
    injected: int
    strikes: int
    mixed: int
    operations: int
    found: Sequence[int]
    well: Sequence[float]
    unwell: int

    def as_json(self) -> str:
        """Return it as a line of JSON."""
        fields = {
            "fault": self.fault,
            "injected": self.injected,
            "strikes": self.strikes,
            "mixed": self.mixed,
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
        numbers = (self.injected, self.strikes, self.mixed, self.operations, *self.found)
        return (self.fault, *map(str, numbers), p50, longest)


def lines(result: Result) -> list[Line]:
    """Sum up a run: each fault, alone and with others; the time between; and the total.

    Operations during two faults at once count for both, and once in the total.
    """
    names = sorted({name for strike in result.strikes for name in strike.faults})
    faults = [
        _line(name, [s for s in result.strikes if name in s.faults], result) for name in names
    ]
    return [*faults, _rest(result), _all(result)]


def _line(name: str, strikes: Sequence[Strike], result: Result) -> Line:
    findings = [f for f in result.findings if any(_belongs(f, strike) for strike in strikes)]
    return Line(
        name,
        sum(hits for s in strikes for n, hits in zip(s.faults, s.hits, strict=True) if n == name),
        len(strikes),
        sum(len(strike.faults) > 1 for strike in strikes),
        _operations(strikes, result),
        _counts(findings),
        [strike.well - strike.ended for strike in strikes if strike.well is not None],
        sum(strike.well is None for strike in strikes),
    )


def _operations(strikes: Sequence[Strike], result: Result) -> int:
    """Count the operations during strikes; those during several of them count once."""
    count, reached = 0, float("-inf")
    for strike in sorted(strikes, key=lambda strike: strike.began):
        begin = max(strike.began, math.nextafter(reached, math.inf))
        if strike.until >= begin:
            count += result.history.during(begin, strike.until)
            reached = strike.until
    return count


def _rest(result: Result) -> Line:
    """Sum up the time without faults, and what has no known time."""
    findings = [f for f in result.findings if not any(_belongs(f, s) for s in result.strikes)]
    operations = result.history.operations - _operations(result.strikes, result)
    return Line(QUIET, 0, 0, 0, operations, _counts(findings), [], 0)


def _all(result: Result) -> Line:
    """Sum up the whole run."""
    line = _line(IN_ALL, result.strikes, result)
    return replace(
        line,
        injected=sum(sum(strike.hits) for strike in result.strikes),
        operations=result.history.operations,
        found=_counts(result.findings),
    )


def _belongs(finding: Finding, strike: Strike) -> bool:
    return finding.at is not None and strike.began <= finding.at <= strike.until


def _counts(findings: Sequence[Finding]) -> list[int]:
    return [sum(f.kind in kinds for f in findings) for _, kinds in COLUMNS]


def totals(result: Result) -> dict[str, object]:
    """Return the figures of the whole run, and how to repeat it."""
    by_name = Counter[str]()
    for strike in result.strikes:
        by_name.update(dict(zip(strike.faults, strike.hits, strict=True)))
    return {
        "seed": result.plan.seed,
        "command": command(result.plan),
        "seconds": round(result.seconds, 1),
        "check_seconds": round(result.check_seconds, 1),
        "stopped_early": result.stopped,
        "left_out": result.left,
        "not_checked": result.unchecked,
        "operations": result.history.operations,
        **requests(result.history.ops),
        "changes": dict(Counter(op.kind for op in result.history.ops).most_common()),
        "decided_essays": result.essays,
        "worker_kills": result.kills,
        **{name: by_name[name] for name in COUNTED},
        "workers_ended_by_themselves": result.ended,
        **result.logs,
        "measured": _measured(result),
        "findings": len(result.findings),
        "kinds": dict(Counter(str(finding.kind) for finding in result.findings)),
        "not_well_in_time": sum(strike.well is None for strike in result.strikes),
        "not_played": [strike.failure for strike in result.strikes if strike.failure],
    }


def requests(ops: Sequence[Op]) -> dict[str, object]:
    """Count what became of the changes over HTTP, and of the requests for them.

    `answered_by_key`: done by a request whose answer nobody got, and known by a repetition.
    """
    asked = [op for op in ops if op.attempts]
    attempts = [one for op in asked for one in op.attempts]
    lost = [op for op in asked if _was_lost(op)]
    return {
        "requested": dict(Counter(str(op.outcome) for op in asked)),
        "requests": dict(Counter(str(one.outcome) for one in attempts)),
        "repeated": sum(len(op.attempts) > 1 for op in asked),
        "replayed": sum(one.is_replay for one in attempts),
        "answered_by_key": len(lost),
        "unknown_at_the_end": sum(op.outcome is Outcome.UNKNOWN for op in asked),
    }


def _was_lost(op: Op) -> bool:
    """Whether every success that was answered is the repetition of one that was not."""
    done = [one for one in op.attempts if one.outcome is Outcome.ACKED]
    return bool(done) and all(one.is_replay for one in done)


def _measured(result: Result) -> dict[str, list[float]]:
    """Return what faults have measured, in the order in which they were played."""
    found: dict[str, list[float]] = {}
    for fault, name, value in result.history.figures:
        found.setdefault(f"{fault} {name}", []).append(value)
    return found


def command(plan: Plan) -> str:
    """Return the command that repeats a run."""
    options = ["--seed", str(plan.seed), "--minutes", f"{plan.minutes:g}"]
    options += ["--rate", f"{plan.rate:g}", "--operations", str(plan.operations)]
    options += ["--workers", str(plan.workers), "--mixed", f"{plan.mixed:g}"]
    options += ["--pace", f"{plan.pace:g}"]
    if plan.campaign:
        options.insert(0, "--campaign")
    else:
        options += ["--faults", ",".join(plan.faults)]
    if plan.breakage:
        options += ["--breakage", plan.breakage]
    return f"make faults ARGS={shlex.quote(' '.join(options))}"


def keep(result: Result) -> Path:
    """Write the output of `show` to a file, and return its path."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = RUN_DIR / "faults" / f"result-seed-{result.plan.seed}-{stamp}.txt"
    with path.open("w", encoding="utf-8") as file:
        show(result, file, every=True)
    return path


def show(result: Result, out: TextIO, *, every: bool = False) -> None:
    """Print JSON lines, the findings, the table, and the totals."""
    rows = lines(result)
    for strike in result.strikes if every else ():
        print(json.dumps(as_json(strike)), file=out)
    for line in rows:
        print(line.as_json(), file=out)
    sums = totals(result)
    print(json.dumps(sums), file=out)
    shown = len(result.findings) if every else SHOWN
    for finding in result.findings[:shown]:
        print(f"{finding.kind}: {finding.what}", file=out)
    if len(result.findings) > shown:
        print(f"... and {len(result.findings) - shown} more", file=out)
    console = Console(file=out, highlight=False, width=WIDTH)
    console.print(_table(rows))
    for name, value in sums.items():
        console.print(f"{name.replace('_', ' ')}: {value}", soft_wrap=True, markup=False)


def _table(rows: Sequence[Line]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("fault", no_wrap=True)
    heads = ("injected", "strikes", "mixed", "operations", *(name for name, _ in COLUMNS))
    for head in (*heads, "well p50 s", "max s"):
        table.add_column(head, justify="right", no_wrap=True)
    for line in rows:
        table.add_row(*line.cells())
    return table
