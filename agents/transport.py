"""How Faust talks to the embedded development broker.

That broker answers a waiting fetch only after half of `fetch_max_wait_ms`, which Faust fixes at
1,500: each message would take up to 0.75 s. Apache Kafka answers as soon as there is something.
"""

import logging
from typing import Any, Final

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from yarl import URL

FETCH_MAX_WAIT_MS: Final = 100


class PromptConsumerThread(AIOKafkaConsumerThread):
    """Makes consumers that wait less for a fetch."""

    logger = logging.getLogger("faust.transport")

    def _create_worker_consumer(self, transport: Transport) -> Any:  # noqa: ANN401  # as Faust's
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001  # Faust has no setting
        return consumer


class PromptConsumer(Consumer):
    """Uses `PromptConsumerThread`."""

    logger = logging.getLogger("faust.transport")

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return PromptConsumerThread(self, loop=self.loop, beacon=self.beacon)


class PromptTransport(Transport):
    """Uses `PromptConsumer`."""

    Consumer = PromptConsumer


def use_prompt_transport(app: faust.App) -> None:
    """Have an App use the embedded broker without long waits."""
    urls: list[URL] = app.conf.broker_consumer
    app.transport = PromptTransport(urls, app)
