"""The health report of a worker."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

OK: Final = "ok"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """A worker's health. `checks` and `dependencies` map a name to "ok" or to the fault.

    `degraded`: it works, but something waits for a person.
    """

    ok: bool
    checks: Mapping[str, str]
    dependencies: Mapping[str, str]
    degraded: bool = False

    @property
    def status(self) -> str:
        """The health in one word."""
        if not self.ok:
            return "unhealthy"
        return "degraded" if self.degraded else "healthy"

    def with_notice(self, name: str, notice: str) -> "HealthReport":
        """Return the report with one more check, which makes it no worse than degraded."""
        checks = {**self.checks, name: notice}
        return replace(self, checks=checks, degraded=self.degraded or notice != OK)
