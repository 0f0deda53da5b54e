"""Runs the loops beside the agents, and restarts each after any error."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from mode import Service

from agents.backoff import Backoff
from agents.cancelling import end
from agents.outages import Outage
from rules.errors import StoreUnavailableError
from store.client import Client, Share, work_as
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

FIRST_PAUSE_SECONDS: Final = 0.2
#: A loop that ran this long before it failed restarts after a short pause.
STEADY_SECONDS: Final = 30.0

_log = get_logger(__name__)

Loop = Callable[[], Awaitable[None]]


class Supervisor(Service):
    """Runs loops from before the worker joins its group until it stops.

    They do not depend on Kafka's consumer group, so they run through rebalances.
    """

    logger = logging.getLogger("faust.background")

    def __init__(self, loops: Mapping[str, Loop], metrics: Metrics, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self._loops = loops
        self._metrics = metrics
        for name in loops:
            metrics.retries.labels(name)

    async def on_start(self) -> None:
        """Start every loop."""
        for name, loop in self._loops.items():
            self.add_future(self._keep_running(name, loop))

    async def on_stop(self) -> None:
        """Cancel every loop."""
        await end(self._futures)

    async def _keep_running(self, name: str, run: Loop) -> None:
        backoff = Backoff(FIRST_PAUSE_SECONDS)
        outage = Outage("database away, loop waits", loop=name)
        work_as(Client(Share.LOOPS, served=outage.served))
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            try:
                await run()
            except asyncio.CancelledError:
                if self.should_stop:
                    raise
                _log.exception("loop cancelled by something inside it, starts again", loop=name)
            except Exception as error:  # noqa: BLE001  # a loop never ends the worker
                if clock() - started > STEADY_SECONDS:
                    backoff.reset()
                self._report(name, error, outage)
            await asyncio.sleep(backoff.next())

    def _report(self, name: str, error: Exception, outage: Outage) -> None:
        self._metrics.retries.labels(name).inc()
        if isinstance(error, StoreUnavailableError):
            outage.away(error)
        else:
            _log.error("loop failed and starts again", loop=name, exc_info=error)
