"""The workers of the tests of streams, which are forked: what they have of any other process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from devstack.ports import free_port
from devstack.process import state_and_parent
from devstack.stack import clean_environ, prefixed
from tests.support.forked import ForkedWorker

#: Starts a worker that finds no servers, and says its number.
_TESTS = """
import sys
from pathlib import Path
from tests.integration.devstack.test_forked import waiting
if __name__ == "__main__":
    worker = waiting(Path(sys.argv[1]))
    worker.begin()
    print(worker.pid, flush=True)
    worker.wait(60)
"""


def waiting(folder: Path, *arguments: str) -> ForkedWorker:
    """Return a worker that waits for its servers."""
    servers = {
        "DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/nothing",
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}",
        "DATA_DIR": str(folder / "data"),
    }
    port = free_port()
    environ = clean_environ() | prefixed({**servers, "HOST": "127.0.0.1", "PORT": str(port)})
    return ForkedWorker(environ, folder / "log", port, arguments)


def test_its_output_and_its_exit_code_are_those_of_the_command(tmp_path: Path) -> None:
    worker = waiting(tmp_path, "--nonsense")
    for _ in range(2):
        worker.begin()
        assert worker.wait(30)
        assert worker.exit_code == 2
    assert worker.log.count("No such option: --nonsense") == 2


def test_it_takes_signals(tmp_path: Path) -> None:
    worker = waiting(tmp_path)
    worker.begin()
    assert not worker.wait(0.5)
    worker.pause()
    assert worker.pid is not None
    assert state_and_parent(Path(f"/proc/{worker.pid}"))[0] == "T"
    worker.kill()
    assert worker.exit_code == -signal.SIGKILL


def test_it_ends_with_the_tests_however_these_end(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(_TESTS)
    command = [sys.executable, str(script), str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as tests:
        assert tests.stdout is not None
        worker = Path(f"/proc/{int(tests.stdout.readline())}")
        assert state_and_parent(worker)[0] not in "XZ"
        tests.kill()
    deadline = time.monotonic() + 30
    while state_and_parent(worker)[0] not in "XZ":
        assert time.monotonic() < deadline
        time.sleep(0.05)
