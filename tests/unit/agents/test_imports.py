"""The loop that applies imports: when it looks, and what it says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from math import isnan
from typing import Any, Final, cast

import orjson
import pytest
from structlog.testing import capture_logs

from agents.jobs import imports
from agents.jobs.imports import ImportGauges, ImportsLoop
from rules.errors import StoreUnavailableError
from rules.events.notifications import Push
from rules.events.schemas.notifications import ImportProgressedPush
from rules.ids import new_id
from rules.imports.applying import LeftOut
from rules.imports.plans import ImportRecord, ImportState, Mode, Summary
from rules.models import Trace
from store.protocols.imports import ImportsProtocol, Stepped, Waiting
from telemetry.metrics import Metrics

SECONDS: Final = 10
AT: Final = datetime(2026, 11, 20, 8, tzinfo=UTC)
RECORD: Final = ImportRecord(
    id=new_id(),
    owner_id="teacher-1",
    state=ImportState.APPLYING,
    mode=Mode.ADD,
    class_id=None,
    summary=Summary(),
    progress=0.25,
    version=3,
    created_at=AT,
    expires_at=AT,
)
TRACE: Final = Trace(new_id())
ENDED: Final = replace(RECORD, state=ImportState.APPLIED, progress=1.0)


def stepped(record: ImportRecord = RECORD, **said: Any) -> Stepped:  # noqa: ANN401
    return Stepped(record, TRACE, **said)


class Store:
    """Does the steps that it is told to."""

    def __init__(self, steps: Sequence[Stepped]) -> None:
        self._steps = list(steps)
        self.idle = asyncio.Event()
        self.waits: list[float] = []
        self.found = Waiting(2, 3.5)
        self.away = False

    async def step(self) -> Stepped | None:
        return self._steps.pop(0) if self._steps else None

    async def wait(self, timeout_seconds: float) -> None:
        self.waits.append(timeout_seconds)
        self.idle.set()
        await asyncio.Event().wait()

    async def waiting(self) -> Waiting:
        if self.away:
            raise StoreUnavailableError
        return self.found


async def done(steps: Sequence[Stepped], metrics: Metrics) -> list[Push]:
    """Return what was pushed until there was nothing to do."""
    pushed: list[Push] = []
    store = Store(steps)
    async with running(ImportsLoop(cast("ImportsProtocol", store), pushed.append, metrics)):
        async with asyncio.timeout(SECONDS):
            await store.idle.wait()
    assert store.waits == [imports.POLL_SECONDS]
    return pushed


@asynccontextmanager
async def running(loop: ImportsLoop | ImportGauges) -> AsyncIterator[None]:
    task = asyncio.create_task(loop.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError, StoreUnavailableError):
        await task


def counted(metrics: Metrics) -> dict[str, float | None]:
    name = "class_management_import_classes_total"
    value = metrics.registry.get_sample_value
    return {
        outcome: count
        for outcome in ("applied", *LeftOut)
        if (count := value(name, {"outcome": outcome}))
    }


async def test_classes_are_counted_and_the_end_is_told() -> None:
    metrics = Metrics()
    steps = [
        stepped(applied=True),
        stepped(left_out=LeftOut.MOVED),
        stepped(ENDED, applied=True),
    ]
    pushed = await done(steps, metrics)
    assert counted(metrics) == {"applied": 2, "moved": 1}
    assert {channel for channel, _ in pushed} == {b"ws:teacher-1"}
    said = [ImportProgressedPush.model_validate_json(text) for _, text in pushed]
    # The second came too soon after the first.
    assert [(one.data.state, one.data.progress) for one in said] == [
        ("applying", 0.25),
        ("applied", 1.0),
    ]
    assert orjson.loads(pushed[0][1])["data"]["correlation_id"] == str(TRACE.correlation_id)


@pytest.mark.parametrize(
    ("state", "left_out", "message"),
    [
        (ImportState.APPLYING, 0, "The import is being applied: 25 %."),
        (ImportState.APPLIED, 0, "The import is applied."),
        (ImportState.APPLIED, 1, "The import is applied; 1 class was left out."),
        (ImportState.APPLIED, 2, "The import is applied; 2 classes were left out."),
        (ImportState.FAILED, 2, "Nothing of the import could be applied."),
    ],
)
async def test_the_message_says_how_far_it_is(
    state: ImportState, left_out: int, message: str
) -> None:
    out = tuple(new_id() for _ in range(left_out))
    record = replace(RECORD, state=state, left_out=out)
    [(_, text)] = await done([stepped(record)], Metrics())
    assert orjson.loads(text)["data"]["message"] == message


async def test_a_failure_is_logged_and_counted_and_the_next_step_taken() -> None:
    metrics = Metrics()
    failed = stepped(error=ValueError("x"))
    last = stepped(error=ValueError("x"), left_out=LeftOut.FAILED)
    with capture_logs() as logs:
        await done([failed, last, stepped(ENDED, applied=True)], metrics)
    errors = [one for one in logs if one["log_level"] == "error"]
    assert [one["event"] for one in errors] == ["class of an import failed"] * 2
    assert {one["import_id"] for one in errors} == {str(RECORD.id)}
    retries = metrics.registry.get_sample_value(
        "class_management_retries_total", {"component": "imports"}
    )
    assert retries == 2
    assert counted(metrics) == {"applied": 1, "failed": 1}


async def test_what_waits_is_shown_and_unknown_when_the_store_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imports, "MEASURE_SECONDS", 0.001)
    metrics, store = Metrics(), Store([])

    def shown(name: str) -> float:
        return metrics.registry.get_sample_value(f"class_management_{name}") or 0.0

    gauges = ImportGauges(cast("ImportsProtocol", store), metrics)
    async with running(gauges):
        async with asyncio.timeout(SECONDS):
            while shown("imports_applying") != 2:  # noqa: ASYNC110  # a loop measures
                await asyncio.sleep(0.001)
            assert (shown("imports_age_seconds"), gauges.state()) == (3.5, "ok")
            store.found = Waiting(1, 61.0)
            while shown("imports_applying") != 1:  # noqa: ASYNC110  # likewise
                await asyncio.sleep(0.001)
            assert gauges.state() == "an import has been waiting for 61 s to be applied"
            store.away = True
            while not isnan(shown("imports_applying")):  # noqa: ASYNC110  # likewise
                await asyncio.sleep(0.001)
    assert isnan(shown("imports_age_seconds"))
