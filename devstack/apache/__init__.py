"""Apache Kafka as a single node (KRaft), from Maven's libraries and a JDK 17.

The pom in this folder names the version. Tests of faults use this broker, because like
the one in production it keeps what it has accepted.
"""

import re
import secrets
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from devstack.broker import Broker
from devstack.ports import free_port
from devstack.process import DevstackError

HERE = Path(__file__).parent
DOWNLOAD_SECONDS = 600.0
FORMAT_SECONDS = 60.0
START_SECONDS = 60.0
JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    # One node means one replica; few internal partitions start faster.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # Tests start and stop workers often: no waiting for more members, and
    # sessions short enough that a killed one leaves the group soon.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    "log.cleaner.dedupe.buffer.size": "16777216",
    # What is older than its topic keeps goes within a second or two, not minutes.
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "controlled.shutdown.enable": "false",
}


class ApacheKafka(Broker):
    """Apache Kafka 4 with its data in one folder."""

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        cache_dir: Path,
        log_path: Path | None = None,
        relayed: Sequence[int] = (),
    ) -> None:
        """Take the libraries from `cache_dir`, which is filled when first needed.

        Each of the `relayed` ports gets a listener that advertises it, so that a proxy on
        that port gets all traffic of its clients. `behind` has the real ports of these
        listeners.
        """
        self.data_dir = data_dir.absolute()
        log_path = log_path or self.data_dir / "kafka.log"
        super().__init__("kafka", log_path=log_path, port=port)
        self._controller_port = free_port()
        self.behind = {port: free_port() for port in relayed}
        self._libs = cache_dir.absolute() / f"libs-{kafka_version()}"
        self._properties = self.data_dir / "server.properties"
        self._logs = self.data_dir / "logs"

    def start(self, timeout: float = START_SECONDS) -> None:
        """Start the broker and wait until it is ready, at most `timeout` seconds.

        The very first start downloads the libraries, with a longer limit.
        """
        super().start(timeout)

    def prepare(self) -> None:
        """Fetch the libraries and format the data folder, if not yet done."""
        if not self._libs.exists():
            self._fetch()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(self._configuration(), encoding="utf-8")
        if not (self._logs / "meta.properties").exists():
            arguments = ["format", "--standalone", "-t", cluster_id()]
            arguments += ["-c", str(self._properties)]
            command = self._java("kafka.tools.StorageTool", *arguments)
            self.run(command, timeout=FORMAT_SECONDS)

    def launch(self) -> None:
        """Spawn the broker."""
        self.spawn(self._java("kafka.Kafka", str(self._properties)))

    def _java(self, main: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
        return [_tool("java"), *JVM, logging, "-cp", f"{self._libs}/*", main, *arguments]

    def _configuration(self) -> str:
        """Return the text of the configuration file."""
        controller = f"{self.host}:{self._controller_port}"
        listeners = [f"PLAINTEXT://{self.address}", f"CONTROLLER://{controller}"]
        advertised = [f"PLAINTEXT://{self.address}"]
        protocols = ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"]
        for number, (port, behind) in enumerate(self.behind.items()):
            listeners.append(f"RELAYED{number}://{self.host}:{behind}")
            advertised.append(f"RELAYED{number}://{self.host}:{port}")
            protocols.append(f"RELAYED{number}:PLAINTEXT")
        settings = {
            **SETTINGS,
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(protocols),
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.quorum.bootstrap.servers": controller,
            "log.dirs": str(self._logs),
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _fetch(self) -> None:
        """Let Maven copy the libraries, all of them or none, with checksums enforced."""
        unfinished = self._libs.with_name(f"{self._libs.name}.{secrets.token_hex(4)}")
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"]
        options = ["-B", "-q", "-C", "-f", str(HERE / "pom.xml"), "-DincludeScope=runtime"]
        self.run([_tool("mvn"), *options, *goal], timeout=DOWNLOAD_SECONDS)
        try:
            unfinished.rename(self._libs)
        except OSError:  # another program has just copied them
            shutil.rmtree(unfinished)


def cluster_id() -> str:
    """Return a new id for a cluster: 16 bytes in base64.

    The first byte is 0, so that the text never begins with a dash, which the tool would
    read as an option.
    """
    return urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("=")


def kafka_version() -> str:
    """Read Kafka's version from the pom."""
    pom = (HERE / "pom.xml").read_text(encoding="utf-8")
    found = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)", pom)
    if found is None:
        raise DevstackError(f"{HERE / 'pom.xml'} names no version of kafka_2.13")
    return found[1]


def _tool(name: str) -> str:
    """Find Java or Maven. Raises `DevstackError` if it is missing."""
    if path := shutil.which(name):
        return path
    raise DevstackError(f"Apache Kafka needs {name}: install a JDK 17 and Maven")
