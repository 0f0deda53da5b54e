"""`class-management worker`, until the service itself runs."""

import gc

import pytest
from click.testing import CliRunner

from class_management.cli import worker as command
from class_management.processes import WebProcesses
from class_management.settings import PREFIX
from devstack.ports import LOOPBACK, free_port


def test_who_runs_several_processes_looks_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WebProcesses, "run", lambda _self: 0 if gc.isenabled() else 1)
    monkeypatch.setattr(command, "setup_logs", lambda _settings: None)
    values = {"ROLE": "web", "HOST": LOOPBACK, "PORT": str(free_port())}
    environ = {PREFIX + name: value for name, value in values.items()}
    done = CliRunner().invoke(command.worker, ["--processes", "2"], env=environ)
    assert done.exit_code == 0, done.output
