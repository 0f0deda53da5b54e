"""A service with its own database and broker, without the remains of other cases."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.report import progress
from bench.rig import Process, Rig
from devstack.stack import PREFIX, Stack, clean_environ, prefixed


@dataclass(frozen=True)
class World:
    """A service with its database and broker."""

    dsn: str
    bootstrap_servers: str
    data_dir: Path
    """The folder of the service's table."""
    service: Process
    """Not started yet."""


@contextlib.contextmanager
def world(rig: Rig, name: str, **settings: str) -> Iterator[World]:
    """Create a world with the students at the start of every run; remove it afterwards.

    All services of a broker share its topics, so that two on one broker would do each other's work.
    """
    dsn = rig.new_database(name)
    given = {"DATABASE_URL": dsn, "REDIS_URL": rig.redis_url}
    environ = clean_environ() | prefixed(given)
    stack = Stack(rig.folder / name, environ=environ, report=progress)
    try:
        with stack:
            made = {key.removeprefix(PREFIX): value for key, value in stack.environ.items()}
            made["KAFKA_SESSION_TIMEOUT_SECONDS"] = str(rig.session_seconds)
            service = rig.new_service(name, **(made | given | settings))
            try:
                yield World(dsn, made["KAFKA_BOOTSTRAP_SERVERS"], stack.data_dir, service)
            finally:
                service.stop()
    finally:
        rig.drop_database(name)
