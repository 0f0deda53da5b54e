"""What has to work while a fault lasts has worked."""

from collections.abc import Iterator

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index


def check(index: Index) -> Iterator[Finding]:
    """Check what faults have tried meanwhile."""
    for probe in index.history.probes:
        if probe.failure is not None:
            what = f"{probe.what} during {probe.fault}: {probe.failure}"
            yield Finding(Kind.BROKEN, what, probe.at)
