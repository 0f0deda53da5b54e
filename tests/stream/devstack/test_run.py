import contextlib
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from devstack.ports import LOOPBACK, free_port
from devstack.process import bound
from devstack.run import EXIT_KILLED, WORKER_STOP_SECONDS
from devstack.stack import REPOSITORY, STOP_SECONDS

PREFIX = "CLASS_MANAGEMENT_SERVICE_"
STUB = Path(__file__).with_name("stub_service.py")
#: Longer than anything takes that works, also on a busy machine.
WAIT_SECONDS = 75.0


def _caught(status: str) -> int:
    """Return the mask of the signals that a process catches, from what the kernel says of it."""
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return int(mask, 16)


class Started:
    """A run of the devstack with the stub in place of the service."""

    def __init__(self, run_dir: Path, port: int, *, make: bool, stub: str) -> None:
        self.run_dir = run_dir
        self.stack_env = run_dir / "stack.env"
        self.output_path = run_dir / "output"
        run_dir.mkdir(exist_ok=True)
        service = shlex.join([sys.executable, str(STUB)])
        arguments = ["--run-dir", str(run_dir), "--port", str(port), "--service", service]
        arguments += ["--ready-seconds", "3" if stub == "unready" else str(WAIT_SECONDS)]
        command = [sys.executable, "-m", "devstack", "run", *arguments]
        if make:
            command = ["make", "run", f"ARGS={shlex.join(arguments)}"]
        environ = {**os.environ, "STUB": stub}
        environ.pop("MAKELEVEL", None)  # of a make over the tests, which is not its parent
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                bound(command),
                cwd=REPOSITORY,
                env=environ,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.output_path.read_text(encoding="utf-8")

    def wait_listens_to(self, number: signal.Signals) -> None:
        """Wait until a signal does not simply end it any more: Python itself is up."""
        deadline = time.monotonic() + WAIT_SECONDS
        status = Path(f"/proc/{self.process.pid}/status")
        while not _caught(status.read_text(encoding="ascii")) >> number - 1 & 1:
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def wait_ready(self) -> list[psutil.Process]:
        """Wait until it is ready; return its processes."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.stack_env.exists():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_says(self, text: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def wait_end(self) -> int:
        return self.process.wait(WAIT_SECONDS)

    def signal_supervisor(self, number: signal.Signals) -> None:
        for process in (
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(),
        ):
            if "devstack" in process.cmdline():
                process.send_signal(number)
                return
        raise AssertionError(self.output)


Start = Callable[..., Started]


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Have children hear SIGINT, though a shell that started us in the background had us ignore it.

    What a process ignores its children ignore; what it handles they take as the kernel does.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def start(tmp_path: Path, ctrl_c_is_heard: None) -> Iterator[Start]:  # noqa: ARG001  # for its effect
    """Let a test start runs in one folder; kill what a failed one has left of them."""
    runs: list[Started] = []
    port = free_port()

    def begin(*, make: bool = False, stub: str = "", port: int = port) -> Started:
        runs.append(Started(tmp_path / "run", port, make=make, stub=stub))
        return runs[-1]

    yield begin
    for started in runs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()


def still_run(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Name those that have not ended, though their new parent may not have noticed."""

    def runs(process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return [process for process in processes if runs(process)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_with_exit_code_0(start: Start, number: signal.Signals) -> None:
    started = start()
    processes = started.wait_ready()
    started.process.send_signal(number)
    assert started.wait_end() == 0, started.output
    assert still_run(processes) == []
    assert not started.stack_env.exists()


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [
        pytest.param(signal.SIGINT, True, id="ctrl-c"),
        # Make passes it on: the supervisor gets two in quick succession.
        pytest.param(signal.SIGTERM, True, id="sigterm to the group"),
        pytest.param(signal.SIGTERM, False, id="sigterm to make"),
        pytest.param(signal.SIGINT, False, id="sigint to make"),
        pytest.param(signal.SIGKILL, False, id="sigkill to make"),
    ],
)
def test_a_signal_to_make_stops_everything(
    start: Start, number: signal.Signals, *, whole_group: bool
) -> None:
    started = start(make=True)
    processes = started.wait_ready()
    (os.killpg if whole_group else os.kill)(started.process.pid, number)
    # Make ends by the signal, as its caller expects of it, after its child's own end.
    assert started.wait_end() == -number, started.output
    psutil.wait_procs(processes, timeout=WAIT_SECONDS)
    assert still_run(processes) == []
    assert not started.stack_env.exists()


def test_sigterm_to_make_s_child_stops_everything_with_exit_code_0(start: Start) -> None:
    started = start(make=True)
    processes = started.wait_ready()
    started.signal_supervisor(signal.SIGTERM)
    assert started.wait_end() == 0, started.output
    assert still_run(processes) == []


def test_nothing_outlives_a_killed_supervisor(start: Start) -> None:
    started = start()
    processes = started.wait_ready()
    assert len(processes) >= 4, processes
    started.process.kill()
    psutil.wait_procs(processes, timeout=WAIT_SECONDS)
    assert still_run(processes) == []


def test_it_starts_again_after_it_was_killed(start: Start) -> None:
    first = start()
    first.wait_ready()
    first.process.kill()
    first.wait_end()
    first.stack_env.unlink()
    second = start()
    second.wait_ready()
    second.process.terminate()
    assert second.wait_end() == 0, second.output


def test_a_second_ctrl_c_kills_a_worker_that_does_not_stop(start: Start) -> None:
    started = start(stub="deaf")
    processes = started.wait_ready()
    started.process.send_signal(signal.SIGINT)
    started.wait_says("stopping")
    started.process.send_signal(signal.SIGINT)
    assert started.wait_end() == EXIT_KILLED, started.output
    assert still_run(processes) == []


def test_a_worker_that_does_not_stop_is_killed(start: Start) -> None:
    started = start(stub="deaf")
    processes = started.wait_ready()
    started.process.terminate()
    assert started.wait_end() == 0, started.output
    assert still_run(processes) == []


def test_a_stop_takes_ten_seconds_at_most() -> None:
    assert WORKER_STOP_SECONDS + STOP_SECONDS < 10


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.6])
def test_a_stop_while_it_starts_leaves_nothing(start: Start, seconds: float) -> None:
    started = start()
    started.wait_listens_to(signal.SIGTERM)
    supervisor = psutil.Process(started.process.pid)
    time.sleep(seconds)
    processes = supervisor.children(recursive=True)
    started.process.terminate()
    assert started.wait_end() == 0, started.output
    assert still_run(processes) == []


def test_a_worker_that_ends_by_itself_ends_the_run_with_exit_code_1(start: Start) -> None:
    started = start()
    processes = started.wait_ready()
    (worker,) = (process for process in processes if str(STUB) in process.cmdline())
    worker.send_signal(signal.SIGUSR1)
    assert started.wait_end() == 1
    assert "worker ended by itself, exit code 7" in started.output
    assert still_run(processes) == []


@pytest.mark.parametrize(
    ("stub", "words"),
    [
        ("unready", 'GET /readyz said last: 503 {"status": "stub"}'),
        ("unmigrated", "no such relation"),
    ],
)
def test_what_does_not_start_is_told(start: Start, stub: str, words: str) -> None:
    started = start(stub=stub)
    assert started.wait_end() == 1
    assert words in started.output


def settings_of(started: Started) -> dict[str, str]:
    """Return what a shell has after it took the file in."""
    script = 'set -a; . "$0"; exec env -0'
    done = subprocess.run(
        ["/bin/sh", "-c", script, str(started.stack_env)],
        env={},
        capture_output=True,
        text=True,
        check=True,
        timeout=WAIT_SECONDS,
    )
    values = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
    return {n.removeprefix(PREFIX): v for n, v in values.items() if n.startswith(PREFIX)}


def test_stack_env_gives_what_a_second_program_needs_to_its_owner_alone(start: Start) -> None:
    started = start()
    started.wait_ready()
    lines = started.stack_env.read_text(encoding="utf-8").splitlines()
    assert all(line.startswith(PREFIX) for line in lines)
    values = settings_of(started)
    assert values.keys() >= {
        "DATABASE_URL",
        "KAFKA_BOOTSTRAP_SERVERS",
        "REDIS_URL",
        "HOST",
        "PORT",
        "INTERNAL_API_KEY",
        "DATA_DIR",
    }
    assert values["KAFKA_EMBEDDED"] == "true"
    assert all(values.values())
    assert stat.S_IMODE(started.stack_env.stat().st_mode) == 0o600
    started.process.terminate()
    started.wait_end()


def test_stack_env_has_what_was_given_but_what_is_one_worker_s_own(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {
        "REDIS_URL": "redis://127.0.0.1:1/0?a=$HOME&b='x y'",
        "KAFKA_CONSUMER_GROUP": "another-group",
        "TOPIC_PARTITIONS": "4",
    }
    own = {
        "ADVERTISED_URL": "http://127.0.0.1:1",
        "KAFKA_GROUP_INSTANCE_ID": "first",
        "DATA_DIR": str(tmp_path / "first"),
    }
    for name, value in (given | own).items():
        monkeypatch.setenv(PREFIX + name, value)
    started = start()
    started.wait_ready()
    values = settings_of(started)
    assert {name: values[name] for name in given} == given
    assert values.get("DATA_DIR") not in {None, own["DATA_DIR"]}
    assert values.keys() & own.keys() == {"DATA_DIR"}
    started.process.terminate()
    started.wait_end()


def test_a_port_in_use_is_told_before_anything_starts(start: Start) -> None:
    port = free_port()
    with socket.create_server((LOOPBACK, port)):
        started = start(port=port)
        assert started.wait_end() == 1
    assert started.output.count("\n") == 1
    assert f"port {port} on {LOOPBACK} is in use" in started.output


def test_a_second_run_in_the_same_folder_is_refused(start: Start) -> None:
    first = start()
    first.wait_ready()
    second = start(port=free_port())
    assert second.wait_end() == 1
    assert f"process {first.process.pid} runs the service" in second.output
    assert first.process.poll() is None
    first.process.terminate()
    assert first.wait_end() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--run-dir", "{tmp}/file"), "File exists: '{tmp}/file'"),
        (("--run-dir", "{tmp}/file/below"), "Not a directory: '{tmp}/file/below'"),
        (("--run-dir", "/sys/run"), "'/sys/run'"),
        (("--port", "99999"), f"({PREFIX}PORT) '99999' is no port"),
        (("--host", "192.0.2.1"), "on 192.0.2.1"),
        (("--host", "no-such-host.invalid"), "on no-such-host.invalid"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").touch()
    given = [argument.format(tmp=tmp_path) for argument in arguments]
    rest = [] if "--run-dir" in given else ["--run-dir", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-m", "devstack", "run", *given, *rest],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_SECONDS,
    )
    assert done.returncode in {1, 2}
    (line,) = (done.stdout + done.stderr).splitlines()
    assert line.startswith("devstack: ")
    assert said.format(tmp=tmp_path) in line
