"""A password that a server refuses ends a start at once, with one line that names the setting."""

import re
import socket
import socketserver
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from class_management.settings import PREFIX
from devstack.ports import LOOPBACK, free_port
from devstack.valkey import EmbeddedValkey
from tests.support.command_line import nowhere, run

SECRET: Final = "s3cr3t"
API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE, METADATA = 18, 17, 36, 3
REFUSED: Final = 58
MECHANISM: Final = b"PLAIN"


class Refusing(socketserver.BaseRequestHandler):
    """A broker that knows nobody."""

    def handle(self) -> None:
        while head := self.request.recv(4):
            request = self._receive(struct.unpack("!i", head)[0])
            key, _, correlation = struct.unpack_from("!hhi", request)
            answer = struct.pack("!i", correlation) + self._answer(key)
            self.request.sendall(struct.pack("!i", len(answer)) + answer)

    def _receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            received += self.request.recv(size - len(received))
        return received

    def _answer(self, key: int) -> bytes:
        if key == API_VERSIONS:
            known = [(API_VERSIONS, 0, 0), (SASL_HANDSHAKE, 1, 1), (SASL_AUTHENTICATE, 0, 0)]
            known.append((METADATA, 0, 0))
            rows = b"".join(struct.pack("!hhh", *one) for one in known)
            return struct.pack("!hi", 0, len(known)) + rows
        if key == SASL_HANDSHAKE:
            return struct.pack("!hih", 0, 1, len(MECHANISM)) + MECHANISM
        why = b"Authentication failed: Invalid username or password"
        return struct.pack("!hh", REFUSED, len(why)) + why + struct.pack("!i", 0)


@pytest.fixture
def refusing_broker() -> Iterator[str]:
    server = socketserver.ThreadingTCPServer((LOOPBACK, free_port()), Refusing)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with server:
        yield f"{LOOPBACK}:{server.server_address[1]}"
        server.shutdown()
    thread.join()


@pytest.fixture
def locked_valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path / "valkey.log") as server:
        with socket.create_connection((server.host, server.port)) as link:
            link.sendall(b"CONFIG SET requirepass right\r\n")
            assert link.recv(5) == b"+OK\r\n"
        yield server


def refused(done: "subprocess.CompletedProcess[str]", *names: str) -> str:
    """Return the line that names the settings; others may say that something is waited for."""
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("class-management: ")
    assert [name for name in names if PREFIX + name not in line] == []
    return line


@pytest.mark.parametrize("command", ["worker", "migrate"])
def test_a_wrong_password_of_postgresql(
    migrated_database: str, tmp_path: Path, command: str
) -> None:
    wrong = re.sub(r":\w+@", f":{SECRET}@", migrated_database)
    done = run(
        command,
        DATABASE_URL=wrong,
        ROLE="web",
        HOST=LOOPBACK,
        PORT=str(free_port()),
        DATA_DIR=str(tmp_path),
    )
    assert "password authentication failed" in refused(done, "DATABASE_URL")
    assert len(done.stderr.splitlines()) == 1


def test_what_asyncpg_does_not_know_of_a_url(migrated_database: str, tmp_path: Path) -> None:
    done = run(
        "worker",
        DATABASE_URL=f"{migrated_database}?sslmode=perhaps",
        ROLE="web",
        HOST=LOOPBACK,
        PORT=str(free_port()),
        DATA_DIR=str(tmp_path),
    )
    refused(done, "DATABASE_URL")


def started_with_redis(url: str, data_dir: Path) -> "subprocess.CompletedProcess[str]":
    """Start a worker that needs nothing but Redis."""
    return run(
        "worker",
        REDIS_URL=url,
        USE_MOCK_REPOSITORY="true",
        KAFKA_BOOTSTRAP_SERVERS=nowhere(),
        HOST=LOOPBACK,
        PORT=str(free_port()),
        DATA_DIR=str(data_dir),
    )


@pytest.mark.parametrize("password", [f":{SECRET}@", ""])
def test_a_wrong_password_of_redis(
    locked_valkey: EmbeddedValkey, tmp_path: Path, password: str
) -> None:
    refused(
        started_with_redis(f"redis://{password}{locked_valkey.address}/0", tmp_path), "REDIS_URL"
    )


@pytest.mark.parametrize("query", ["socket_timeout=x", "no_such_option=1"])
def test_what_redis_does_not_know_of_a_url(tmp_path: Path, query: str) -> None:
    refused(started_with_redis(f"redis://:{SECRET}@{nowhere()}/0?{query}", tmp_path), "REDIS_URL")


def test_a_wrong_password_of_kafka(refusing_broker: str, tmp_path: Path) -> None:
    done = run(
        "worker",
        KAFKA_BOOTSTRAP_SERVERS=refusing_broker,
        KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        KAFKA_SASL_MECHANISM="PLAIN",
        KAFKA_SASL_USERNAME="user",
        KAFKA_SASL_PASSWORD=SECRET,
        REDIS_URL=f"redis://{nowhere()}/0",
        USE_MOCK_REPOSITORY="true",
        HOST=LOOPBACK,
        PORT=str(free_port()),
        DATA_DIR=str(tmp_path),
    )
    line = refused(done, "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
    assert "Invalid username or password" in line
