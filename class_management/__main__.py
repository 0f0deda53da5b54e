"""The program: `class-management`, or `python -P -m class_management`."""

import sys
from pathlib import Path


def main() -> None:
    """Run the command line."""
    from class_management.cli.main import main as run  # noqa: PLC0415  # after the path is mended

    run(prog_name="class-management")


def _leave_working_directory() -> None:
    """Import nothing from where somebody happens to stand: `-m` without `-P` puts that first."""
    if not sys.flags.safe_path and Path(sys.path[0] or ".").resolve() == Path.cwd():
        del sys.path[0]


if __name__ == "__main__":
    _leave_working_directory()
    main()
