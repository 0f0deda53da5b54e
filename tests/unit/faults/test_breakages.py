"""What breaks the service on purpose breaks something that is there."""

import subprocess
import sys
from pathlib import Path

from faults.prove_breakages import BREAKAGES

FOLDER = Path("faults/breakages")

#: Applies each as a worker would; what it sets has to be there, and to be another afterwards.
PROGRAM = """
import runpy, sys

def replace(owner, name, value):
    assert getattr(owner, name) != value, f"{name} is not broken"
    setattr(owner, name, value)

for path in sys.argv[1:]:
    runpy.run_path(path, init_globals={"setattr": replace})
"""


def test_each_breaks_what_the_service_uses() -> None:
    paths = [str(FOLDER / f"{name}.py") for name in BREAKAGES]
    command = [sys.executable, "-c", PROGRAM, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_is_proved() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"sitecustomize"}
    assert files == set(BREAKAGES)
