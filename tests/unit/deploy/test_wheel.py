"""The wheel: built, installed beside distributions of the same names, and run among namesakes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

from class_management.settings import PREFIX
from devstack.ports import LOOPBACK, free_port
from devstack.stack import REPOSITORY
from tests.unit.deploy import files

SECONDS: Final = 60
TROUBLE: Final = 2
#: Distributions that others may have installed; each has a module of its own name.
OTHERS: Final = (
    *("agents", "app", "cli", "devstack", "migrations", "rules", "settings", "store", "tables"),
    *("telemetry", "web"),
)
#: Files in the working directory: of our rooms, and of what we import.
NAMESAKES: Final = (
    *OTHERS,
    *("alembic", "asyncpg", "click", "faust", "mode", "orjson", "pathlib", "pydantic", "uvloop"),
)


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel in it, and a folder full of namesakes."""

    python: Path
    command: Path
    packages: Path
    folder: Path

    def start(self, *command: str | Path, **settings: str) -> "subprocess.Popen[str]":
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith((PREFIX, "PYTHON"))
        }
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environ | {PREFIX + name: value for name, value in settings.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str | Path, **settings: str) -> tuple[int, str, str]:
        process = self.start(*command, **settings)
        try:
            out, err = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        return process.returncode, out, err


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel by the backend that the lock names, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install it beside the others; its dependencies are those of this environment."""
    root = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "venv"], check=True)
    python = root / "venv" / "bin" / "python"
    (packages,) = (root / "venv" / "lib").glob("python*/site-packages")
    # A folder that is named in a .pth file has its own .pth files ignored: no way to the checkout.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    for name in OTHERS:
        (packages / f"{name}.py").write_text(f"raise RuntimeError('distribution {name} ran')\n")
        metadata = packages / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "RECORD").write_text(f"{name}.py,,\n")
    install: list[str | Path] = [
        *(Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--offline"),
        *("--no-cache", "--no-deps", "--compile-bytecode", "--python", python, wheel),
    ]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = root / "namesakes"
    folder.mkdir()
    for name in NAMESAKES:
        (folder / f"{name}.py").write_text(f"raise RuntimeError('namesake {name} ran')\n")
    return Installed(python, python.with_name("class-management"), packages, folder)


def way_in(installed: Installed, way: str) -> list[str | Path]:
    """Return how the program is called."""
    if way == "class-management":
        return [installed.command]
    return [installed.python, *way.split()[1:]]


each_way = pytest.mark.parametrize(
    "way",
    ["class-management", "python -P -m class_management", "python -m class_management"],
)


def names_below(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


# --- what is in it --------------------------------------------------------------------------------


def test_it_brings_one_name_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    version = files.project()["project"]["version"]
    assert tops == {"class_management", f"class_management_service-{version}.dist-info"}


def test_every_room_is_in_it_with_all_its_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    for room in files.wheel()["only-include"]:
        prefix = files.wheel()["sources"].get(room, room)
        missing = {f"{prefix}/{name}" for name in names_below(REPOSITORY / room)} - packed
        assert not missing, room
    migrations = "class_management/_rooms/migrations"
    assert f"{migrations}/script.py.mako" in packed
    assert any(name.startswith(f"{migrations}/versions/") for name in packed)


def test_others_keep_their_files(installed: Installed) -> None:
    for name in OTHERS:
        assert "distribution" in (installed.packages / f"{name}.py").read_text()


# --- what it imports ------------------------------------------------------------------------------


def test_the_traps_work(installed: Installed) -> None:
    # `python -m cli` is how processes were once started.
    code, _, err = installed.run(installed.python, "-m", "cli", "--help")
    assert (code, err.splitlines()[-1]) == (1, "RuntimeError: namesake cli ran")
    code, _, err = installed.run(installed.python, "-P", "-m", "cli", "--help")
    assert (code, err.splitlines()[-1]) == (1, "RuntimeError: distribution cli ran")


def test_the_checkout_is_out_of_reach(installed: Installed) -> None:
    show = "import class_management, sys; print(class_management.__file__, *sys.path, sep='\\n')"
    code, out, err = installed.run(installed.python, "-P", "-c", show)
    assert (code, err) == (0, "")
    found, *path = out.splitlines()
    assert found == str(installed.packages / "class_management" / "__init__.py")
    assert str(REPOSITORY) not in path


@each_way
def test_help_and_a_bad_setting(installed: Installed, way: str) -> None:
    command = way_in(installed, way)
    code, out, err = installed.run(*command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith("Usage: class-management")
    code, out, err = installed.run(*command, "worker", PORT="many")
    assert (code, out) == (TROUBLE, "")
    (line,) = err.splitlines()
    assert line.startswith(f"class-management: {PREFIX}PORT")


def test_the_document_is_made_from_the_wheel(installed: Installed) -> None:
    code, out, err = installed.run(*way_in(installed, "class-management"), "openapi")
    assert (code, err) == (0, "")
    assert json.loads(out)["info"]["description"]


def test_preparations_find_no_server(installed: Installed) -> None:
    nowhere = f"{LOOPBACK}:{free_port()}"
    settings = {
        "DATABASE_URL": f"postgresql://nobody@{nowhere}/none",
        "KAFKA_BOOTSTRAP_SERVERS": nowhere,
    }
    command = way_in(installed, "python -m class_management")
    migrate = installed.start(*command, "migrate", **settings)
    topics = installed.start(*command, "topics", "create", **settings)
    for process, said in (
        (migrate, "class-management: the database cannot be migrated: "),
        (topics, f"class-management: Kafka at {nowhere}: "),
    ):
        out, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, out) == (TROUBLE, ""), err
        (line,) = err.splitlines()
        assert line.startswith(said)


def test_the_migrations_are_read_from_the_wheel(installed: Installed) -> None:
    # What `migrate` does once it has a connection.
    show = """
import class_management
from alembic.config import Config
from alembic.script import ScriptDirectory
import migrations
config = Config()
config.set_main_option("script_location", str(migrations.__path__[0]))
print(ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD)
"""
    assert installed.run(installed.python, "-P", "-c", show)[:2] == (0, "True\n")


@pytest.fixture
def web(installed: Installed) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run two processes behind one port; PostgreSQL is away."""
    port = free_port()
    settings = {
        "ROLE": "web",
        "HOST": LOOPBACK,
        "PORT": str(port),
        "DATABASE_URL": f"postgresql://nobody@{LOOPBACK}:{free_port()}/none",
        "LOG_FORMAT": "json",
    }
    process = installed.start(installed.command, "worker", "--processes", "2", **settings)
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate()


def test_web_processes_start_answer_and_stop(web: tuple["subprocess.Popen[str]", int]) -> None:
    process, port = web
    supervisor = psutil.Process(process.pid)
    until(process, lambda: len(listening(supervisor, port)) == 2)
    assert status(f"http://{LOOPBACK}:{port}/livez") == 200
    children = supervisor.children(recursive=True)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert "web process ended by itself" not in err
    assert not any(child.is_running() for child in children)


def listening(supervisor: psutil.Process, port: int) -> list[psutil.Process]:
    """Return the processes that accept connections at a port."""
    return [child for child in supervisor.children(recursive=True) if listens(child, port)]


def listens(process: psutil.Process, port: int) -> bool:
    # A process that only looks something up may have ended since it was listed.
    with contextlib.suppress(psutil.NoSuchProcess):
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.net_connections("tcp")
        )
    return False


def until(process: "subprocess.Popen[str]", condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:  # noqa: S310  # our own
            code: int = response.status
    except urllib.error.HTTPError as error:
        return error.code
    return code
