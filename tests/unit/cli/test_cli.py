"""`class-management` as whoever operates the service calls it."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from class_management.cli.main import main
from class_management.machine import check_machine, claim_folder
from class_management.settings import PREFIX, Settings, SettingsError
from devstack.ports import LOOPBACK, free_port
from devstack.stack import REPOSITORY
from devstack.worker import COMMAND
from rules.ids import new_id
from tests.support.command_line import SECONDS, environ, nowhere, run, run_forked


@pytest.mark.parametrize("command", [(), ("worker",), ("migrate",), ("topics", "create")])
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: class-management")


def _groups(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        yield path
        for name, one in command.commands.items():
            yield from _groups(one, (*path, name))


@pytest.mark.parametrize("group", list(_groups(main)), ids=" ".join)
def test_a_command_is_told_in_a_line_that_is_not_cut(group: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*group, "--help"], prog_name="class-management")
    *_, commands = shown.output.partition("Commands:")
    assert commands.strip()
    assert [line for line in commands.splitlines() if line.endswith("...")] == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "many", "PORT"),
        ("TIMEOUT_HOURS", "-1", "TIMEOUT_HOURS"),
        ("TIMEOUT_HOURS", "nan", "TIMEOUT_HOURS"),
        ("HIGH_CONFIDENCE_THRESHOLD", "1.5", "HIGH_CONFIDENCE_THRESHOLD"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL"),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL"),
        ("DATABASE_URL", "postgresql://u@h:abc/x", "DATABASE_URL"),
        ("DATABASE_URL", "postgresql://u@a:1,b:0/x", "DATABASE_URL"),
        ("DATABASE_URL", "postgresql://u@a,b/x?target_session_attrs=standby", "read-write"),
        ("REDIS_URL", "redis://h:abc/0", "REDIS_URL"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker:abc", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_BOOTSTRAP_SERVERS", ",", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_SSL_CAFILE", "/nope", "KAFKA_SSL_CAFILE"),
        ("DATABASE_POOL_MAX_SIZE", "301", "DATABASE_POOL_MAX_SIZE"),
        ("DATABASE_POOL_MIN_SIZE", "31", "DATABASE_POOL_MIN_SIZE"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "KAFKA_SASL_USERNAME"),
        ("GATEWAY_JWT_KEY", "secret", "GATEWAY_JWT_KEY"),
        ("TIMEOUT_HUORS", "1", "TIMEOUT_HUORS"),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_line(name: str, value: str, said: str) -> None:
    done = run_forked("worker", **{name: value})
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("class-management: ")
    assert said in line
    assert "secret" not in line


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the line of a start that was refused."""
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"class-management: {PREFIX}")
    return line


@pytest.mark.parametrize(
    "folder", ["{tmp}/file", "{tmp}/file/below", "/proc/nowhere/data", "/sys/data"]
)
def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    path = folder.format(tmp=tmp_path)
    line = one_line(run_forked("worker", DATA_DIR=path, PORT=str(free_port())))
    assert f"DATA_DIR: {path} cannot be made or written" in line


def test_the_folder_of_another_worker_stops_the_start(tmp_path: Path) -> None:
    claim_folder(tmp_path)
    line = one_line(run("worker", DATA_DIR=str(tmp_path), PORT=str(free_port())))
    assert f"DATA_DIR: {tmp_path} is in use by another worker" in line


@pytest.mark.parametrize("role", ["all", "web"])
def test_a_port_that_is_taken_stops_the_start(tmp_path: Path, role: str) -> None:
    with socket.create_server((LOOPBACK, free_port())) as taken:
        port = str(taken.getsockname()[1])
        done = run("worker", DATA_DIR=str(tmp_path), HOST=LOOPBACK, PORT=port, ROLE=role)
    assert f"PORT: {port} on {LOOPBACK} is in use" in one_line(done)


def test_web_processes_share_a_port(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, free_port()), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        check_machine(settings_of(PORT=str(port), HOST=LOOPBACK, ROLE="web"))
        with pytest.raises(SettingsError, match="is in use"):
            check_machine(
                settings_of(PORT=str(port), HOST=LOOPBACK, ROLE="all", DATA_DIR=str(tmp_path))
            )


def settings_of(**values: str) -> Settings:
    return Settings.model_validate({name.lower(): value for name, value in values.items()})


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 70])
def test_a_host_that_cannot_be_listened_at_stops_the_start(tmp_path: Path, host: str) -> None:
    done = run_forked("worker", DATA_DIR=str(tmp_path), HOST=host, PORT=str(free_port()))
    assert f"HOST: {host} is no address" in one_line(done)


@pytest.mark.parametrize(
    "command",
    [
        ("topics", "create"),
        ("topics", "check"),
        ("dlt", "list"),
        ("dlt", "show", "commands/0/0"),
        ("dlt", "drop", "commands/0/0"),
        ("send", "class.delete", "--user", "t", "-d", f'{{"class_id": "{new_id()}"}}'),
        ("migrate",),
        ("migrate", "--down", "base", "--yes"),
        ("tables",),
        ("tables", "list"),
    ],
)
def test_a_server_that_takes_connections_and_never_answers_is_told(
    command: tuple[str, ...],
) -> None:
    with socket.create_server((LOOPBACK, free_port())) as silent:
        where = "{}:{}".format(*silent.getsockname())
        done = run_forked(
            *command,
            "--connect-timeout",
            "2.5",
            DATABASE_URL=f"postgresql://nobody:nothing@{where}/none",
            KAFKA_BOOTSTRAP_SERVERS=where,
            ADVERTISED_URL=f"http://{where}",
            INTERNAL_API_KEY="key",
        )
    assert (done.returncode, done.stdout) == (2, "")
    waiting, given_up = done.stderr.splitlines()
    assert waiting.startswith("class-management: waiting for ")
    assert where in waiting
    assert where in given_up
    assert "does not answer within 2.5 s" in given_up


def test_what_kubernetes_adds_is_no_unknown_setting() -> None:
    done = run(
        "migrate",
        SERVICE_HOST="10.0.0.1",
        PORT_5002_TCP_ADDR="10.0.0.1",
        DATABASE_URL=f"postgresql://nobody@{nowhere()}/none",
    )
    assert done.returncode == 2


def test_migrate_without_a_database_says_so_in_one_line() -> None:
    done = run("migrate", DATABASE_URL=f"postgresql://nobody@{nowhere()}/none")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("class-management: the database cannot be migrated")


def test_topics_without_kafka_say_so() -> None:
    address = nowhere()
    done = run("topics", "create", KAFKA_BOOTSTRAP_SERVERS=address)
    assert done.returncode == 2
    assert f"class-management: Kafka at {address}" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_worker_that_still_waits(number: signal.Signals) -> None:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": nowhere(),
        "USE_MOCK_REPOSITORY": "true",
        "LOG_FORMAT": "json",
        "PORT": str(free_port()),  # a service may run beside the tests
    }
    worker = subprocess.Popen(
        [COMMAND, "worker"], env=environ(settings), stderr=subprocess.PIPE, text=True
    )
    try:
        assert worker.stderr is not None
        while "waiting to start" not in worker.stderr.readline():
            assert worker.poll() is None
        worker.send_signal(number)
        assert worker.wait(SECONDS) == 128 + number
        assert "Traceback" not in worker.stderr.read()
    finally:
        worker.kill()
        worker.communicate()


def test_the_documentation_names_every_setting() -> None:
    page = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"`{name.upper()}`" not in page]
    assert not missing
