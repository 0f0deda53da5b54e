"""Programs that a few tests need, and that `make install` cannot provide."""

import os
import shutil

import pytest

#: Where Debian puts servers, which is not on everybody's path.
_FOLDERS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])


def program(name: str) -> str:
    """Return the path of a program of Debian's package of that name; without it, skip the test.

    `.ci/run` names in INSIST_ON what it has installed: there it fails.
    """
    if path := shutil.which(name, path=_FOLDERS):
        return path
    reason = f"no {name} here: apt-get install {name}"
    if name in os.environ.get("INSIST_ON", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)
