"""`class-management` as whoever operates the service calls it."""

import signal
import subprocess

import pytest

from class_management.settings import Settings
from devstack.stack import REPOSITORY
from devstack.worker import COMMAND
from tests.support.command_line import SECONDS, environ, nowhere, run


@pytest.mark.parametrize("command", [(), ("worker",), ("migrate",), ("topics", "create")])
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: class-management")


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
    done = run("worker", **{name: value})
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("class-management: ")
    assert said in line
    assert "secret" not in line


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
