"""Files inside installed wheels, found without importing their packages."""

import importlib.util
from pathlib import Path

from devstack.process import DevstackError


def file_in_wheel(package: str, *parts: str) -> str:
    """Return the path of a file in an installed package.

    Raises `DevstackError` if the package is not installed or has no such file, as when
    its wheel is for another kind of machine.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DevstackError(f"the package {package} is not installed; `make install` does it")
    path = Path(spec.origin).parent.joinpath(*parts)
    if not path.is_file():
        raise DevstackError(f"the package {package} lacks {Path(*parts)}")
    return str(path)
