"""The composition root: the Faust App of a process, with what its role runs."""

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Iterable
from typing import Final, cast

import faust
from dishka.container import Container
from faust.app.base import BootStrategy
from faust.transport.consumer import Consumer
from mode.types import ServiceT
from redis.asyncio import Redis

from agents.faust_support.commits import leave_out_lost_topics
from agents.faust_support.transport import use_own_transport
from agents.jobs.supervisor import Supervisor
from agents.kafka.config import KafkaConfig
from agents.kafka.metadata import never_create_topics
from class_management.container import subscriber
from class_management.faust_options import faust_options
from class_management.roles import StreamRole, WebRole
from class_management.settings import Settings
from class_management.tokens import key_ring
from class_management.views import Parts, install_views, share_port
from store.protocols.outbox import ClassEventPublisherProtocol
from store.protocols.pool import PoolProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics
from web.notifications.hub import NotificationHub

#: A stop that takes longer is waiting for something that hangs.
STOP_SECONDS: Final = 8.0

COMMIT_SECONDS: Final = 1.0

#: Objects between two collections of the young generation. A batch of commands reaches 10,000, all
#: of them in use: to look at them for nothing was 3 % of the worker's time, now 1 %.
GC_THRESHOLD: Final = 30_000

_log = get_logger(__name__)


class WorkerBoot(BootStrategy):
    """Starts the loops first, so that they do not wait for the consumer group."""

    def server(self) -> Iterable[ServiceT]:
        """Return the services of a process with streams as they start; they stop in reverse."""
        return [self._jobs, *super().server()]

    def producer_only(self) -> Iterable[ServiceT]:
        """Return the services of a process that only answers HTTP: without a producer."""
        return [self._jobs, *self.web_server()]

    @property
    def _jobs(self) -> Supervisor:
        return cast("ClassManagementApp", self.app).jobs


class ClassManagementApp(faust.App):
    """The service as a Faust App; `streams` is None in a process that only answers HTTP."""

    BootStrategy = WorkerBoot
    logger = logging.getLogger("faust.app")

    def __init__(self, settings: Settings, container: Container) -> None:
        self.container = container
        self.pool = container.get(PoolProtocol)
        options = faust_options(settings, container.get(KafkaConfig))
        super().__init__(settings.kafka_consumer_group, **options)
        use_own_transport(self)
        leave_out_lost_topics()
        never_create_topics()
        self.streams: StreamRole | None = None
        if settings.role.has_streams:
            self.streams = StreamRole(self, settings, container)
        else:
            self.producer_only = True
            share_port(self.web)
        role = self.streams or WebRole(settings, container)
        self.workers = role.workers
        metrics = container.get(Metrics)
        self._ring = key_ring(settings, metrics)
        self._hub = NotificationHub(subscriber(settings), metrics)
        parts = Parts(
            workers=self.workers,
            health=role.health,
            status=role.status,
            part=role.part,
            ring=self._ring,
            streams=self._hub.streams,
        )
        self._peers = install_views(self, settings, container, parts)
        metrics.pool_size.set_function(lambda: self.pool.size)
        metrics.pool_idle.set_function(lambda: self.pool.idle)
        renewal = {"token keys": self._ring.run} if self._ring and self._ring.is_renewed else {}
        streams = {"streams": self._hub.run} if settings.role.has_users else {}
        self.jobs = Supervisor(
            {"workers": self.workers.run, **renewal, **streams, **role.loops()}, metrics
        )

    async def on_first_start(self) -> None:
        """Create the folders of the table, if there is one."""
        if self.streams is not None:
            await super().on_first_start()

    async def on_started(self) -> None:
        """Log that everything has started; HTTP requests have been answered for a while by then."""
        await super().on_started()
        # A full garbage collection stops everything for 80 to 90 ms, several times in a flood of
        # deadlines. Objects made by the start live as long as the process: they are excluded.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 10, 10)
        partitions = self.streams.table.partitions() if self.streams else []
        _log.info("ready", port=self.conf.web_port, partitions=len(partitions))

    async def stop(self) -> None:
        """Stop; exit after STOP_SECONDS if a dependency hangs: no promise needs a clean stop."""
        asyncio.get_running_loop().call_later(STOP_SECONDS, self._break_off)
        self._hub.streams.end()
        await asyncio.gather(self._commit_finished_work(), self.workers.withdraw())
        await super().stop()

    async def _commit_finished_work(self) -> None:
        """Commit, so that the next worker repeats less; `CarefulConsumer` commits nothing later."""
        if self.streams is None:
            return
        with contextlib.suppress(Exception):  # the inbox deduplicates what is not committed
            async with asyncio.timeout(COMMIT_SECONDS):
                await cast("Consumer", self.consumer).force_commit()

    def _break_off(self) -> None:
        _log.warning("stop broken off", after_seconds=STOP_SECONDS)
        os._exit(1 if self.crash_reason else 0)

    async def on_shutdown(self) -> None:
        """Close the connections of the container, which no service uses any more."""
        await super().on_shutdown()
        await self._peers.close()
        if self._ring is not None:
            await self._ring.close()
        await self.container.get(ClassEventPublisherProtocol).close()
        await self.container.get(Redis).aclose()
        await self.pool.close()
