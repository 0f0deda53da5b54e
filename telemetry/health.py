"""The health report of a worker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

OK: Final = "ok"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """A worker's health. `checks` and `dependencies` map a name to "ok" or to the fault."""

    ok: bool
    checks: Mapping[str, str]
    dependencies: Mapping[str, str]
