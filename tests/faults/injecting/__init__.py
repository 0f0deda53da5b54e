"""The faults, by name: each is played to its end, after which everything runs again."""

from collections.abc import Mapping

from tests.faults.injecting import workers
from tests.faults.injecting.scene import Fault, Scene

__all__ = ["FAULTS", "SHORT", "Fault", "Scene"]

FAULTS: Mapping[str, Fault] = {**workers.FAULTS}
"""All that there are."""

SHORT = ("worker_kill",)
"""Those of the short form."""
