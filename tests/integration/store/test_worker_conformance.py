"""The workers that run now: what every store promises."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from store.protocols.workers import WorkerRecord
from tests.integration.store.builders import Stores

FORGET: Final = 30.0
A_WHILE: Final = timedelta(seconds=FORGET + 1)
STARTED: Final = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)


def record(worker: str, *partitions: int) -> WorkerRecord:
    return WorkerRecord(worker, f"http://{worker}", partitions, "1.2.3", "all", STARTED)


A, B, C = record("a:1", 0, 3), record("b:1"), record("c:1", 1)


async def test_everybody_sees_the_others_as_they_announced_themselves(stores: Stores) -> None:
    assert await stores.workers.announce(B, FORGET) == []
    assert await stores.workers.announce(C, FORGET) == [B]
    assert await stores.workers.announce(A, FORGET) == [B, C]
    assert await stores.workers.announce(B, FORGET) == [A, C]
    assert await stores.workers.known(FORGET) == [A, B, C]


async def test_the_last_announcement_counts(stores: Stores) -> None:
    await stores.workers.announce(A, FORGET)
    moved = replace(
        A, url="http://elsewhere", partitions=(7,), version="2", role="stream", started_at=STARTED
    )
    await stores.workers.announce(moved, FORGET)
    assert await stores.workers.known(FORGET) == [moved]


async def test_who_falls_silent_is_forgotten(stores: Stores) -> None:
    await stores.workers.announce(A, FORGET)
    await stores.elapse(A_WHILE / 2)
    assert await stores.workers.announce(B, FORGET) == [A]
    await stores.elapse(A_WHILE / 2)
    assert await stores.workers.known(FORGET) == [B]
    assert await stores.workers.announce(B, FORGET) == []
    # Forgotten for everybody, however far back one looks.
    assert await stores.workers.known(10 * FORGET) == [B]


async def test_who_was_silent_for_long_is_back_with_its_next_announcement(stores: Stores) -> None:
    await stores.workers.announce(A, FORGET)
    await stores.elapse(A_WHILE)
    assert await stores.workers.known(FORGET) == []
    await stores.workers.announce(A, FORGET)
    assert await stores.workers.known(FORGET) == [A]


async def test_who_withdraws_is_gone_at_once(stores: Stores) -> None:
    await stores.workers.announce(A, FORGET)
    await stores.workers.announce(B, FORGET)
    await stores.workers.withdraw(A)
    await stores.workers.withdraw(C)
    assert await stores.workers.known(FORGET) == [B]


async def test_a_late_withdrawal_does_not_hit_the_next_process_of_that_name(
    stores: Stores,
) -> None:
    await stores.workers.announce(A, FORGET)
    restarted = replace(A, started_at=STARTED + timedelta(minutes=1))
    await stores.workers.announce(restarted, FORGET)
    await stores.workers.withdraw(A)
    assert await stores.workers.known(FORGET) == [restarted]


async def test_many_announce_themselves_at_once(stores: Stores) -> None:
    names = [f"w{number}:1" for number in range(8)]
    for gone in range(8):
        await stores.workers.announce(record(f"gone{gone}:1"), FORGET)
    await stores.elapse(A_WHILE)
    for _ in range(5):
        await asyncio.gather(*(stores.workers.announce(record(n), FORGET) for n in names))
    assert [known.worker for known in await stores.workers.known(10 * FORGET)] == names
