"""A loop whose time passes only while nothing else is left to do.

Timers take no time, and a pause of the machine does not come between two steps that are meant to
follow each other. It is for what asks the loop for the time and has no threads: a module of tests
says so with `pytestmark = pytest.mark.simulated_time`.
"""

import asyncio
import selectors
from collections.abc import Callable, Mapping

import pytest

MARKER = "simulated_time"


class _Selector(selectors.DefaultSelector):
    def __init__(self, passed: Callable[[float], None]) -> None:
        super().__init__()
        self._passed = passed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0 if timeout else timeout)
        if timeout and not found:
            self._passed(timeout)
        return found


class SimulatedTimeLoop(asyncio.SelectorEventLoop):
    """Skips what it would otherwise wait for."""

    def __init__(self) -> None:
        self._seconds = 0.0
        super().__init__(_Selector(self._pass))

    def time(self) -> float:
        """Return the seconds that its timers have taken so far."""
        return self._seconds

    def _pass(self, seconds: float) -> None:
        self._seconds += seconds


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run marked tests on such a loop."""
    is_marked = item.get_closest_marker(MARKER) is not None
    return {"loop": SimulatedTimeLoop if is_marked else asyncio.new_event_loop}
