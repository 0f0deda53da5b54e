"""Who gets a connection when there are not enough."""

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules.errors import StoreBusyError
from store.client import Client, Share
from store.slots import LEAST_DIVIDED, Slots, divided, undivided

MESSAGE = Client(Share.MESSAGES)


@given(st.integers(LEAST_DIVIDED, 300), st.booleans())
def test_shares_are_disjoint_and_none_is_empty(size: int, streams: bool) -> None:  # noqa: FBT001
    shares = divided(size, streams=streams)
    assert sum(shares.values()) == size
    needed = set(Share) if streams else set(Share) - {Share.MESSAGES}
    assert all(shares[share] > 0 for share in needed)
    assert shares[Share.REQUESTS] >= size // 2


@given(st.integers(2, 300))
def test_leases_leave_connections_to_the_other_loops(size: int) -> None:
    shares = divided(size, streams=True)
    assert 0 < Slots(size, shares).most_leases <= shares[Share.LOOPS] / 2


async def take(slots: Slots, client: Client) -> None:
    if not slots.take_at_once(client):
        await slots.wait(client)


async def taken(slots: Slots, client: Client) -> "asyncio.Task[None]":
    """Ask for a slot, and let it be granted if it is free."""
    task = asyncio.create_task(take(slots, client))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_who_waits_for_too_long_is_told_that_all_are_in_use() -> None:
    slots = Slots(1, undivided(1), 0.01)
    await take(slots, Client(Share.REQUESTS))
    with pytest.raises(StoreBusyError):
        await take(slots, Client(Share.REQUESTS))
    slots.give_back(Client(Share.REQUESTS))
    await take(slots, Client(Share.REQUESTS))


async def test_a_slot_granted_to_who_gives_up_in_the_same_moment_is_not_lost() -> None:
    slots = Slots(1, undivided(1))
    client = Client(Share.REQUESTS)
    await take(slots, client)
    waiting = await taken(slots, client)
    slots.give_back(client)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(take(slots, client), 60)


async def test_a_slot_is_not_granted_to_who_has_just_given_up() -> None:
    slots = Slots(1, undivided(1))
    client = Client(Share.REQUESTS)
    await take(slots, client)
    given_up, waiting = await taken(slots, client), await taken(slots, client)
    given_up.cancel()
    slots.give_back(client)
    await asyncio.wait_for(waiting, 60)


clients = st.builds(
    Client, st.sampled_from(Share), st.none() | st.sampled_from(["user 1", "user 2"])
)


@settings(max_examples=50)
@example(8, [Client(Share.MESSAGES, "user 1"), Client(Share.REQUESTS, "user 1"), MESSAGE, 0])
@given(st.integers(1, 12), st.lists(clients | st.integers(0, 20), max_size=40))
def test_no_share_and_no_user_has_more_than_it_may_and_nobody_waits_in_vain(
    size: int, steps: list[Client | int]
) -> None:
    """A client asks, a number gives back one of those that are taken or gives up waiting."""

    async def play() -> None:
        shares = divided(size, streams=True)
        slots = Slots(size, shares)
        asked: list[tuple[Client, asyncio.Task[None]]] = []
        for step in steps:
            if isinstance(step, Client):
                asked.append((step, await taken(slots, step)))
            elif asked:
                client, task = asked.pop(step % len(asked))
                if task.done():
                    slots.give_back(client)
                task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            has = [client for client, task in asked if task.done()]
            waits = [client for client, task in asked if not task.done()]
            assert len(has) <= size
            for share, most in shares.items():
                assert sum(client.share is share for client in has) <= most
            for client in waits:
                assert not slots._is_free(client)
        for _, task in asked:
            task.cancel()
        await asyncio.gather(*(task for _, task in asked), return_exceptions=True)

    asyncio.run(play())
