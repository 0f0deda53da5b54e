"""For whom the store works: this decides which of its connections may be used."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Share(IntEnum):
    """Parts of the pool, so that none of them leaves the others without connections."""

    REQUESTS = 0
    MESSAGES = 1
    LOOPS = 2
    PROBE = 3


@dataclass(frozen=True, slots=True)
class Client:
    """What works with the store, in a task and the tasks that this one starts."""

    share: Share
    user_id: str | None = None
    """The user whose request it is: one user does not get all of the share."""
    served: Callable[[], None] | None = None
    """Is called after each use of a connection that did not fail."""


#: Requests that are made together (`store/postgres/coalescing.py`) are of no single user.
_NOBODY: Final = Client(Share.REQUESTS)
_client: Final = ContextVar("store_client", default=_NOBODY)

current_client: Final = _client.get


def work_as(client: Client) -> None:
    """Have this task, and those that it starts from now on, work as `client`."""
    _client.set(client)


@contextlib.contextmanager
def working_as(client: Client) -> Iterator[None]:
    """Work as `client` inside the context."""
    token = _client.set(client)
    try:
        yield
    finally:
        _client.reset(token)
