"""The service as users run it, on servers of its own, behind proxies."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from devstack.ports import LOOPBACK, free_port
from devstack.postgres import EmbeddedPostgres
from devstack.process import Server
from devstack.rig.service import INTERNAL_KEY, ServiceProcess
from devstack.stack import PREFIX, RUN_DIR, clean_environ, in_parallel, kafka, prefixed
from devstack.valkey import EmbeddedValkey
from devstack.worker import prepare
from faults.mounts import mount, unmount
from faults.proxy import Proxy, Trouble

COMMAND_SECONDS: Final = 120.0
#: Generous: the machine may be busy with other things.
START_SECONDS: Final = 180.0
HEAL_SECONDS: Final = 120.0
#: Few connections, so that they can be used up, and deadlocks that are soon seen.
POSTGRES: Final = {"max_connections": "120", "deadlock_timeout": "200ms"}
#: Its log must not outgrow a small disk before anybody fills it.
ON_SMALL_DISK: Final = {"max_wal_size": "128MB", "min_wal_size": "32MB"}
HERE: Final = Path(__file__).parent


@dataclass(frozen=True)
class Wires:
    """What a worker's traffic runs through."""

    postgres: Proxy
    kafka: Proxy
    redis: Proxy

    @property
    def all(self) -> tuple[Proxy, ...]:
        """Each of them."""
        return self.postgres, self.kafka, self.redis

    def give(self, name: str, trouble: Trouble) -> None:
        """Let something happen on the way to one of the servers."""
        proxy: Proxy = getattr(self, name)
        proxy.give(trouble)


class Worker(ServiceProcess):
    """A worker with proxies of its own; it can be restarted with another environment."""

    def __init__(
        self, name: str, environ: Mapping[str, str], log_path: Path, port: int, wires: Wires
    ) -> None:
        super().__init__(environ, log_path, port)
        self.name = name
        self.wires = wires
        self._basic = dict(environ)
        self.kills = 0
        """How often it was ended as a crash would end it."""

    def kill(self) -> None:
        """End the worker as a crash would, where it runs."""
        self.kills += self.pid is not None
        super().kill()

    @property
    def table_dir(self) -> Path:
        """Where its RocksDB lies."""
        return Path(self._basic[PREFIX + "DATA_DIR"])

    @property
    def plain_environ(self) -> dict[str, str]:
        """What a command is to have in its environment that asks this worker."""
        strange = ("PYTHONPATH", "BREAKAGE")
        return {name: value for name, value in self._basic.items() if name not in strange}

    def set_environ(self, **environ: str) -> None:
        """Have the next start see these variables, too; without any, the usual ones."""
        self._environ = {**self._basic, **environ}

    def begin(self) -> None:
        """Start the worker, unless it runs."""
        if self.pid is None:
            super().begin()


@dataclass(frozen=True)
class Setup:
    """How the service is set up."""

    seed: int
    workers: int = 3
    timeout_seconds: float = 25.0
    breakage: str | None = None
    disk_megabytes: int | None = None
    """How large the disk is that PostgreSQL's data lies on, in memory; None: no disk of its own."""


class Rig:
    """PostgreSQL, Apache Kafka, Valkey, workers, and a wire between each two of them."""

    def __init__(self, setup: Setup) -> None:
        """Choose ports and a folder; nothing starts yet.

        Raises `DevstackError` where a small disk is wanted and none can be had.
        """
        self.setup = setup
        parent = RUN_DIR / "faults"
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"seed-{setup.seed}-", dir=parent))
        if setup.disk_megabytes:
            # Before anything asks for the password, which lies there.
            mount(self.folder / "postgres", f"{setup.disk_megabytes}m")
        rng = random.Random(setup.seed)
        kafka_wires = [free_port() for _ in range(setup.workers)]
        self.kafka = kafka(self.folder / "kafka", self.folder / "log" / "kafka.log", kafka_wires)
        self.postgres = EmbeddedPostgres(
            self.folder / "postgres",
            settings=POSTGRES | (ON_SMALL_DISK if setup.disk_megabytes else {}),
            log_path=self.folder / "log" / "postgres.log",
        )
        self.valkey = EmbeddedValkey(self.folder / "log" / "valkey.log")
        self.wires = [
            Wires(
                Proxy(self.postgres.port, rng),
                Proxy(self.kafka.behind[port], rng, port),
                Proxy(self.valkey.port, rng),
            )
            for port in kafka_wires
        ]
        self.workers = [self._worker(number) for number in range(setup.workers)]

    @property
    def servers(self) -> tuple[Server, ...]:
        """What the service needs."""
        return self.postgres, self.kafka, self.valkey

    @property
    def bootstrap_servers(self) -> str:
        """Kafka without a wire between."""
        return self.kafka.bootstrap_servers

    async def start(self) -> None:
        """Bring everything up."""
        for wires in self.wires:
            for proxy in wires.all:
                await proxy.start()
        await asyncio.to_thread(in_parallel, *(server.start for server in self.servers))
        log_dir, environ = self.folder / "log", self._environ({})
        await asyncio.to_thread(prepare, log_dir, environ, COMMAND_SECONDS)
        await asyncio.to_thread(
            in_parallel, *(lambda w=worker: w.start(START_SECONDS) for worker in self.workers)
        )

    async def stop(self, *, keep: bool) -> None:
        """End everything; remove the folder unless it is to be kept.

        What lies on a small disk goes in any case.
        """
        stops = [*(w.kill for w in self.workers), *(s.kill for s in self.servers)]
        await asyncio.to_thread(in_parallel, *stops)
        for wires in self.wires:
            for proxy in wires.all:
                await proxy.stop()
        self._take_disk_away()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def heal(self) -> None:
        """Let every server and worker run, with nothing in between."""
        for wires in self.wires:
            for proxy in wires.all:
                proxy.heal()
        for server in (*self.servers, *self.workers):
            server.resume()
        for server in self.servers:
            if server.pid is None:
                await asyncio.to_thread(server.start, HEAL_SECONDS)
        for worker in self.workers:
            worker.set_environ()
            worker.begin()

    def _worker(self, number: int) -> Worker:
        name, port, wires = f"worker-{number + 1}", free_port(), self.wires[number]
        own = {
            "DATABASE_URL": _through(self.postgres.url, wires.postgres.port),
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{wires.kafka.port}",
            "REDIS_URL": _through(self.valkey.url, wires.redis.port),
            "PORT": str(port),
            "DATA_DIR": str(self.folder / name),
        }
        environ = self._environ(own)
        if self.setup.breakage:
            environ |= {"PYTHONPATH": str(HERE / "breakages"), "BREAKAGE": self.setup.breakage}
        log_path = self.folder / "log" / f"{name}.log"
        return Worker(name, environ, log_path, port, wires)

    def _environ(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a worker or a command; none of our own settings reach it."""
        settings = {
            "DATABASE_URL": self.postgres.url,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "REDIS_URL": self.valkey.url,
            "HOST": LOOPBACK,
            "INTERNAL_API_KEY": INTERNAL_KEY,
            "LOG_FORMAT": "json",
            "TIMEOUT_HOURS": str(self.setup.timeout_seconds / 3600),
            "SUGGESTION_RETRY_SECONDS": "20",
            "DATABASE_POOL_MAX_SIZE": "20",
            **own,
        }
        return clean_environ() | prefixed(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing running, whatever happened."""
        for server in (*self.workers, *self.servers):
            server.kill()
        self._take_disk_away()

    def _take_disk_away(self) -> None:
        if self.setup.disk_megabytes:
            unmount(self.postgres.data_dir)


def _through(url: str, port: int) -> str:
    """Return a URL that leads to the same server by another port."""
    parts = urlsplit(url)
    user, _, _ = parts.netloc.rpartition("@")
    place = f"{LOOPBACK}:{port}"
    return urlunsplit(parts._replace(netloc=f"{user}@{place}" if user else place))
