"""What an operator looks for is what the service shows: log lines, metrics, faults."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from devstack.stack import REPOSITORY
from faults.injectors import FAULTS
from telemetry.metrics import OF_THE_SYSTEM, Metrics, PartitionGauge
from telemetry.series import CAUSES

PAGE: Final = (REPOSITORY / "docs" / "operating.md").read_text(encoding="utf-8")
ROOMS: Final = ("agents", "class_management", "store", "tables", "telemetry", "web")
PREFIX: Final = "class_management_"

_ROW: Final = re.compile(r"^\| (.+?) \| .*\|$", re.MULTILINE)
_METRIC: Final = re.compile(r"^\| `(\w+)`( `\{[\w,]+\}`)? \| (\w+) \| (\w+) \|", re.MULTILINE)
_CODE: Final = re.compile(r"`([^`]+)`")
_EVENT: Final = re.compile(r"[A-Za-z][a-z]* [A-Za-z' ,-]+")


def test_every_log_line_that_is_explained_is_one_of_the_service() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for room in ROOMS
        for path in (REPOSITORY / room).rglob("*.py")
    )
    events = [name for name in _first_column("What you see and what to do") if _is_event(name)]
    assert len(events) > 10
    assert [event for event in events if event not in code] == []


def test_the_table_of_metrics_is_what_the_service_has() -> None:
    assert sorted(_METRIC.findall(_section("Metrics"))) == sorted(_own_metrics(Metrics()))


def test_every_cause_of_a_503_is_named() -> None:
    assert [cause for cause in CAUSES if f"`{cause}`" not in PAGE] == []


def test_every_fault_that_is_played_has_its_line() -> None:
    explained = [name for name in _first_column("Fault by fault") if "_" in name]
    assert sorted(name for name in explained if name.islower()) == sorted(FAULTS)


def _own_metrics(metrics: Metrics) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, labels, type and whose it is of each metric, as the table has them."""
    for one in vars(metrics).values():
        if isinstance(one, PartitionGauge):
            [family] = one.describe()
            yield _row(family.name, family._labelnames, family.type, family.documentation)
        elif isinstance(one, MetricWrapperBase):
            kind, suffix, labels = str(one._type), "", one._labelnames
            if kind == "counter":
                suffix = "_total"
            elif kind == "info":
                kind, suffix, labels = "gauge", "_info", ("version", "python", "schema")
            yield _row(one._name + suffix, labels, kind, one._documentation)


def _row(name: str, labels: Sequence[str], kind: str, text: str) -> tuple[str, str, str, str]:
    shown = f" `{{{','.join(labels)}}}`" if labels else ""
    whose = "system" if text.endswith(OF_THE_SYSTEM) else "own"
    return name.removeprefix(PREFIX), shown, kind, whose


def _first_column(heading: str) -> list[str]:
    return [name for cell in _ROW.findall(_section(heading)) for name in _CODE.findall(cell)]


def _section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0].split("\n### ")[0]


def _is_event(name: str) -> bool:
    return bool(_EVENT.fullmatch(name))
