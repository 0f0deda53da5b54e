"""The mixed load says what went wrong, and how the memory went."""

import asyncio

import pytest

from bench.cases import mixed
from bench.http_load import LoadError
from bench.mixed import pacer
from bench.mixed.load import MixedResult
from bench.mixed.tally import MOST_FAULTS, Tally


def result(faults: list[str], left: dict[str, int], least: float = 0.001) -> MixedResult:
    return MixedResult(
        began=100.0,
        ended=3700.0,
        settled_seconds=60.0,
        done={"requests": 7200, "batches": 10, "commands": 5, "decisions": 150},
        request_seconds=[0.001, 0.002, 0.003],
        lateness={"least": least, "p99": 0.02, "most": 0.03},
        faults=faults,
        left=left,
    )


def test_a_clean_run_is_no_failure() -> None:
    mixed._judge(result([], {}))


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (result(["GET /x: 503 busy"], {}), "mixed: GET /x: 503 busy"),
        (result([], {"rows in the outbox": 3}), "mixed: 3 rows in the outbox after the end"),
        (result([], {}, least=-0.5), "mixed: the clock decided 0.5 s before the time"),
        (result(list("abcdefg"), {}), "mixed: a; b; c; d; e; and 2 more errors"),
    ],
)
def test_what_went_wrong_fails_the_case_and_is_named(bad: MixedResult, text: str) -> None:
    with pytest.raises(mixed.LeftBehindError) as raised:
        mixed._judge(bad)
    assert str(raised.value) == text


def test_memory_is_told_at_three_moments_and_as_growth_an_hour() -> None:
    # An hour: 100 MiB at its beginning, 10 MiB more at its end, and a peak when all is over.
    samples = [(100.0 + second, 100 + second / 360) for second in range(3601)]
    measured = mixed._measurement(result([], {}), [*samples, (3760.0, 150.0)], cpu_seconds=366.0)
    assert measured.metrics["memory_start_mib"] == pytest.approx(101.25, abs=0.01)
    assert measured.metrics["memory_middle_mib"] == pytest.approx(105, abs=0.01)
    assert measured.metrics["memory_end_mib"] == pytest.approx(109.75, abs=0.01)
    assert measured.metrics["slope_mib_per_h"] == pytest.approx(10)
    assert measured.metrics["requests_per_s"] == 2
    assert measured.notes["memory_max_mib"] == 150
    assert measured.notes["cpu_percent"] == pytest.approx(10)


def test_many_faults_end_the_load() -> None:
    tally = Tally()
    for number in range(MOST_FAULTS - 1):
        tally.fault(f"fault {number}")
    with pytest.raises(LoadError, match="fault 0"):
        tally.fault("the last")


async def test_what_nobody_keeps_up_with_ends_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacer, "MOST_UNDER_WAY", 3)

    async def never(_: int) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.TaskGroup() as group:
            await pacer.Pacer(group).pace(1000, 1, never)
    assert raised.group_contains(LoadError, match="3 requests wait")
