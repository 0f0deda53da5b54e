"""The servers of one side: what the service works with, and what the floors work with beside it.

Each side has its own, so that nothing that is idle meanwhile takes part in what a change costs.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from agents.kafka import topics as kafka_topics
from agents.kafka.config import KafkaConfig
from agents.kafka.topic_specs import TopicSpec
from bench import seed
from bench.report import progress
from devstack.apache import ApacheKafka
from devstack.broker import Broker
from devstack.postgres import EmbeddedPostgres
from devstack.process import DevstackError
from devstack.stack import PREFIX, Stack

#: The template of every other database.
SEED_DATABASE: Final = "seed"


class Servers:
    """A PostgreSQL with the students at the beginning of every run, and a broker."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], topics: Sequence[TopicSpec] = ()
    ) -> None:
        """Choose ports; nothing starts yet. The broker gets these topics."""
        self._stack = Stack(folder, environ=environ, report=progress)
        self._topics = topics

    @property
    def environ(self) -> dict[str, str]:
        """The variables of a service that uses them."""
        return self._stack.environ

    @property
    def dsn(self) -> str:
        """The database."""
        return self.postgres.url

    @property
    def bootstrap_servers(self) -> str:
        """The broker."""
        return self.environ[PREFIX + "KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def data_dir(self) -> Path:
        """The folder of the services' tables."""
        return self._stack.data_dir

    def start(self, migrate: Callable[[Mapping[str, str]], None]) -> None:
        """Start them; `migrate` creates the schema in the database of these variables."""
        self._stack.start()
        migrate(self.environ)
        asyncio.run(seed.fill(self.dsn))
        self.postgres.create_database(SEED_DATABASE, template=self.postgres.database)
        self._create_topics()

    def stop(self) -> None:
        """Stop them."""
        self._stack.stop()

    def renew(self) -> None:
        """Give them an empty broker and the database as at the start; nothing may use them.

        A broker that has grown costs more a message. What a database remembers of a log that is
        gone would be wrong, and so would a table.
        """
        self.broker.stop()
        if isinstance(self.broker, ApacheKafka):
            shutil.rmtree(self.broker.data_dir)
        shutil.rmtree(self.data_dir, ignore_errors=True)
        self.broker.start()
        self.postgres.drop_database(self.postgres.database)
        self.new_database(self.postgres.database)
        self._create_topics()

    def new_database(self, name: str) -> str:
        """Create a database like the one at the beginning; return its address."""
        return self.postgres.create_database(name, template=SEED_DATABASE)

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The server of databases."""
        if self._stack.postgres is None:
            raise DevstackError("a benchmark needs a PostgreSQL of its own")
        return self._stack.postgres

    @property
    def broker(self) -> Broker:
        """The broker's process."""
        if self._stack.broker is None:
            raise DevstackError("a benchmark needs a broker of its own")
        return self._stack.broker

    def _create_topics(self) -> None:
        asyncio.run(create_topics(self.bootstrap_servers, self._topics))


async def create_topics(servers: str, specs: Sequence[TopicSpec]) -> None:
    """Create topics like `class-management topics create`, without a process for each worker."""
    await kafka_topics.create(KafkaConfig(servers), specs, replication_factor=1)
