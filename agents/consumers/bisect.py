"""Finds the poison messages of a batch that fails.

An exception that escapes an agent's loop loses the rest of Faust's batch, so none may escape.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def bisect(
    items: Sequence[T],
    work: Callable[[Sequence[T]], Awaitable[None]],
    poison: Callable[[T, Exception], Awaitable[None]],
) -> None:
    """Do `work` on all items, in order; if that fails, on each half, down to single items.

    `poison` gets each item that fails alone, and its error.
    """
    try:
        await work(items)
    except Exception as error:  # noqa: BLE001  # no message may stop the stream
        if len(items) == 1:
            await poison(items[0], error)
            return
        middle = len(items) // 2
        await bisect(items[:middle], work, poison)
        await bisect(items[middle:], work, poison)
