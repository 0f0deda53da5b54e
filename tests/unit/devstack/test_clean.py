"""`make clean`, in a folder of its own."""

import shutil
import subprocess
from pathlib import Path

import pytest

from devstack.run import alone_in
from devstack.stack import REPOSITORY


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / ".run" / "postgres").mkdir(parents=True)
    return tmp_path


def clean(clone: Path) -> "subprocess.CompletedProcess[str]":
    command = ["make", "-C", str(clone), "clean"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_refuses_while_a_run_is_alive_and_removes_what_a_dead_one_has_left(clone: Path) -> None:
    with alone_in(clone / ".run"):
        pid = (clone / ".run" / "lock").read_text(encoding="ascii")
        done = clean(clone)
        assert done.returncode != 0
        assert f"clean: process {pid} runs the service" in done.stderr
        assert (clone / ".run" / "postgres").exists()
    assert (clone / ".run" / "lock").read_text(encoding="ascii") == pid
    done = clean(clone)
    assert done.returncode == 0, done.stderr
    assert not (clone / ".run").exists()


def test_where_nothing_ever_ran_there_is_nothing_to_refuse(clone: Path) -> None:
    assert clean(clone).returncode == 0
    assert not (clone / ".run").exists()
