"""How Faust talks to Kafka here: two changes to its consumer."""

import logging
from typing import Any, Final

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types.transports import TPorTopicSet
from yarl import URL

FETCH_MAX_WAIT_MS: Final = 100

_logger = logging.getLogger("faust.transport")


class CarefulConsumer(Consumer):
    """Commits nothing once the App stops.

    At a stop Faust closes the agents' streams before it cancels the agents, and a closing
    `take_events` acknowledges the batch that its agent is still working on. Committing that would
    lose it; not committing brings back a few messages that the inbox knows.
    """

    logger = _logger

    async def force_commit(
        self,
        topics: TPorTopicSet | None = None,
        start_new_transaction: bool = True,  # noqa: FBT001, FBT002  # Faust's signature
    ) -> bool:
        """Commit what is acknowledged, as long as the App runs."""
        if self.app.should_stop:
            return False
        committed: bool = await super().force_commit(topics, start_new_transaction)
        return committed


class CarefulTransport(Transport):
    """Uses `CarefulConsumer`."""

    Consumer = CarefulConsumer


class PromptConsumerThread(AIOKafkaConsumerThread):
    """Makes consumers that wait less for a fetch.

    The embedded development broker answers a waiting fetch only after half of `fetch_max_wait_ms`,
    which Faust fixes at 1,500: each message would take up to 0.75 s. Apache Kafka answers as soon
    as there is something.
    """

    logger = _logger

    def _create_worker_consumer(self, transport: Transport) -> Any:  # noqa: ANN401  # as Faust's
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001  # Faust has no setting
        return consumer


class PromptConsumer(CarefulConsumer):
    """Uses `PromptConsumerThread`."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return PromptConsumerThread(self, loop=self.loop, beacon=self.beacon)


class PromptTransport(CarefulTransport):
    """Uses `PromptConsumer`."""

    Consumer = PromptConsumer


def use_own_transport(app: faust.App, *, embedded: bool) -> None:
    """Have an App use these consumers; `embedded` is for the development broker."""
    urls: list[URL] = app.conf.broker_consumer
    transport = PromptTransport if embedded else CarefulTransport
    app.transport = transport(urls, app)
