"""The service as users run it, on its own servers, behind proxies."""

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
from devstack.standby import StandbyPostgres
from devstack.valkey import EmbeddedValkey
from devstack.worker import prepare
from faults.descriptors import with_usual_limit
from faults.mounts import mount, unmount
from faults.proxy import Proxy, Trouble

COMMAND_SECONDS: Final = 120.0
#: Generous: the machine may be busy with other work.
START_SECONDS: Final = 180.0
HEAL_SECONDS: Final = 120.0
#: Few connections, so that they can be used up, and a short deadlock timeout.
POSTGRES: Final = {"max_connections": "120", "deadlock_timeout": "200ms"}
#: Its log must not fill a small disk before a fault does.
ON_SMALL_DISK: Final = {"max_wal_size": "128MB", "min_wal_size": "32MB"}
HERE: Final = Path(__file__).parent


@dataclass
class Wires:
    """The proxies of a worker; `spare` leads to the place of PostgreSQL's standby."""

    postgres: Proxy
    spare: Proxy
    kafka: Proxy
    redis: Proxy

    @property
    def all(self) -> tuple[Proxy, ...]:
        """Each of them."""
        return self.postgres, self.spare, self.kafka, self.redis

    def fail_over(self) -> None:
        """Let PostgreSQL and its standby change places."""
        self.postgres, self.spare = self.spare, self.postgres

    def give(self, name: str, trouble: Trouble) -> None:
        """Disturb the traffic to one of the servers."""
        proxy: Proxy = getattr(self, name)
        proxy.give(trouble)


class Worker(ServiceProcess):
    """A worker with its own proxies, which can be restarted with another environment."""

    def __init__(
        self, name: str, environ: Mapping[str, str], log_path: Path, port: int, wires: Wires
    ) -> None:
        super().__init__(environ, log_path, port)
        self._command = with_usual_limit(self._command)
        self.name = name
        self.wires = wires
        self._basic = dict(environ)
        self.kills = 0
        """How often it was killed."""

    def kill(self) -> None:
        """Kill the worker, if it runs."""
        self.kills += self.pid is not None
        super().kill()

    @property
    def table_dir(self) -> Path:
        """The folder of its RocksDB."""
        return Path(self._basic[PREFIX + "DATA_DIR"])

    @property
    def plain_environ(self) -> dict[str, str]:
        """The environment of a command that asks this worker."""
        strange = ("PYTHONPATH", "BREAKAGE")
        return {name: value for name, value in self._basic.items() if name not in strange}

    def set_environ(self, **environ: str) -> None:
        """Set additional variables for the next start; none for the usual environment."""
        self._environ = {**self._basic, **environ}

    def begin(self) -> None:
        """Start the worker, unless it runs."""
        if self.pid is None:
            super().begin()


@dataclass(frozen=True)
class Setup:
    """The setup of the service."""

    seed: int
    workers: int = 3
    timeout_seconds: float = 25.0
    breakage: str | None = None
    disk_megabytes: int | None = None
    """The size of a disk in memory for PostgreSQL's data; None: no separate disk."""
    failovers: bool = False
    """Whether workers know two addresses of PostgreSQL."""


class Rig:
    """PostgreSQL, Apache Kafka, Valkey, workers, and a proxy for each worker and server."""

    def __init__(self, setup: Setup) -> None:
        """Choose ports and a folder. Raises `DevstackError` if a small disk cannot be mounted."""
        self.setup = setup
        parent = RUN_DIR / "faults"
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"seed-{setup.seed}-", dir=parent))
        if setup.disk_megabytes:
            # Before anything reads the password, which is stored on it.
            mount(self.folder / "postgres", f"{setup.disk_megabytes}m")
        rng = random.Random(setup.seed)
        kafka_wires = [free_port() for _ in range(setup.workers)]
        self.kafka = kafka(self.folder / "kafka", self.folder / "log" / "kafka.log", kafka_wires)
        self._postgres_settings = POSTGRES | (ON_SMALL_DISK if setup.disk_megabytes else {})
        self._small_disk = self.folder / "postgres"
        self.postgres = EmbeddedPostgres(
            self._small_disk,
            settings=self._postgres_settings,
            log_path=self.folder / "log" / "postgres.log",
        )
        self.standby: StandbyPostgres | None = None
        self._spare_port = free_port()
        self._failovers = 0
        self.valkey = EmbeddedValkey(self.folder / "log" / "valkey.log")
        self.wires = [
            Wires(
                Proxy(self.postgres.port, rng),
                Proxy(self._spare_port, rng),
                Proxy(self.kafka.behind[port], rng, port),
                Proxy(self.valkey.port, rng),
            )
            for port in kafka_wires
        ]
        self.workers = [self._worker(number) for number in range(setup.workers)]

    @property
    def servers(self) -> tuple[Server, ...]:
        """The servers that have to run."""
        return self.postgres, self.kafka, self.valkey

    @property
    def on_small_disk(self) -> bool:
        """Whether PostgreSQL's data lies on the small disk, as in the beginning."""
        return self.postgres.data_dir == self._small_disk.absolute()

    def add_standby(self) -> StandbyPostgres:
        """Start an asynchronous standby of PostgreSQL."""
        self._failovers += 1
        name = f"postgres-{self._failovers + 1}"
        self.standby = StandbyPostgres(
            self.folder / name,
            self.postgres,
            self._spare_port,
            settings=self._postgres_settings,
            log_path=self.folder / "log" / f"{name}.log",
        )
        self.standby.start(START_SECONDS)
        self.standby.await_streaming()
        return self.standby

    def fail_over(self) -> None:
        """Make the standby the server that workers and faults know as PostgreSQL."""
        assert self.standby is not None
        self._spare_port = self.postgres.port
        self.postgres, self.standby = self.standby, None
        for wires in self.wires:
            wires.fail_over()

    @property
    def bootstrap_servers(self) -> str:
        """The address of Kafka itself, without a proxy."""
        return self.kafka.bootstrap_servers

    async def start(self) -> None:
        """Start everything."""
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
        """Stop everything; remove the folder unless it is to be kept.

        The content of a small disk is removed in any case.
        """
        stops = [*(w.kill for w in self.workers), *(s.kill for s in self._running)]
        await asyncio.to_thread(in_parallel, *stops)
        for wires in self.wires:
            for proxy in wires.all:
                await proxy.stop()
        self._take_disk_away()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def heal(self) -> None:
        """Make every server and worker run, without disturbances."""
        for wires in self.wires:
            for proxy in wires.all:
                proxy.heal()
        for server in (*self._running, *self.workers):
            server.resume()
        for server in self.servers:
            if server.pid is None:
                await asyncio.to_thread(server.start, HEAL_SECONDS)
        for worker in self.workers:
            worker.set_environ()
            worker.begin()

    @property
    def _running(self) -> tuple[Server, ...]:
        """All servers, the standby too."""
        return (*self.servers, self.standby) if self.standby else self.servers

    def _worker(self, number: int) -> Worker:
        name, port, wires = f"worker-{number + 1}", free_port(), self.wires[number]
        own = {
            "DATABASE_URL": self._database_url(wires),
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

    def _database_url(self, wires: Wires) -> str:
        """Return an address by which a worker finds the one of two servers that takes writes.

        Where nothing moves it is that of one server, as most users have it.
        """
        url = _through(self.postgres.url, wires.postgres.port)
        if not self.setup.failovers:
            return url
        hosts = f"{LOOPBACK}:{wires.postgres.port},{LOOPBACK}:{wires.spare.port}"
        both = url.replace(f"{LOOPBACK}:{wires.postgres.port}", hosts)
        return f"{both}?target_session_attrs=read-write"

    def _environ(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a worker or a command, without our own settings."""
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
        """Stop everything that still runs."""
        for server in (*self.workers, *self._running):
            server.kill()
        self._take_disk_away()

    def _take_disk_away(self) -> None:
        if self.setup.disk_megabytes:
            unmount(self._small_disk)


def _through(url: str, port: int) -> str:
    """Return a URL with another port."""
    parts = urlsplit(url)
    user, _, _ = parts.netloc.rpartition("@")
    place = f"{LOOPBACK}:{port}"
    return urlunsplit(parts._replace(netloc=f"{user}@{place}" if user else place))
