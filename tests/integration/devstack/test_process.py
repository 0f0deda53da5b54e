import sys
import threading
import time
from pathlib import Path

import pytest

from devstack.process import Child, DevstackError

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
SLEEP = "import time; time.sleep(60)"


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def wait_for_text(path: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in path.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_stop_ends_a_child_with_sigterm(tmp_path: Path) -> None:
    child = Child("sleeper", log_path=tmp_path / "log")
    child.spawn(python(SLEEP))
    child.stop()
    assert child.exit_code == -15


def test_stop_kills_what_does_not_heed_sigterm_by_the_deadline(tmp_path: Path) -> None:
    child = Child("deaf", log_path=tmp_path / "log")
    child.spawn(python(DEAF))
    wait_for_text(tmp_path / "log", "deaf")
    child.stop(timeout=0.3)
    assert child.exit_code == -9


def test_stop_ends_a_paused_child_in_good_order(tmp_path: Path) -> None:
    child = Child("sleeper", log_path=tmp_path / "log")
    child.spawn(python(SLEEP))
    child.pause()
    child.stop(timeout=5)
    assert child.exit_code == -15


def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    child = Child("sleeper", log_path=tmp_path / "log")
    thread = threading.Thread(target=child.spawn, args=[python(SLEEP)])
    thread.start()
    thread.join()
    assert not child.wait(0.3)
    child.kill()


def test_a_command_that_fails_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child("failing", log_path=tmp_path / "log")
    with pytest.raises(DevstackError, match=r"exit code 3.*\n.*the reason"):
        child.run(python("import sys; print('the reason'); sys.exit(3)"), timeout=10)


def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    child = Child("slow", log_path=tmp_path / "log")
    with pytest.raises(DevstackError, match=r"more than 0\.2 s"):
        child.run(python(SLEEP), timeout=0.2)
    assert child.pid is None


def test_nothing_is_spawned_after_a_stop(tmp_path: Path) -> None:
    child = Child("late", log_path=tmp_path / "log")
    child.stop()
    with pytest.raises(DevstackError, match="stopped"):
        child.spawn(python(SLEEP))
