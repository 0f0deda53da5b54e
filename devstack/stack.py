"""The servers that the service needs, each embedded unless an address is given."""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final, Self

from devstack.apache import ApacheKafka
from devstack.broker import Broker, EmbeddedBroker
from devstack.postgres import EmbeddedPostgres
from devstack.process import DevstackError, Server
from devstack.valkey import EmbeddedValkey

PREFIX = "CLASS_MANAGEMENT_SERVICE_"
REPOSITORY = Path(__file__).resolve().parent.parent
RUN_DIR = REPOSITORY / ".run"
STOP_SECONDS = 3.0
EMBEDDED_SESSION_SECONDS = "4"

#: What make hands down (GNU make manual, section 5.7).
_OF_MAKE: Final = frozenset({"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"})


def clean_environ() -> dict[str, str]:
    """Return our environment without the settings of a service, and those of a make above us.

    A make below us would take what stands on that one's command line (`ARGS=`) for its own.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) and name not in _OF_MAKE
    }


def prefixed(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings as the service's environment variables."""
    return {PREFIX + name: value for name, value in settings.items()}


def kafka(data_dir: Path, log_path: Path | None = None, relayed: Sequence[int] = ()) -> ApacheKafka:
    """Return an Apache Kafka with the libraries that this clone shares."""
    cache_dir = RUN_DIR / "apache-kafka"
    return ApacheKafka(data_dir, cache_dir=cache_dir, log_path=log_path, relayed=relayed)


def in_parallel(*steps: Callable[[], None], on_failure: Callable[[], None] = lambda: None) -> None:
    """Run each step in its own thread, and wait for all.

    If one fails, `on_failure` is called once, to end what the others wait for; then the
    first error is raised.
    """
    with ThreadPoolExecutor(max_workers=max(1, len(steps))) as threads:
        running = [threads.submit(step) for step in steps]
        ended, _ = wait(running, return_when=FIRST_EXCEPTION)
        failures = [step for step in ended if step.exception() is not None]
        if failures:
            on_failure()
    for failure in failures:
        failure.result()


class Stack:
    """PostgreSQL, a broker and Valkey under one folder, with the environment for a service.

    `postgres`, `broker` and `valkey` are None if the environment has the address of a
    server that runs elsewhere.
    """

    def __init__(
        self,
        run_dir: Path = RUN_DIR,
        *,
        environ: Mapping[str, str] | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Choose the ports; nothing starts yet. `environ` is ours by default.

        `report` gets a line for each server that is ready. Raises `DevstackError` if BROKER
        is neither `embedded` nor `apache`.
        """
        self._environ = dict(os.environ if environ is None else environ)
        self._run_dir = run_dir.absolute()
        self._report = report
        self.postgres = None if self._given("DATABASE_URL") else self._make_postgres()
        self.broker = None if self._given("KAFKA_BOOTSTRAP_SERVERS") else self._make_broker()
        self.valkey = None if self._given("REDIS_URL") else self._make_valkey()

    @property
    def servers(self) -> list[Server]:
        """The servers that run here."""
        servers: list[Server | None] = [self.postgres, self.broker, self.valkey]
        return [server for server in servers if server is not None]

    @property
    def data_dir(self) -> Path:
        """The folder of the workers' RocksDB tables.

        One folder for each kind of broker: a table and its changelog belong together.
        """
        if given := self._given("DATA_DIR"):
            return Path(given)
        kind = "external" if self.broker is None else self.broker.name
        return self._run_dir / "rocksdb" / kind

    @property
    def second_data_dir(self) -> Path:
        """The folder of a second worker, which cannot share the first one's."""
        folder = self.data_dir.absolute()
        return folder.with_name(f"{folder.name}-second")

    @property
    def environ(self) -> dict[str, str]:
        """The variables for a service on these servers, with their prefix."""
        values = {"DATA_DIR": str(self.data_dir)}
        if self.postgres is not None:
            values["DATABASE_URL"] = self.postgres.url
        if self.broker is not None:
            values["KAFKA_BOOTSTRAP_SERVERS"] = self.broker.bootstrap_servers
            values |= self._broker_settings(self.broker)
        if self.valkey is not None:
            values["REDIS_URL"] = self.valkey.url
        return prefixed(values)

    def _broker_settings(self, broker: Broker) -> dict[str, str]:
        """Return the settings for the kind of broker."""
        if broker.keeps_data:
            return {"KAFKA_EMBEDDED": "false"}
        # Its groups form only after half a session: short sessions start sooner.
        session = self._given("KAFKA_SESSION_TIMEOUT_SECONDS") or EMBEDDED_SESSION_SECONDS
        return {"KAFKA_EMBEDDED": "true", "KAFKA_SESSION_TIMEOUT_SECONDS": session}

    def start(self) -> None:
        """Start all servers side by side.

        If one does not start, stops the others and raises `DevstackError`.
        """
        self._make_data_dir()
        in_parallel(
            *(lambda server=server: self._start(server) for server in self.servers),
            on_failure=self.stop,
        )

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop all servers side by side, each within `timeout` seconds."""
        in_parallel(*(lambda server=server: server.stop(timeout) for server in self.servers))

    def kill(self) -> None:
        """End all servers at once."""
        for server in self.servers:
            server.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _given(self, name: str) -> str:
        """Return a setting from the environment, "" if it has none."""
        return self._environ.get(PREFIX + name, "")

    def _start(self, server: Server) -> None:
        began = time.monotonic()
        server.start()
        seconds = time.monotonic() - began
        self._report(f"{server.name} ready on {server.address} after {seconds:.2f} s")

    def _make_data_dir(self) -> None:
        """Create the folder of the tables, empty if the broker keeps no changelogs."""
        if self.broker is not None and not self.broker.keeps_data:
            # In a folder that the user chose, only Faust's own files.
            own = not self._given("DATA_DIR")
            for folder in (self.data_dir, self.second_data_dir):
                for stale in [folder] if own else folder.glob("**/v*/tables"):
                    shutil.rmtree(stale, ignore_errors=True)
        self.data_dir.mkdir(parents=True, exist_ok=True)

    def _log(self, name: str) -> Path:
        return self._run_dir / "log" / f"{name}.log"

    def _make_postgres(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self._run_dir / "postgres", log_path=self._log("postgres"))

    def _make_broker(self) -> Broker:
        match self._environ.get("BROKER") or "embedded":
            case "embedded":
                return EmbeddedBroker(self._log("broker"))
            case "apache":
                return kafka(self._run_dir / "apache-kafka" / "data", self._log("kafka"))
            case other:
                raise DevstackError(f"BROKER is {other!r}: it can be embedded or apache")

    def _make_valkey(self) -> EmbeddedValkey:
        return EmbeddedValkey(self._log("valkey"))
