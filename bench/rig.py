"""The rig of a benchmark: its own servers, two databases, the service, the floors."""

import asyncio
import contextlib
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar

import psutil

from agents.kafka.topic_specs import TopicSpec, specs
from bench import database
from bench.costs import Meter, Programs
from bench.database import Connection
from bench.floors.server import FLOOR_DSN
from bench.kafka import LARGEST_MESSAGE
from bench.load_process import LoadProcess
from bench.report import progress
from bench.servers import Servers, create_topics
from bench.sizes import Sizes
from devstack.ports import LOOPBACK, free_port
from devstack.process import Child, DevstackError, Server, bound
from devstack.rig.database import connected
from devstack.stack import PREFIX, REPOSITORY, RUN_DIR, clean_environ, in_parallel, prefixed
from devstack.worker import COMMAND_SECONDS, Worker
from tables.names import changelog_topic

T = TypeVar("T")

START_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 20.0
REST_SECONDS: Final = 1.5
PUBLISHED_SECONDS: Final = 120.0
QUIET_PERCENT: Final = 20.0  # of a CPU: the idle load of the service
LOOK_SECONDS: Final = 0.3
PARTITIONS: Final = 8
#: Not imported: it runs with the code of the service's checkout.
_FILL: Final = Path(__file__).with_name("fill_outbox.py")
#: The service, of the checkout that PYTHONPATH names: not what is installed.
PROGRAM: Final = (sys.executable, "-P", "-m", "class_management")
SUGGESTIONS_TOPIC: Final = "bench.suggestions"
EVENTS_TOPIC: Final = "bench.events"
COMMANDS_TOPIC: Final = "bench.commands"
DECISIONS_TOPIC: Final = "bench.decisions"
FLOORS_TOPICS: Final = (
    SUGGESTIONS_TOPIC,
    f"{SUGGESTIONS_TOPIC}.timers",
    f"{SUGGESTIONS_TOPIC}.notified",
    EVENTS_TOPIC,
    f"{EVENTS_TOPIC}.notified",
    f"{EVENTS_TOPIC}.results",
    COMMANDS_TOPIC,
    *(f"{DECISIONS_TOPIC}.{what}" for what in ("confirmed", "processed", "notified", "timers")),
)
DAY_HOURS: Final = 24.0


class Process(Worker):
    """The service or a floor, with its memory and CPU time."""

    #: A floor without `/readyz` is ready once it answers at all.
    ready: ClassVar[frozenset[HTTPStatus]] = frozenset({HTTPStatus.OK, HTTPStatus.NOT_FOUND})

    def __init__(
        self, command: Sequence[str], port: int, log_path: Path, environ: Mapping[str, str]
    ) -> None:
        super().__init__(command, port=port, environ=environ, log_path=log_path, name=log_path.stem)
        self.internal_key = environ.get(PREFIX + "INTERNAL_API_KEY", "")

    @property
    def memory_mib(self) -> float:
        """Its resident memory, in MiB."""
        return float(psutil.Process(running(self)).memory_info().rss) / 2**20

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has used, in seconds."""
        times = psutil.Process(running(self)).cpu_times()
        return float(times.user + times.system)

    def await_idle(self) -> None:
        """Wait until it is idle, at most SETTLE_SECONDS."""
        process = psutil.Process(running(self))
        deadline = time.monotonic() + SETTLE_SECONDS
        while process.cpu_percent(LOOK_SECONDS) > QUIET_PERCENT and time.monotonic() < deadline:
            pass


def running(server: Server) -> int:
    """Return the id of a server's process. Raises DevstackError if it has ended."""
    if server.pid is None:
        raise DevstackError(f"{server.name}: has ended; its log ends:\n{server.log_tail()}")
    return server.pid


class Rig:
    """Everything that the cases use, not shared with another run."""

    def __init__(self, sizes: Sizes, checkout: Path = REPOSITORY, *, floors: bool = True) -> None:
        """Choose a folder; nothing starts yet. The service's code is that of `checkout`."""
        self.session_seconds = sizes.session_seconds
        self.internal_key = secrets.token_hex(16)
        self.loader = LoadProcess()
        self.folder = RUN_DIR / "bench" / secrets.token_hex(4)
        clean = clean_environ()
        self._servers = Servers(self.folder, clean)
        own = {
            PREFIX + "INTERNAL_API_KEY": self.internal_key,
            PREFIX + "KAFKA_SESSION_TIMEOUT_SECONDS": str(sizes.session_seconds),
            "PYTHONPATH": str(checkout),
        }
        self._environ = {**clean, **self._servers.environ, **own}
        beside = clean | prefixed({"REDIS_URL": self.redis_url})
        self._floors_servers = Servers(self.folder / "floors", beside, _floors_topics())
        self._has_floors = floors
        self._open = contextlib.ExitStack()
        self._service: Process | None = None
        self._service_hours = 0.0
        self._floors: dict[str, Process] = {}
        self._rest: dict[int, float] = {}

    @property
    def dsn(self) -> str:
        """The service's database."""
        return self._servers.dsn

    @property
    def floor_dsn(self) -> str:
        """A database with the same tables and students, for the floors."""
        return self._floors_servers.dsn

    @property
    def bootstrap_servers(self) -> str:
        """The service's broker."""
        return self._servers.bootstrap_servers

    @property
    def floor_servers(self) -> str:
        """The broker of the floors."""
        return self._floors_servers.bootstrap_servers

    @property
    def redis_url(self) -> str:
        """The server of real-time messages."""
        return self._servers.environ[PREFIX + "REDIS_URL"]

    def __enter__(self) -> Self:
        self._open.enter_context(self.loader)
        try:
            for servers in self._all_servers():
                self._open.callback(servers.stop)
            in_parallel(*(partial(one.start, self._migrate) for one in self._all_servers()))
        except BaseException as error:
            self._close(type(error))
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._close(kind)

    def renew(self) -> None:
        """Stop everything that works, and give it an empty broker and databases as at the start."""
        self.stop_service()
        self.stop_floors()
        in_parallel(*(one.renew for one in self._all_servers()))

    def meter(self, process: Process | None) -> Meter:
        """Return a meter of what the service, or a floor, its database and its broker use.

        None: the process of the load is the floor.
        """
        is_floor = process is None or process in self._floors.values()
        servers = self._floors_servers if is_floor else self._servers
        pid = running(process) if process else self.loader.pid
        programs = Programs(pid, running(servers.postgres), running(servers.broker))
        if process and pid not in self._rest:
            with Meter(programs) as meter:
                time.sleep(REST_SECONDS)
            self._rest[pid] = meter.rate
        return Meter(programs, self._rest.get(pid, 0.0))

    @contextlib.contextmanager
    def filling(self, count: int) -> Iterator[Callable[[], None]]:
        """Put events into the service's outbox; they are there once the context's value is called.

        Raises DevstackError.
        """
        command = [sys.executable, "-P", str(_FILL), str(count)]
        with subprocess.Popen(
            bound(command),
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            if child.stdout is None or "ready" not in child.stdout.readline():
                raise DevstackError(f"the outbox could not be filled: {child.wait()}")
            yield lambda: _finish(child)

    def service(self, timeout_hours: float = DAY_HOURS) -> Process:
        """Return the running service, restarted if its timeout differs."""
        if self._service is not None and self._service_hours != timeout_hours:
            self.stop_service()
        if self._service is None:
            self._service_hours = timeout_hours
            self._service = self.new_service("bench", TIMEOUT_HOURS=str(timeout_hours))
            progress("starting the service")
            self._service.start(START_SECONDS)
            self._service.await_idle()
        return self._service

    def stop_service(self) -> None:
        """Stop the service, so that another can be started."""
        if self._service is not None:
            self._service.stop()
            self._service = None

    def new_service(self, group: str, name: str = "", **settings: str) -> Process:
        """Return a worker of a consumer group with its own tables; the caller starts and stops it.

        One of several has a `name`, and a DATA_DIR among its settings.
        """
        environ = self._service_environ(group, free_port(), settings)
        servers = environ[PREFIX + "KAFKA_BOOTSTRAP_SERVERS"]
        asyncio.run(create_topics(servers, specs(PARTITIONS, changelog_topic(group))))
        port = int(environ[PREFIX + "PORT"])
        service = Process([*PROGRAM, "worker"], port, self._log(f"worker-{name or group}"), environ)
        self._open.callback(service.stop)
        return service

    def new_database(self, name: str) -> str:
        """Create a database like the service's at the beginning; return its address."""
        return self._servers.new_database(name)

    def drop_database(self, name: str) -> None:
        """Drop a database."""
        self._servers.postgres.drop_database(name)

    def data_dir(self, group: str) -> Path:
        """Return the folder of a consumer group's table."""
        return self._servers.data_dir / group

    def floor(self, module: str, *arguments: str) -> Process:
        """Return a floor's running process; start it if necessary."""
        if module not in self._floors:
            process = self.new_floor(module, *arguments)
            process.start(START_SECONDS)
            self._floors[module] = process
        return self._floors[module]

    def new_floor(self, module: str, *arguments: str) -> Process:
        """Return a floor's process, which the caller starts and stops."""
        port = free_port()
        command = [sys.executable, "-m", f"bench.floors.{module}", str(port), *arguments]
        # Not arguments: every user of the machine can read those.
        own = {"PYTHONPATH": str(REPOSITORY), FLOOR_DSN: self.floor_dsn}
        process = Process(command, port, self._log(module), self._environ | own)
        self._open.callback(process.stop)
        return process

    def stop_floors(self) -> None:
        """Stop the floors' processes."""
        for process in self._floors.values():
            process.stop()
        self._floors.clear()

    def command(self, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        """Run one of the service's commands to its end. Raises DevstackError."""
        name = arguments[0]
        child = Child(name, log_path=self._log(name), environ=environ or self._environ)
        child.run([*PROGRAM, *arguments], timeout=COMMAND_SECONDS)

    def fetchval(self, sql: str, *arguments: object, dsn: str | None = None) -> Any:  # noqa: ANN401
        """Return one value from the service's database or another."""
        return asyncio.run(_fetchval(dsn or self.dsn, sql, *arguments))

    def settle(self, process: Process, dsn: str) -> None:
        """Wait until everything committed is published and the process is idle.

        On a busy machine one that has to wait for a CPU looks idle.
        """
        asyncio.run(_asked(dsn, _published))
        process.await_idle()

    def waiting(self, dsn: str | None = None) -> int:
        """Return how many rows of the outbox wait, in the service's database or another."""
        return asyncio.run(_asked(dsn or self.dsn, database.waiting))

    def empty_outbox(self, dsn: str) -> None:
        """Delete what a floor has put into the outbox."""
        asyncio.run(_asked(dsn, database.empty_outbox))

    def _all_servers(self) -> list[Servers]:
        return [self._servers, *([self._floors_servers] if self._has_floors else [])]

    def _migrate(self, environ: Mapping[str, str]) -> None:
        self.command("migrate", environ={**self._environ, **environ})

    def _service_environ(
        self, group: str, port: int, settings: Mapping[str, str]
    ) -> dict[str, str]:
        data_dir = self.data_dir(group)
        data_dir.mkdir(parents=True, exist_ok=True)
        own = {
            "HOST": LOOPBACK,
            "PORT": str(port),
            "KAFKA_CONSUMER_GROUP": group,
            "DATA_DIR": str(data_dir),
            **settings,
        }
        return self._environ | prefixed(own)

    def _close(self, kind: type[BaseException] | None) -> None:
        """Stop everything; keep the logs if something failed."""
        self._open.close()
        if kind is None or issubclass(kind, KeyboardInterrupt | SystemExit):
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            progress(f"the logs are in {self.folder / 'log'}")

    def _log(self, name: str) -> Path:
        return self.folder / "log" / f"{name}.log"


def _finish(child: "subprocess.Popen[str]") -> None:
    child.communicate()
    if child.returncode:
        raise DevstackError(f"the outbox could not be filled: {child.returncode}")


def _floors_topics() -> list[TopicSpec]:
    config = {"max.message.bytes": str(LARGEST_MESSAGE)}
    return [TopicSpec(name, PARTITIONS, config) for name in FLOORS_TOPICS]


async def _asked(dsn: str, ask: Callable[[Connection], Awaitable[T]]) -> T:
    async with connected(dsn) as connection:
        return await ask(connection)


async def _published(connection: Connection) -> None:
    await database.await_empty_outbox(
        connection, pause_seconds=LOOK_SECONDS, limit_seconds=PUBLISHED_SECONDS
    )


async def _fetchval(dsn: str, sql: str, *arguments: object) -> Any:  # noqa: ANN401
    async with connected(dsn) as connection:
        return await connection.fetchval(sql, *arguments)
