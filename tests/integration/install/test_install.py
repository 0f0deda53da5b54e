"""`make install` and `make lock` go by pip's own configuration: from a server of our own."""

import http.server
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from devstack.ports import LOOPBACK, free_port
from devstack.stack import REPOSITORY, clean_environ
from tests.support.programs import program
from tests.support.shared import copied

SECONDS: Final = 240
UV: Final = str(Path(sys.executable).with_name("uv"))
TAGS: Final = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
PROJECT: Final = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "clone"
version = "1.0"
dependencies = ["tiny"]
[project.optional-dependencies]
dev = []
"""
#: What builds the clone, since nothing else is installed.
BACKEND: Final = """
import shutil
def build_editable(folder, config_settings=None, metadata_directory=None):
    shutil.copy("clone-1.0-py3-none-any.whl", folder)
    return "clone-1.0-py3-none-any.whl"
"""

pytestmark = pytest.mark.timeout(SECONDS + 60)


class Index(http.server.BaseHTTPRequestHandler):
    """An index of a few packages; as a proxy it is every index."""

    def __init__(self, wheels: Mapping[str, bytes], *args: object) -> None:
        self._wheels = wheels
        super().__init__(*args)  # type: ignore[arg-type]  # the server's own arguments

    def do_GET(self) -> None:
        for name, wheel in self._wheels.items():
            file = f"{name}-1.0-py3-none-any.whl"
            if self.path.endswith(f"/{file}"):
                return self._answer(wheel, "application/octet-stream")
            if self.path.endswith(f"/simple/{name}/"):
                link = f'<a href="/{file}#sha256={sha256(wheel).hexdigest()}">{file}</a>'
                return self._answer(link.encode(), "text/html")
        return self.send_error(404)

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Keep quiet."""


def write_wheel(folder: Path, name: str) -> Path:
    """Write the smallest wheel, with one module."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", TAGS)
        file.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Return what the clone needs, and what has a lock of its own."""
    folder = tmp_path_factory.mktemp("wheels")
    return {name: write_wheel(folder, name).read_bytes() for name in ("tiny", "uv")}


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what `make install` would make in each test: that takes the longest."""
    folder = tmp_path_factory.mktemp("venv") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=SECONDS)
    return folder


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate that nobody knows, in one file with its key."""
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    command = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    # uv takes no authority for a server.
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    done = subprocess.run(
        [*command, "-keyout", "-", "-out", "-"], capture_output=True, check=True, timeout=60
    )
    path.write_bytes(done.stdout)
    return path


@dataclass(frozen=True)
class Clone:
    """A folder with what `make install` needs, and a person's environment."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def make(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["make", "-C", str(self.folder), *arguments],  # noqa: S607  # the one on the path
            env=dict(self.environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def has(self, module: str) -> bool:
        python = str(self.folder / ".venv" / "bin" / "python")
        command = [python, "-c", f"import {module}"]
        return subprocess.run(command, check=False, timeout=60).returncode == 0


@pytest.fixture
def clone(tmp_path: Path, wheels: Mapping[str, bytes]) -> Clone:
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(REPOSITORY / "Makefile", folder)
    shutil.copytree(REPOSITORY / "devstack", folder / "devstack")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    write_wheel(folder, "clone")
    digest = sha256(wheels["tiny"]).hexdigest()
    (folder / "requirements-dev.lock").write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    names = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_", "HTTP_", "HTTPS_", "ALL_", "NO_")
    environ = {n: v for n, v in clean_environ().items() if not n.upper().startswith(names)}
    return Clone(folder, environ | {"HOME": str(tmp_path), "PIP_NO_CACHE_DIR": "1"})


@pytest.fixture
def index(
    wheels: Mapping[str, bytes], certificate: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """Serve the index, by TLS unless a test wants it plain."""
    server = http.server.ThreadingHTTPServer((LOOPBACK, free_port()), partial(Index, wheels))
    tls = getattr(request, "param", "https") == "https"
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with server:
        yield f"http{'s' if tls else ''}://{LOOPBACK}:{server.server_address[1]}"
        server.shutdown()
    thread.join()


def configured(clone: Clone, **options: str) -> Clone:
    """Return the clone of a person who has these options in pip.conf."""
    file = clone.folder.parent / "pip.conf"
    lines = [f"{name.replace('_', '-')} = {value}\n" for name, value in options.items()]
    file.write_text("".join(["[global]\n", *lines]))
    return Clone(clone.folder, {**clone.environ, "PIP_CONFIG_FILE": str(file)})


def installed_and_locked(clone: Clone, venv: Path) -> str:
    """Install, lock, and return what was said meanwhile."""
    copied(venv, clone.folder / ".venv")
    done = clone.make("install")
    assert done.returncode == 0, done.stderr
    assert clone.has("tiny")
    locked = clone.make("lock", f"UV={UV}")
    assert locked.returncode == 0, locked.stderr
    assert "tiny==1.0" in (clone.folder / "requirements.lock").read_text()
    return done.stdout


def test_a_mirror_and_its_certificate_in_pip_s_own_file(
    clone: Clone, index: str, certificate: Path, venv: Path
) -> None:
    owner = configured(clone, index_url=f"{index}/simple", cert=str(certificate))
    said = installed_and_locked(owner, venv)
    assert "Downloading" in said, "progress is shown"


def test_a_mirror_and_its_certificate_in_variables(
    clone: Clone, index: str, certificate: Path, venv: Path
) -> None:
    own = {"PIP_INDEX_URL": f"{index}/simple", "PIP_CERT": str(certificate)}
    installed_and_locked(Clone(clone.folder, {**clone.environ, **own}), venv)


@pytest.mark.parametrize("index", ["http"], indirect=True)
def test_a_proxy_in_front_of_a_host_that_is_trusted(clone: Clone, index: str, venv: Path) -> None:
    name = "index.invalid"
    owner = configured(clone, index_url=f"http://{name}/simple", proxy=index, trusted_host=name)
    installed_and_locked(owner, venv)


def test_a_certificate_that_nobody_has_named_is_refused(
    clone: Clone, index: str, venv: Path
) -> None:
    copied(venv, clone.folder / ".venv")
    done = configured(clone, index_url=f"{index}/simple", retries="0").make("install")
    assert done.returncode != 0
    assert "certificate" in f"{done.stdout}{done.stderr}".lower()


def test_what_has_another_hash_is_not_installed(
    clone: Clone, index: str, certificate: Path, venv: Path
) -> None:
    lock = clone.folder / "requirements-dev.lock"
    copied(venv, clone.folder / ".venv")
    lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    done = configured(clone, index_url=f"{index}/simple", cert=str(certificate)).make("install")
    assert done.returncode != 0
    assert "HASHES" in done.stderr
    assert not clone.has("tiny")


@pytest.mark.parametrize("named", ["/nowhere/python", "/bin/false", "/bin/true-but-missing"])
def test_an_interpreter_that_is_none_is_an_error(clone: Clone, named: str) -> None:
    done = clone.make(f"BASE_PYTHON={named}", "install")
    assert done.returncode != 0
    assert done.stderr.startswith(f"install: BASE_PYTHON={named} is no Python 3.11 to 3.14")
    assert not (clone.folder / ".venv").exists()
    # Nor where another one was taken before.
    python = clone.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (clone.folder / ".venv" / ".installed").touch()
    again = clone.make(f"BASE_PYTHON={named}", "install")
    assert again.returncode != 0
    assert f"BASE_PYTHON={named} is no Python" in again.stderr


def test_a_venv_of_another_interpreter_is_an_error(clone: Clone) -> None:
    other = clone.folder / "python-of-another-version"
    other.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.12.99\nexit 0\n')
    other.chmod(0o755)
    python = clone.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    done = clone.make(f"BASE_PYTHON={other}", "install")
    assert done.returncode != 0
    assert "BASE_PYTHON is Python 3.12.99; make clean first" in done.stderr
