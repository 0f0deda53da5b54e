"""What is only tried is done in a copy of the whole store, which is then forgotten.

It takes as long as the store is large; this store is for development alone.
"""

import contextlib
import copy
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

from store.memory.state import MemoryStore

#: A store and its copy.
_tried: Final[ContextVar[tuple[MemoryStore, MemoryStore] | None]] = ContextVar(
    "tried_store", default=None
)


#: What is only tried wakes nobody.
_SIGNALS: Final = frozenset({"committed", "applying"})


class OnTrial:
    """A repository that works on the copy while something is tried."""

    def __init__(self, store: MemoryStore) -> None:
        self._own: Final = store

    @property
    def _store(self) -> MemoryStore:
        tried = _tried.get()
        return tried[1] if tried is not None and tried[0] is self._own else self._own


@contextlib.contextmanager
def tried(store: MemoryStore) -> Iterator[None]:
    """Have all repositories over `store` work on a copy of it."""
    token = _tried.set((store, _copy(store)))
    try:
        yield
    finally:
        _tried.reset(token)


def _copy(store: MemoryStore) -> MemoryStore:
    """Return a store with the same records, which never change, in containers of its own."""
    other = MemoryStore(store.policy, store.now)
    own = {name: _copied(value) for name, value in vars(store).items() if name not in _SIGNALS}
    vars(other).update(own)
    return other


def _copied(value: Any) -> Any:  # noqa: ANN401  # whatever a store has
    if isinstance(value, dict):
        fresh = copy.copy(value)  # with its default
        fresh.update((key, _copied(one)) for key, one in value.items())
        return fresh
    if isinstance(value, list | set):
        return type(value)(map(_copied, value))
    return value
