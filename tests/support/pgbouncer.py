"""Debian's pgbouncer in front of a PostgreSQL, with the pool mode that forgets sessions."""

import socket
from pathlib import Path
from typing import Final

from devstack.postgres import SUPERUSER, EmbeddedPostgres, unprivileged
from devstack.process import Server
from tests.support.programs import program

PROBE_SECONDS: Final = 1.0
#: Fewer than a worker's pool has: its connections do take turns.
SERVER_CONNECTIONS: Final = 6


class PgBouncer(Server):
    """Pools transactions, and lets everybody in."""

    def __init__(self, postgres: EmbeddedPostgres, folder: Path) -> None:
        super().__init__("pgbouncer", log_path=folder / "pgbouncer.log")
        self._program = program("pgbouncer")
        self._postgres = postgres
        self._config = folder / "pgbouncer.ini"

    def url_of(self, database: str) -> str:
        """Return the address of a database behind it."""
        return f"postgresql://{SUPERUSER}:any@{self.address}/{database}"

    def prepare(self) -> None:
        """Write its configuration."""
        server = self._postgres
        self._config.parent.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            f"""
[databases]
* = host={server.host} port={server.port} user={SUPERUSER} password={server.password}
[pgbouncer]
listen_addr = {self.host}
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {SERVER_CONNECTIONS}
max_client_conn = 400
query_wait_timeout = 30
"""
        )

    def launch(self) -> None:
        """Spawn it; like PostgreSQL it refuses to run as root."""
        self.spawn([self._program, str(self._config)], setpriv=unprivileged())

    def is_ready(self) -> bool:
        """Connect."""
        try:
            socket.create_connection((self.host, self.port), PROBE_SECONDS).close()
        except OSError:
            return False
        return True
