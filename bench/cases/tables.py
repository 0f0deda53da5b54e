"""The table of pending associations at several sizes: its recovery time and its memory."""

import http.client
import shutil
import time
from pathlib import Path
from typing import Any, Final

from bench import changelog
from bench.changelog import ChangelogLoad
from bench.http_load import quantile
from bench.pending import tables_of
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import PARTITIONS, Process, Rig
from bench.sampler import Sampler
from bench.sizes import Sizes
from bench.worlds import world
from devstack.ports import LOOPBACK
from devstack.process import DevstackError
from tables.names import changelog_topic

FLOOR: Final = "bare read of the changelog"
PAGE: Final = "/pending-associations?limit=100"
START_SECONDS: Final = 240.0
SETTLE_SECONDS: Final = 60.0
PAGES: Final = 5
PING_PAUSE_SECONDS: Final = 0.005


def small(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Measure the smallest table."""
    _run(rig, report, "table_10k", sizes.pending_batches // 100)


def middling(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Measure the medium one."""
    _run(rig, report, "table_100k", sizes.pending_batches // 10)


def large(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Measure the largest."""
    _run(rig, report, "table_1m", sizes.pending_batches)


def _run(rig: Rig, report: Report, case: str, count: int) -> None:
    """Measure in a world without other timers, which a new group would have to read first."""
    rig.stop_service()
    with world(rig, case) as there:
        load = ChangelogLoad(
            there.dsn, there.bootstrap_servers, changelog_topic(case), PARTITIONS, count
        )
        progress(f"{case}: making {count:,} pending batches")
        rig.loader.run(changelog.fill, load)
        progress(f"{case}: {FLOOR}")
        floor = {"without_directory_s": rig.loader.run(changelog.read, load)}
        progress(f"{case}: {SERVICE}")
        figures, notes = _measured(there.service, there.data_dir, count)
    report.add(Measurement(case, SERVICE, 1, figures, notes))
    report.add(Measurement(case, FLOOR, 1, floor))


def _measured(
    service: Process, data_dir: Path, count: int
) -> tuple[dict[str, float], dict[str, float]]:
    shutil.rmtree(data_dir, ignore_errors=True)
    without = _started(service)
    _expect_entries(service, count)
    service.await_idle()
    restored_mib = service.memory_mib
    service.stop()
    with_it = _started(service)
    with Pings(service.port) as pings:
        pages = [_seconds_of(service, PAGE) for _ in range(PAGES)]
        service.await_idle()
    _expect_entries(service, count)
    figures = {
        "without_directory_s": without,
        "with_directory_s": with_it,
        "restored_mib": restored_mib,
        "restarted_mib": service.memory_mib,
        "page_ms": quantile(sorted(pages), 0.5) * 1000,
        "ping_p99_ms": quantile(pings.ms, 0.99),
        "ping_max_ms": pings.ms[-1],
    }
    return figures, {"entries": count, "pings": len(pings.ms)}


def _started(service: Process) -> float:
    began = time.monotonic()
    service.start(START_SECONDS)
    return time.monotonic() - began


def _expect_entries(service: Process, count: int) -> None:
    """Wait until the table has these entries."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (entries := _asked(service)["tables"][0]["entries"]) != count:
        if time.monotonic() > deadline:
            raise DevstackError(f"the table has {entries:,} entries, not {count:,}")
        time.sleep(PING_PAUSE_SECONDS)


def _seconds_of(service: Process, query: str) -> float:
    began = time.monotonic()
    _asked(service, query)
    return time.monotonic() - began


def _asked(service: Process, query: str = "") -> Any:  # noqa: ANN401  # JSON
    return tables_of(service.port, service.internal_key, query)


class Pings(Sampler):
    """Requests `/livez` continuously: the slowest answer shows how long the loop was blocked."""

    def __init__(self, port: int) -> None:
        super().__init__(PING_PAUSE_SECONDS)
        self._link = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
        self.ms: list[float] = []

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._link.close()
        self.ms.sort()

    def sample(self) -> bool:
        """Measure one answer."""
        began = time.monotonic()
        self._link.request("GET", "/livez")
        self._link.getresponse().read()
        self.ms.append((time.monotonic() - began) * 1000)
        return True
