"""How long a comparison is waited for, and for whom."""

from typing import Any, cast

import pytest

from class_management.cli.output import Json
from class_management.cli.runner import TroubleError
from class_management.cli.tables import comparison
from class_management.cli.tables.client import Service
from class_management.cli.tables.comparison import compare

pytestmark = pytest.mark.simulated_time


class Scripted:
    """Answers one after the other; the last one for ever."""

    def __init__(self, before: Json, *after: Json) -> None:
        self.before = before
        self.after = list(after)
        self.looks = 0

    async def compare(self, *, repair: bool) -> Json:
        assert repair is False
        return self.before

    async def drift(self) -> Json:
        self.looks += 1
        return self.after.pop(0) if len(self.after) > 1 else self.after[0]


def worker(
    name: str, started_at: str | None, *, running: bool = False, checked: int = 0
) -> dict[str, Any]:
    return {
        "worker": name,
        "reachable": True,
        "running": running,
        "started_at": started_at,
        "checked": checked,
    }


def gone(name: str) -> dict[str, Any]:
    return {"worker": name, "reachable": False, "running": None, "started_at": None}


def document(*workers: dict[str, Any]) -> Json:
    return {"complete": True, "workers": list(workers)}


async def result(script: Scripted) -> Json:
    return await compare(cast("Service", script), repair=False, on_progress=lambda _: None)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(comparison, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(comparison, "STALL_SECONDS", 0.2)


async def test_old_figures_are_not_taken_for_new_ones() -> None:
    # One runs for another reason as the request comes: the one that was asked for follows it.
    end = document(worker("a", "2"), worker("b", "9"))
    script = Scripted(
        document(worker("a", "1", running=True), worker("b", None)),
        document(worker("a", "1", running=True), worker("b", None)),
        document(worker("a", "1"), worker("b", "9")),
        document(worker("a", "2", running=True), worker("b", "9")),
        end,
    )
    assert await result(script) == end
    assert script.looks == 4


async def test_who_was_away_when_asked_is_not_waited_for_and_proves_nothing() -> None:
    end = document(worker("a", "2"), worker("b", "1"))
    script = Scripted(document(worker("a", "1"), gone("b")), end)
    assert await result(script) == {**end, "complete": False}
    assert script.looks == 1


async def test_whose_partitions_went_to_others_is_not_missed() -> None:
    end = document(worker("a", "2"))
    assert await result(Scripted(document(worker("a", "1"), gone("b")), end)) == end


async def test_who_is_away_for_a_moment_is_waited_for() -> None:
    end = document(worker("a", "2"), worker("b", "2"))
    script = Scripted(
        document(worker("a", "1"), worker("b", "1")),
        document(worker("a", "2"), gone("b")),
        document(worker("a", "2"), worker("b", "1")),
        end,
    )
    assert await result(script) == end


async def test_who_stays_away_is_not_waited_for_for_ever() -> None:
    end = document(worker("a", "2"), gone("b"))
    assert await result(Scripted(document(worker("a", "1"), worker("b", "1")), end)) == end
    vanished = document(worker("a", "2"))
    assert (
        await result(Scripted(document(worker("a", "1"), worker("b", "1")), vanished)) == vanished
    )


async def test_a_long_comparison_is_followed_while_it_gets_on() -> None:
    steps = [document(worker("a", "2", running=True, checked=n)) for n in range(400)]
    end = document(worker("a", "2", checked=400))
    assert await result(Scripted(document(worker("a", "1")), *steps, end)) == end


async def test_one_that_stands_still_is_given_up() -> None:
    stuck = document(worker("a", "2", running=True, checked=7))
    with pytest.raises(TroubleError, match="does not get on"):
        await result(Scripted(document(worker("a", "1")), stuck))


async def test_nobody_to_ask_is_trouble() -> None:
    with pytest.raises(TroubleError, match="no worker answers"):
        await result(Scripted(document(gone("a")), document()))
