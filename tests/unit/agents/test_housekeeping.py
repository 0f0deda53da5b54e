"""Housekeeping says what it did, and what it may not do once."""

import asyncio
from datetime import timedelta
from typing import cast

import pytest
from structlog.testing import capture_logs

from agents.jobs import housekeeping
from agents.jobs.housekeeping import ChangesTurnover
from store.protocols.maintenance import MaintenanceProtocol, Turnover

MONTH = timedelta(days=30)


class Maintenance:
    """Answers with these turnovers, then never again."""

    def __init__(self, *turnovers: Turnover) -> None:
        self.turnovers = list(turnovers)
        self.asked: list[timedelta] = []
        self.at_end = asyncio.Event()

    async def turn_over_changes(self, kept: timedelta) -> Turnover:
        self.asked.append(kept)
        if not self.turnovers:
            self.at_end.set()
            await asyncio.Event().wait()
        return self.turnovers.pop(0)


async def said(monkeypatch: pytest.MonkeyPatch, *turnovers: Turnover) -> list[tuple[str, object]]:
    """Return what is logged of these turnovers."""
    monkeypatch.setattr(housekeeping, "PURGE_SECONDS", 0.0)
    maintenance = Maintenance(*turnovers)
    with capture_logs() as logs:
        loop = asyncio.create_task(
            ChangesTurnover(cast("MaintenanceProtocol", maintenance), MONTH).run()
        )
        await maintenance.at_end.wait()
        loop.cancel()
    assert set(maintenance.asked) == {MONTH}
    return [(line["event"], line.get("dropped")) for line in logs]


async def test_weeks_that_are_made_or_dropped_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made, dropped = Turnover(made=1), Turnover(dropped=2)
    assert await said(monkeypatch, Turnover(), made, Turnover(), dropped) == [
        ("weeks of changes", 0),
        ("weeks of changes", 2),
    ]


async def test_an_account_that_may_make_none_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Turnover(refused=True)
    assert await said(monkeypatch, refused, refused, refused) == [
        ("no weeks of changes: the account does not own the table", None)
    ]
