"""What an operator looks for is what the service shows: log lines, metrics, faults."""

import re
from typing import Final

from prometheus_client import CollectorRegistry

from devstack.stack import REPOSITORY
from faults.injectors import FAULTS
from telemetry.metrics import Metrics

PAGE: Final = (REPOSITORY / "docs" / "operating.md").read_text(encoding="utf-8")
ROOMS: Final = ("agents", "class_management", "store", "tables", "telemetry", "web")
PREFIX: Final = "class_management_"

_ROW: Final = re.compile(r"^\| (.+?) \| .*\|$", re.MULTILINE)
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


def test_every_metric_that_is_explained_exists() -> None:
    known = _names(Metrics().registry)
    named = {name.partition("{")[0] for name in _first_column("Metrics")}
    assert named
    assert {name for name in named if PREFIX + name not in known} == set()


def test_every_fault_that_is_played_has_its_line() -> None:
    explained = [name for name in _first_column("Fault by fault") if "_" in name]
    assert sorted(name for name in explained if name.islower()) == sorted(FAULTS)


def _first_column(heading: str) -> list[str]:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
    return [name for cell in _ROW.findall(section) for name in _CODE.findall(cell)]


def _is_event(name: str) -> bool:
    return bool(_EVENT.fullmatch(name))


def _names(registry: CollectorRegistry) -> set[str]:
    families = list(registry.collect())
    samples = {sample.name for family in families for sample in family.samples}
    totals = {f"{family.name}_total" for family in families if family.type == "counter"}
    return samples | totals | {family.name for family in families}
