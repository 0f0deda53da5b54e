"""A school's file of 50,000 rows beside COPY of the same rows, and a teacher's reads beside it."""

import contextlib
from typing import Final

import psutil

from bench import http_load, imports, seed
from bench.cases.http import CLASSES
from bench.http_load import HttpLoad
from bench.imports import ImportLoad
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import Process, Rig
from bench.sampler import Sampler
from bench.sizes import Sizes

FLOOR: Final = "COPY"
OWNER: Final = "bench-import-{}"
LOOK_SECONDS: Final = 0.2
READERS: Final = 2
PAUSE_SECONDS: Final = 0.01


class PeakMemory(Sampler):
    """The most resident memory of a process, and of those that it starts, in MiB."""

    def __init__(self, process: Process) -> None:
        """Look at it from now on."""
        super().__init__(LOOK_SECONDS)
        self.own = process.memory_mib
        self.started = 0.0
        self._process = process

    def sample(self) -> bool:
        """Look once."""
        self.own = max(self.own, self._process.memory_mib)
        children = 0.0
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                children += child.memory_info().rss / 2**20
        self.started = max(self.started, children)
        return True


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Import a file of new students each round; store the same rows by COPY."""
    for number in range(sizes.long_rounds):
        owner, rows = OWNER.format(number), sizes.import_rows
        service = rig.service()
        service.await_idle()
        progress(f"imports, round {number + 1}: {SERVICE}")
        before = service.memory_mib
        load = ImportLoad(service.port, owner, rows, _reads(service, sizes))
        with PeakMemory(service) as peak:
            result = rig.loader.run(imports.carry_out, load)
        metrics = {
            "rows_per_s": rows / result.applied,
            "plan_s": result.planned,
            "peak_mib": peak.own,
            "planner_mib": peak.started,
            "get_p99_ms_rest": result.at_rest.p99_ms,
            "get_p99_ms_planning": result.while_planned.p99_ms,
            "get_p99_ms_applying": result.while_applied.p99_ms,
        }
        notes = {"rows": rows, "before_mib": before, "applied_s": result.applied}
        report.add(Measurement("imports", SERVICE, number + 1, metrics, notes))
        progress(f"imports, round {number + 1}: {FLOOR}")
        seconds = rig.loader.run(imports.copy, rig.floor_dsn, owner, rows)
        report.add(Measurement("imports", FLOOR, number + 1, {"rows_per_s": rows / seconds}))


def _reads(service: Process, sizes: Sizes) -> HttpLoad:
    """Return a modest load of reads of another teacher."""
    paths = [f"{CLASSES}/{seed.class_id(number)}" for number in range(seed.CLASSES)]
    return HttpLoad(
        service.port,
        [http_load.get(path, seed.OWNER) for path in paths],
        200,
        sizes.rest_seconds,
        sizes.http_warm_seconds,
        READERS,
        PAUSE_SECONDS,
    )
