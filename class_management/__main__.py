"""The program: `class-management`, or `python -P -m class_management`."""

import os
import sys

from class_management import INSTALLED


def main() -> None:
    """Run the command line."""
    from class_management.cli.main import main as run  # noqa: PLC0415  # after the path is corrected

    run(prog_name="class-management")


def _leave_working_directory() -> None:
    """Remove the working directory from the path, where `-m` without `-P` puts it."""
    here = os.path.realpath(".")
    for index, folder in enumerate(sys.path):
        if os.path.realpath(folder) == here:
            del sys.path[index]
            break


if __name__ == "__main__":
    # A checkout that is not installed has its rooms in the working directory.
    if INSTALLED and not sys.flags.safe_path:
        _leave_working_directory()
    main()
