"""The benchmarks run and say what they should; how fast anything is, is not asked here."""

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from bench.cases import CASES
from bench.http_load import LoadError, quantile
from bench.load_process import LoadProcess
from bench.report import SERVICE, TABLE_WIDTH, Measurement, Report
from devstack.process import bound
from devstack.stack import REPOSITORY, RUN_DIR
from tests.support.profiles import by_profile

RUN_SECONDS = 900
#: What is compared with itself only: by what happens, or by other settings.
ALONE = {"handover", "takeover_2", "takeover_3", "mixed", "processes"}
#: Figures that may be below zero.
SIGNED = {"slope_mib_per_h"}
#: Cases that mostly wait: for sessions to pass, for deadlines, for workers that start. They run
#: beside each other and beside all others, each with servers of its own, in the order of all.
WAITING = (
    ("mixed", "table_100k", "table_1m", "handover"),
    ("start", "table_10k", "takeover_3"),
    ("backlog", "backlog_1m", "filled", "takeover_2", "processes"),
)


def bench(*arguments: str, module: str = "bench") -> subprocess.CompletedProcess[str]:
    # Without COLUMNS, which parallel tests have: no terminal says how wide the table may be.
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return subprocess.run(
        bound([sys.executable, "-m", module, *arguments]),
        cwd=REPOSITORY,
        env={**environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_SECONDS,
    )


def all_lanes() -> tuple[tuple[str, ...], ...]:
    waiting = {case for lane in WAITING for case in lane}
    return (tuple(case for case in CASES if case not in waiting), *WAITING)


#: One case of each kind: over HTTP, over Kafka, of the clock, and with workers of its own.
FEW: Final = (
    ("post_student", "put_class_match", "suggestions", "student_create", "deadlines"),
    ("handover",),
)
LANES: Final = by_profile(short=FEW, long=all_lanes())
TURNS: Final = by_profile(short=("backlog",), long=("backlog", "post_student", "lateness"))


def folders() -> set[Path]:
    return set((RUN_DIR / "bench").glob("*"))


def parsed(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@pytest.mark.long
@pytest.mark.timeout(RUN_SECONDS + 20)
def test_a_quick_run_measures_its_cases_beside_their_floors() -> None:
    """The long profile runs every case."""
    before = folders()
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda cases: bench("--quick", *cases), LANES))
    for done in runs:
        assert done.returncode == 0, done.stderr
    measured = [line for done in runs for line in parsed(done.stdout)]
    chosen = {case for lane in LANES for case in lane}
    assert {line["case"] for line in measured} == chosen
    for case in chosen:
        sides = [line["side"] for line in measured if line["case"] == case]
        assert sides.count(SERVICE) == 1
        assert len(sides) >= 2 or case in ALONE
    for line in measured:
        figures = {k: v for k, v in line.items() if k not in {"case", "side", "outbox_rows_left"}}
        assert len(figures) > 1
        assert all(isinstance(v, int | float) for v in figures.values()), line
        assert all(v >= 0 for k, v in figures.items() if k not in SIGNED), line
    for cases, done in zip(LANES, runs, strict=True):
        table = [line.strip() for line in done.stdout.splitlines() if not line.startswith("{")]
        assert all(any(line.startswith(case) for line in table) for case in cases), done.stdout
    assert folders() == before, "the servers' data is left behind"


@pytest.mark.long
@pytest.mark.timeout(RUN_SECONDS + 20)
def test_two_versions_take_turns_on_the_same_cases() -> None:
    before = folders()
    checkouts = ("--before", str(REPOSITORY), "--after", str(REPOSITORY))
    done = bench("--quick", "--rounds", "2", *checkouts, *TURNS, module="bench.turns")
    assert done.returncode == 0, done.stderr
    measured = [(line["case"], line["round"], line["side"]) for line in parsed(done.stdout)]
    assert measured == [
        (case, number, side)
        for case in TURNS
        for number, order in ((1, ("before", "after")), (2, ("after", "before")))
        for side in order
    ]
    [title] = [line for line in done.stdout.splitlines() if "metric" in line]
    assert title.split() == ["case", "metric", "after", "beside", "its", "after", "/", "its"]
    assert folders() == before, "the servers' data is left behind"


def test_what_is_no_checkout_takes_no_turns(tmp_path: Path) -> None:
    done = bench("--before", str(tmp_path), "--after", str(REPOSITORY), module="bench.turns")
    assert done.returncode == 2
    assert "is no checkout of the service" in done.stderr


def test_an_unknown_case_is_named_with_those_there_are() -> None:
    done = bench("post_students")
    assert done.returncode == 2
    assert "'post_students' is none of" in done.stderr
    assert "post_student," in done.stderr
    assert done.stdout == ""


def test_the_table_has_medians_spread_and_the_median_of_the_ratios() -> None:
    out = io.StringIO()
    report = Report(out)
    for number, (ours, theirs) in enumerate([(10.0, 20.0), (30.0, 40.0), (20.0, 80.0)], start=1):
        report.add(Measurement("a case", SERVICE, number, {"per_s": ours}, {"left": 3.0}))
        report.add(Measurement("a case", "a floor", number, {"per_s": theirs}))
    report.print_table()
    assert parsed(out.getvalue())[0] == {
        "case": "a case",
        "side": "service",
        "round": 1,
        "per_s": 10.0,
        "left": 3.0,
    }
    row = next(line for line in out.getvalue().splitlines() if line.startswith(" a case"))
    assert "20 (10 .. 30)" in row
    assert "40 (20 .. 80)" in row
    assert row.split()[-1] == "0.50"


def test_however_wide_the_figures_are_the_case_is_named_and_no_figure_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    out = io.StringIO()
    report = Report(out)
    case, metric = "get_class_unchanged", "cpu_us_all_of_the_processes"
    for number, value in ((1, 12_345_678.0), (2, 23_456_789.0)):
        report.add(Measurement(case, SERVICE, number, {metric: value}))
        report.add(Measurement(case, "update loop + an insert a message", number, {metric: value}))
    report.print_table()
    table = [line for line in out.getvalue().splitlines() if not line.startswith("{")]
    [row] = [line for line in table if line.strip().startswith(case)]
    assert metric in row
    assert row.count("17,901,234 (12,345,678 .. 23,456,789)") == 2
    assert row.split()[-1] == "1.00"
    assert max(map(len, table)) <= TABLE_WIDTH


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.99, 99), (0.995, 100), (1.0, 100), (0.0, 1)]
)
def test_quantiles(share: float, expected: int) -> None:
    assert quantile(range(1, 101), share) == expected


def test_a_load_error_reaches_the_parent() -> None:
    with LoadProcess() as loader, pytest.raises(LoadError, match="why"):
        loader.run(fail)


def fail() -> None:
    raise LoadError("why")
