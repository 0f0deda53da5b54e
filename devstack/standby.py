"""A second PostgreSQL server that follows the first, and can take its place."""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devstack.postgres import EmbeddedPostgres, program, unprivileged
from devstack.process import POLL_SECONDS, DevstackError, find_setpriv
from devstack.secret import write_private

COPY_SECONDS: Final = 60.0
PROMOTE_SECONDS: Final = 60
STREAMING_SECONDS: Final = 30.0


class StandbyPostgres(EmbeddedPostgres):
    """A hot standby by streaming replication: asynchronous, until `make_synchronous`.

    Its first start copies the primary, which has to run. User, password and databases are
    the primary's.
    """

    def __init__(
        self,
        data_dir: Path,
        primary: EmbeddedPostgres,
        port: int | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        log_path: Path | None = None,
    ) -> None:
        """Take `settings` for this server: the primary's are not its own."""
        super().__init__(
            data_dir, port, database=primary.database, settings=settings, log_path=log_path
        )
        self.primary = primary

    @property
    def replication_name(self) -> str:
        """Its name in the primary's `pg_stat_replication` and `synchronous_standby_names`."""
        return f"standby_{self.port}"

    def make_synchronous(self) -> None:
        """From now on the primary acknowledges a commit when this server has it on disk, too.

        Without this server its commits then wait. Raises `DevstackError` if this one does
        not follow it.
        """
        self.primary.set(synchronous_standby_names=self.replication_name)
        self._await_state("sync")

    def await_streaming(self) -> None:
        """Wait until it follows the primary. Raises `DevstackError` if it does not."""
        self._await_state("sync", "async", "potential")

    def promote(self) -> None:
        """Make it a primary: sessions that it has may write from now on.

        Returns when it takes writes. Raises `DevstackError` if it does not.
        """
        done = self.execute(f"select pg_promote(true, {PROMOTE_SECONDS})")
        if done != "t":
            raise DevstackError(f"{self.name}: was not promoted within {PROMOTE_SECONDS} s")

    def create_data(self, folder: Path) -> None:
        """Copy the primary, with what makes the copy follow it."""
        source = f"host={self.primary.host} port={self.primary.port} user=postgres"
        command = [find_setpriv(), *unprivileged(), "--", program("pg_basebackup")]
        command += ["-D", str(folder), "--write-recovery-conf", "--checkpoint=fast", "-d"]
        command += [f"{source} application_name={self.replication_name}"]
        done = subprocess.run(
            command,
            env={"PGPASSWORD": self.primary.password, "PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
            timeout=COPY_SECONDS,
        )
        if done.returncode != 0:
            raise DevstackError(f"{self.name}: {done.stderr.strip()}")
        write_private(self.password_path, self.primary.password)
        # Promoted, it would wait for the standby that its primary had.
        with (folder / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
            settings.write("synchronous_standby_names = ''\n")

    def _await_state(self, *wanted: str) -> None:
        deadline = time.monotonic() + STREAMING_SECONDS
        while self._state() not in wanted:
            if time.monotonic() > deadline:
                raise DevstackError(f"{self.name}: does not follow its primary as {wanted}")
            time.sleep(POLL_SECONDS)

    def _state(self) -> str:
        """Return its part in the replication, "" while it does not follow."""
        sql = "select application_name, sync_state from pg_stat_replication"
        rows = self.primary.execute(f"{sql} where state = 'streaming'").splitlines()
        return dict(row.split("|") for row in rows).get(self.replication_name, "")


def url_of_all(*servers: EmbeddedPostgres) -> str:
    """Return one address for servers of which one takes writes, and which may change roles."""
    first = servers[0]
    credentials = first.url.partition("://")[2].partition("@")[0]
    hosts = ",".join(server.address for server in servers)
    return f"postgresql://{credentials}@{hosts}/{first.database}?target_session_attrs=read-write"
