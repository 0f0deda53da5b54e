"""The examples of the pages, each run as it stands beside a real `make run`."""

import asyncio
import http.client
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import IO, Final
from uuid import uuid4

import orjson
import pytest

from agents.kafka.partitioner import partition_for
from devstack.http_client import ask
from devstack.ports import free_port
from devstack.process import bound
from devstack.rig.kafka import PARTITIONS
from devstack.rig.kafka_clients import kafka_producer
from devstack.rig.suggestions import TOPIC, Suggested, suggest
from devstack.stack import PREFIX, REPOSITORY, clean_environ
from tests.support.examples import RUNS_ON, STARTS, Example, examples
from tests.support.programs import program

START_SECONDS: Final = 120.0
EXAMPLE_SECONDS: Final = 90.0
STOP_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.1
TEACHER: Final = "teacher-1"
#: A key whose messages, and their dead letters, lie where the pages have one: suggestions/2/0.
LETTER_KEY: Final = next(
    key for key in (b"%d" % n for n in count()) if partition_for(key, range(PARTITIONS)) == 2
)

#: The batch of the pages; another one stands for it here.
BATCH_ID: Final = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

WHAT_TO_DO: Final = """
Examples are run as they stand by tests/stream/test_examples.py, beside `make run`, in a folder
that has its `.run`, with the files and placeholders of `Beside.prepare`. Mend the example; or
prepare there what it needs; or say in tests/support/examples.py why it cannot be run."""

EXAMPLES: Final = examples()
BESIDE: Final = [pytest.param(e, id=e.name) for e in EXAMPLES if e.is_run_beside]
ENDLESS: Final = [pytest.param(e, id=e.name) for e in EXAMPLES if e.begins(*RUNS_ON)]
FIRST, WITH_A_FAST_CLOCK = (next(e for e in EXAMPLES if e.text.startswith(way)) for way in STARTS)
DEMO: Final = next(e for e in EXAMPLES if e.text.startswith("make demo"))

pytestmark = pytest.mark.timeout(400)


class Beside:
    """A `make run`, as an example starts it, in a folder of its own; and what is run beside it."""

    def __init__(self, folder: Path, start: Example) -> None:
        """Start it. What is called `.run` in a clone, and in the examples, is in `folder`."""
        self._folder = folder
        self._run_dir = folder / ".run"
        self._run_dir.mkdir()
        (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
        self._ports = {"5002": str(free_port()), "5003": str(free_port())}
        self._words = dict(self._ports)
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self._make = self._begin(start, output)

    def wait_ready(self) -> None:
        """Wait until it says that it is ready."""
        self._until((self._run_dir / "stack.env").exists, self._make)

    def prepare(self) -> None:
        """Provide what the examples speak of."""
        class_id, late_class_id = str(uuid4()), str(uuid4())
        # A placeholder of the pages, and what it stands for here.
        self._words['"class_id": "…"'] = f'"class_id": "{class_id}"'
        line = {"command": "class.update", "class_id": class_id, "name": "9C"}
        (self._folder / "commands.jsonl").write_bytes(orjson.dumps(line))
        self._create(class_id)
        asyncio.run(self._send_early(late_class_id))
        self._until(lambda: b"suggestions/2/0" in self._dead_letters(), self._make)
        self._create(late_class_id)
        self._words[BATCH_ID] = self._suggest(class_id)

    def run(self, example: Example) -> "subprocess.CompletedProcess[bytes]":
        """Run an example to its end."""
        return subprocess.run(
            bound(self._command(example)),
            cwd=self._cwd(example),
            env=self._environ(example),
            capture_output=True,
            check=False,
            timeout=EXAMPLE_SECONDS,
        )

    def answers_until_ctrl_c(self, example: Example) -> str:
        """Run an example until it is ready on the port that it names, and then Ctrl-C.

        Return what it said.
        """
        (port,) = (new for old, new in self._ports.items() if old in example.text)
        path = self._folder / "endless"
        with path.open("wb") as output:
            process = self._begin(example, output)
        try:
            self._until(lambda: _is_ready(int(port)), process)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(STOP_SECONDS)
            return path.read_text(encoding="utf-8")
        finally:
            _kill(process)

    def stop(self) -> None:
        """Press Ctrl-C, and end what is left."""
        try:
            os.killpg(self._make.pid, signal.SIGINT)
            self._make.wait(STOP_SECONDS)
        finally:
            _kill(self._make)

    def _begin(self, example: Example, output: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            bound(self._command(example)),
            cwd=self._cwd(example),
            env=self._environ(example),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def _command(self, example: Example) -> list[str]:
        text = example.text
        for old, new in self._words.items():
            text = text.replace(old, new)
        return ["/bin/sh", "-e", "-c", text]

    def _cwd(self, example: Example) -> Path:
        return REPOSITORY if _is_make(example) else self._folder

    def _environ(self, example: Example) -> dict[str, str]:
        """Return a person's environment; with the settings, unless the example takes them in."""
        environ = clean_environ() | {"PATH": f"{self._folder}/.venv/bin:{os.environ['PATH']}"}
        if "demo" in example.text:
            return environ | {"ARGS": shlex.join(["--stack-env", f"{self._run_dir}/stack.env"])}
        if example.begins(*STARTS):
            arguments = ["--run-dir", str(self._run_dir), "--port", self._ports["5002"]]
            retries = {PREFIX + "SUGGESTION_RETRY_SECONDS": "0"}
            return environ | {"ARGS": shlex.join(arguments)} | retries
        return environ if "stack.env" in example.text else environ | self._settings()

    def _settings(self) -> dict[str, str]:
        lines = (self._run_dir / "stack.env").read_text(encoding="utf-8").splitlines()
        return {name: "".join(shlex.split(v)) for name, _, v in (x.partition("=") for x in lines)}

    def _create(self, class_id: str) -> None:
        data = {"class_id": class_id, "name": "9A", "course_codes": ["SV1"]}
        words = ["class-management", "send", "class.create", "--user", TEACHER, "-d"]
        done = self.run(Example("", shlex.join([*words, orjson.dumps(data).decode()])))
        assert done.returncode == 0, done.stderr

    async def _send_early(self, class_id: str) -> None:
        """Send suggestions for a class that is not there yet, which makes a dead letter."""
        await self._send(suggest(class_id, []), LETTER_KEY)

    def _suggest(self, class_id: str) -> str:
        """Have a batch; return its id."""
        batch = suggest(class_id, [])
        asyncio.run(self._send(batch, batch.batch_id.encode()))
        show = Example("", f"class-management batch show --no-events {batch.batch_id}")
        self._until(lambda: self.run(show).returncode == 0, self._make)
        return batch.batch_id

    async def _send(self, suggested: Suggested, key: bytes) -> None:
        servers = self._settings()[PREFIX + "KAFKA_BOOTSTRAP_SERVERS"]
        async with kafka_producer(servers) as producer:
            await producer.send_and_wait(TOPIC, suggested.value, key=key)

    def _dead_letters(self) -> bytes:
        return self.run(Example("", "class-management dlt list")).stdout

    def _until(self, what: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while not what():
            assert process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(POLL_SECONDS)

    @property
    def output(self) -> str:
        """What `make run` has said."""
        return self._output.read_text(encoding="utf-8", errors="replace")


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """Have the first example of all running, and ready for the others."""
    running = Beside(tmp_path_factory.mktemp("clone"), FIRST)
    try:
        running.wait_ready()
        running.prepare()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("example", BESIDE)
def test_an_example_runs(beside: Beside, example: Example) -> None:
    if example.begins("curl"):
        program("curl")
    done = beside.run(example)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, f"{example.name}\n{example.text}\n\n{said}\n{WHAT_TO_DO}"
    assert "Traceback" not in said
    assert '"error_code"' not in said, f"{example.name}: {said}\n{WHAT_TO_DO}"


@pytest.mark.parametrize("example", ENDLESS)
def test_an_example_runs_until_ctrl_c(beside: Beside, example: Example) -> None:
    assert "Traceback" not in beside.answers_until_ctrl_c(example)


def test_the_clock_decides_before_the_eyes_of_who_runs_the_demo(tmp_path: Path) -> None:
    running = Beside(tmp_path, WITH_A_FAST_CLOCK)
    try:
        running.wait_ready()
        done = running.run(DEMO)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "given to the UNKNOWN student" in done.stdout.decode()
    finally:
        running.stop()


def _is_make(example: Example) -> bool:
    return re.match(r"(?:\w+=\S+ )*make\b", example.text) is not None


def _is_ready(port: int) -> bool:
    try:
        return ask(port, "/readyz").is_ok
    except (OSError, http.client.HTTPException):
        return False


def _kill(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()
