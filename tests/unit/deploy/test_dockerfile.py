"""The image: made of what the service needs and nothing else, by locks, for a user without rights.

Built and run it has been by hand; here it is kept from falling behind the repository.
"""

import json
import re
import shlex
from typing import Final

from click.testing import CliRunner

from class_management.cli.main import main
from class_management.settings import PREFIX, Settings
from devstack.stack import REPOSITORY
from tests.unit.deploy import files
from web.views.health import LIVE

#: Beside the code: what installs it.
INSTALLATION: Final = {
    "README.md",
    "pyproject.toml",
    "requirements-dev.lock",
    "requirements-uv.lock",
    "requirements.lock",
}


def test_every_stage_begins_with_one_slim_python_that_the_project_allows() -> None:
    images = {arguments.split(" AS ")[0] for arguments in files.arguments_of("FROM")}
    assert len(images) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", images.pop())


def test_everything_that_is_copied_exists() -> None:
    assert [name for name in files.copied() if not (REPOSITORY / name).exists()] == []


def test_the_code_in_the_image_is_the_project_without_what_serves_development() -> None:
    rooms = set(files.wheel()["only-include"])
    assert not rooms & files.DEVELOPMENT
    assert sorted(files.copied()) == sorted(rooms | INSTALLATION)


def test_docker_is_sent_what_is_copied_and_nothing_else() -> None:
    text = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8")
    patterns = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert patterns[0] == "*"
    assert sorted(p[1:] for p in patterns if p.startswith("!")) == sorted(files.copied())
    assert [p for p in patterns[1:] if not p.startswith("!")] == ["**/__pycache__"]


def test_everything_is_installed_by_hashes() -> None:
    runs = " && ".join(files.arguments_of("RUN")).split(" && ")
    installs = [run for run in runs if re.search(r"pip (install|sync)", run)]
    assert len(installs) == 3
    for install in installs:
        of_locks = "--require-hashes" in install and "--only-binary :all:" in install
        of_this = "--no-deps" in install and "--build-constraints requirements-dev.lock" in install
        assert of_locks or of_this, install


def test_it_runs_as_a_numbered_user_who_is_not_root_and_owns_only_the_tables() -> None:
    instructions = files.dockerfile()
    users = files.arguments_of("USER")
    assert len(users) == 1
    uid, gid = users[0].split(":")
    assert int(uid) > 0
    assert int(gid) > 0
    names = [name for name, _ in instructions]
    assert names.index("USER") > max(at for at, name in enumerate(names) if name in {"RUN", "COPY"})
    folder = files.image_environment()[PREFIX + "DATA_DIR"]
    assert json.loads(files.arguments_of("VOLUME")[0]) == [folder]
    owned = re.search(
        r"install --directory --owner (\d+) --group (\d+) --mode 0750 (\S+)",
        re.sub(r"\s+", " ", files.arguments_of("RUN")[-1]),
    )
    assert owned is not None
    assert owned.groups() == (uid, gid, folder)


def test_the_settings_of_the_image_exist() -> None:
    given = [name for name in files.image_environment() if name.startswith(PREFIX)]
    assert {name.removeprefix(PREFIX).lower() for name in given} <= set(Settings.model_fields)


def test_it_starts_the_worker_by_the_projects_own_command() -> None:
    entrypoint: list[str] = json.loads(files.arguments_of("ENTRYPOINT")[0])
    command: list[str] = json.loads(files.arguments_of("CMD")[0])
    assert files.project()["project"]["scripts"] == {
        entrypoint[0]: "class_management.__main__:main"
    }
    assert entrypoint[1:] == []
    assert command == ["worker"]
    assert CliRunner().invoke(main, [*command, "--help"]).exit_code == 0


def test_health_is_asked_where_the_service_listens() -> None:
    port = str(Settings.model_fields["port"].default)
    assert files.arguments_of("EXPOSE") == [port]
    options, command = files.arguments_of("HEALTHCHECK")[0].split("CMD ", 1)
    assert "--start-period" in options
    program, flag, script = json.loads(command)
    assert (program, flag) == ("python", "-c")
    compile(script, "HEALTHCHECK", "exec")
    assert f"'{LIVE}'" in script
    assert f"get('{PREFIX}PORT') or {port}" in script


def test_no_package_registry_and_no_secret_is_named() -> None:
    text = shlex.join(arguments for _, arguments in files.dockerfile())
    assert "://" not in text
    assert not re.search(r"(PASSWORD|TOKEN|API_KEY|SECRET)", text)
