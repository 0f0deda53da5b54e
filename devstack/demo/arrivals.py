"""The items that one side has received, and waiting for more."""

from collections.abc import Callable
from typing import Any, Final

from devstack.demo.errors import DemoError
from devstack.rig.waiting import WaitError, until

ARRIVAL_SECONDS: Final = 30.0  # the limit for anything to arrive


class Arrivals:
    """The items that one side has received, in order."""

    def __init__(self, who: str) -> None:
        self.items: list[Any] = []
        self._who = who

    async def add(self, item: object) -> None:
        """Add what has just arrived."""
        self.items.append(item)

    async def wait(
        self, what: str, wanted: Callable[[Any], bool], count: int = 1, seconds: float = 0.0
    ) -> list[Any]:
        """Return the wanted items once there are `count` of them.

        Raises `DemoError` after ARRIVAL_SECONDS, counted from `seconds` ahead.
        """
        limit = ARRIVAL_SECONDS + seconds

        async def look() -> bool:
            return len(self._found(wanted)) >= count

        try:
            await until(what, look, limit_seconds=limit)
        except WaitError:
            came = len(self._found(wanted))
            raise DemoError(
                f"{self._who}: {what}: {came} of {count} arrived within {limit:.0f} s"
            ) from None
        return self._found(wanted)

    def _found(self, wanted: Callable[[Any], bool]) -> list[Any]:
        return [item for item in self.items if wanted(item)]
